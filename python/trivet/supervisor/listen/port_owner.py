"""Who holds a port or socket, as far as /proc tells.

Only what this user may see: other users' descriptors are hidden, and then there is no owner.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"
_COMMAND_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that holds a listening socket."""

    pid: int
    program: str
    command: str
    seconds: float

    def describe(self) -> str:
        """Return `python3 (pid 4121: gunicorn app:app, started 2 h ago)`."""
        command = f": {self.command}" if self.command else ""
        return f"{self.program} (pid {self.pid}{command}, started {_ago(self.seconds)})"


def find_port_owner(port: int, proc: Path = Path("/proc")) -> Owner | None:
    """Find the process that listens on a TCP port, on whatever address."""
    inodes = {
        fields[9]
        for table in ("tcp", "tcp6")
        for fields in _rows(proc / "net" / table)
        if len(fields) > 9 and fields[3] == _LISTEN and _port(fields[1]) == port  # noqa: PLR2004 - columns of proc_net_tcp(5)
    }
    return _find_holder(inodes, proc)


def find_path_owner(path: str, proc: Path = Path("/proc")) -> Owner | None:
    """Find the process that listens on a Unix socket."""
    names = (path, str(Path(path).absolute()))
    inodes = {
        fields[6] for fields in _rows(proc / "net" / "unix") if fields[7:] and fields[7] in names
    }
    return _find_holder(inodes, proc)


def _rows(table: Path) -> list[list[str]]:
    try:
        return [line.split() for line in table.read_text("utf-8", "replace").splitlines()[1:]]
    except OSError:
        return []


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _find_holder(inodes: set[str], proc: Path) -> Owner | None:
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    pids = (int(entry.name) for entry in proc.iterdir() if entry.name.isdigit())
    # The lowest pid: of a server and its workers, which share the socket, the one to stop.
    holder = next((pid for pid in sorted(pids) if _holds(proc / str(pid), wanted)), None)
    return _describe(holder, proc) if holder else None


def _holds(process: Path, wanted: set[str]) -> bool:
    return any(link in wanted for link in _links(process / "fd"))


def _links(folder: Path) -> Iterator[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            yield os.readlink(folder / name)
        except OSError:  # closed in the meantime
            continue


def _describe(pid: int, proc: Path) -> Owner | None:
    process = proc / str(pid)
    try:
        program = (process / "comm").read_text().strip()
        arguments = (process / "cmdline").read_bytes().split(b"\0")
        started = int((process / "stat").read_text().rpartition(")")[2].split()[19])
        uptime = float((proc / "uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    command = " ".join(word.decode("utf-8", "replace") for word in arguments[1:] if word)
    if len(command) > _COMMAND_CHARACTERS:
        command = command[: _COMMAND_CHARACTERS - 1] + "…"
    return Owner(pid, program, command, max(0.0, uptime - started / os.sysconf("SC_CLK_TCK")))


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"
