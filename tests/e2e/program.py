"""`trivet` run to its end, as somebody types it."""

import contextlib
import subprocess
import textwrap
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.stand import TRIVET, clean_environment

MARK = "STAND_MARK"
"""A variable that every process of one run has, by which those that were left are found."""


@dataclass(frozen=True)
class Ended:
    """What became of a run."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> list[str]:
        """Lines of standard error that say something."""
        return [line for line in self.err.splitlines() if line.strip()]


@dataclass(frozen=True)
class Project:
    """A folder with what a test writes into it."""

    folder: Path

    def write(self, files: Mapping[str, str]) -> "Project":
        """Write files, by their paths below the folder."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return self

    def run(
        self,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = (str(TRIVET),),
        cwd: str = ".",
    ) -> Ended:
        """Run `trivet ARGUMENTS` here; nothing of it may be left when it has ended."""
        mark = uuid.uuid4().hex
        done = subprocess.run(
            [*program, *arguments],
            cwd=self.folder / cwd,
            env=clean_environment({**(env or {}), MARK: mark}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert marked(mark) == []
        return Ended(done.returncode, done.stdout, done.stderr)


def marked(mark: str) -> list[int]:
    """Give the processes that were started with this mark, and live."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found
