"""The pid file: who holds the stand, for scripts that send signals."""

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trivet.errors import ConfigError

_SLACK_S = 2.0
"""A process that began up to so long after the file was written may still be its writer."""


@contextmanager
def pid_file(path: Path | None) -> Iterator[None]:
    """Hold a pid file while the block runs; without a path, nothing.

    It is written whole, from the moment when the listeners are open, as nginx and gunicorn do,
    and removed at the end unless another process has put its own there.

    Raises:
        ConfigError: It belongs to another process that lives, or cannot be written.
    """
    if path is None:
        yield
        return
    if not _is_ours_to_write(path):
        raise ConfigError(
            f"`{path}` holds something else than a process id",
            code="config.pid_file",
            hint="name a file that is for this alone",
        )
    if owner := live_owner(path):
        raise ConfigError(
            f"another process holds the pid file `{path}`: pid {owner}",
            code="config.pid_file_taken",
            hint=f"stop it with `kill {owner}`, or name another file",
        )
    _write(path)
    try:
        yield
    finally:
        if _read(path) == os.getpid():
            with contextlib.suppress(OSError):
                path.unlink()


def live_owner(path: Path, proc: Path = Path("/proc")) -> int:
    """Return the process that wrote the file and lives, or 0.

    A number may be in use again, after a restart of the machine or of a container, which begins
    to count anew: a process that began after the file was written is not its writer.
    """
    pid = _read(path)
    if pid <= 0 or pid == os.getpid():
        return 0
    try:
        written = path.stat().st_mtime
        return pid if _began(pid, proc) <= written + _SLACK_S else 0
    except (OSError, ValueError, IndexError):
        return 0


def _began(pid: int, proc: Path) -> float:
    """Return when a process began, in seconds since the epoch; raises if there is none."""
    fields = (proc / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    booted = next(
        line.split()[1]
        for line in (proc / "stat").read_text("ascii").splitlines()
        if line.startswith("btime ")
    )
    return float(booted) + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _is_ours_to_write(path: Path) -> bool:
    """Whether nothing but a process id would be lost; what cannot be told shows when writing."""
    try:
        text = path.read_text("utf-8", "replace").strip()
    except OSError:
        return True
    return not text or (text.isascii() and text.isdecimal())


def _read(path: Path) -> int:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, ValueError):
        return 0
    return int(text) if text.isdecimal() else 0


def _write(path: Path) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():
            raise FileExistsError(errno.EEXIST, "it is no ordinary file")
        try:
            unfinished.write_text(f"{os.getpid()}\n", "ascii")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the pid file `{path}` cannot be written: {error.strerror}",
            code="config.pid_file",
            hint="name a file in a folder that this user may write to",
        ) from error
