"""Runs Trivet in another Python: `PYTHON bootstrap.py worker …`, as a script of its own.

That Python finds `trivet`, and nothing but it, in the installation that this file is part of.
Whatever else is installed beside it stays unseen, so it cannot take the place of the app's own.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


class _OnlyTrivet:
    """Finds `trivet`; its modules are then found in its folder, as always."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [self._folder]) if name == "trivet" else None


def _run() -> None:
    here = Path(__file__).absolute().parent
    # Before Python 3.11 a script's folder is on the path, and ours has modules named as others.
    sys.path[:] = [folder for folder in sys.path if folder != str(here)]
    sys.meta_path.insert(0, _OnlyTrivet(str(here.parent.parent)))
    from trivet.cli import main

    main()


if __name__ == "__main__":
    _run()
