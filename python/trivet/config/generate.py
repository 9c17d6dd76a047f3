"""`python -m trivet.config.generate [--check]`: write `docs/reference/` from the definitions.

With `--check` it only compares, names what differs, and exits with 1 if anything does.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from trivet.config.reference import errors_page, options_page, schema

_FOLDER = Path(__file__).parents[3] / "docs" / "reference"


def main(arguments: Sequence[str], folder: Path = _FOLDER) -> int:
    """Write or compare the files; returns the exit code."""
    stale = [
        name
        for name, text in files().items()
        if not (folder / name).is_file() or (folder / name).read_text("utf-8") != text
    ]
    if "--check" in arguments:
        for name in stale:
            sys.stderr.write(f"{folder / name} is stale\n")
        if stale:
            sys.stderr.write("hint: python -m trivet.config.generate\n")
        return 1 if stale else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (folder / name).write_text(files()[name], "utf-8")
    return 0


def files() -> Mapping[str, str]:
    """Make every file's text, by its name."""
    return {
        "errors.md": errors_page(),
        "options.md": options_page(),
        "trivet.schema.json": json.dumps(schema(), indent=2) + "\n",
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
