"""A side channel: what an app notes in a file, and the test reads."""

import os
from pathlib import Path


def note(text: str) -> None:
    """Append a line to the file that JOURNAL names, in one write."""
    descriptor = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{text}\n".encode())
    finally:
        os.close(descriptor)


class Journal:
    """The test's side."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.folder = path.parent
        self.env = {"JOURNAL": str(path), "FOLDER": str(path.parent)}

    def lines(self) -> list[str]:
        return self._path.read_text().splitlines() if self._path.exists() else []
