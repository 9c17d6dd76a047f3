"""Questions about paths that people typed, which get an answer whatever was typed.

`Path.is_dir` raises where a name is too long or a folder may not be looked into, and
`Path.expanduser` where nobody has the name; for the reader of an option all of that means "no".
"""

import os
from pathlib import Path


def expanded(text: str | Path) -> Path:
    """Replace a `~` in front where that names a home; else leave it as it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 - Path's own raises


def is_folder(path: Path) -> bool:
    """Say whether there is a folder that can be seen."""
    return os.path.isdir(path)  # noqa: PTH112 - Path's own raises


def is_file(path: Path) -> bool:
    """Say whether there is a file that can be seen."""
    return os.path.isfile(path)  # noqa: PTH113 - Path's own raises
