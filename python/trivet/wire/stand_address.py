"""The name of a stand's control socket, and how the stands of a machine are found by it.

An abstract Unix socket (unix(7)) needs no writable path, vanishes with its process, and is listed
in `/proc/net/unix` for whoever shares the network namespace. Anybody may bind any such name, so a
name proves nothing: both ends compare the other's credentials (`SO_PEERCRED`). The random part
keeps others from taking the name before the stand does.

Imported by `trivet healthcheck`, so it imports next to nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

STAND_CONTROL_VERSION = 1
"""Of the messages in `stand_control`; both ends must have the same."""

ABSTRACT = "@"
"""The configured value that stands for an abstract socket."""

_FLAG_LISTENS = 0x10000
"""`SO_ACCEPTCON` in the fourth column of `/proc/net/unix`."""
_PARTS = 4


class StandAddress:
    """Whose socket it is, as its name says: `@trivet/UID/PID/RANDOM`.

    `pid` counts in the process namespace of the stand, which need not be the reader's.
    """

    __slots__ = ("pid", "random", "uid")

    def __init__(self, uid: int, pid: int, random: str) -> None:
        self.uid = uid
        self.pid = pid
        self.random = random

    @classmethod
    def of_this_process(cls) -> StandAddress:
        """Make up a name for this process; no two calls give the same one."""
        return cls(os.geteuid(), os.getpid(), os.urandom(8).hex())

    @classmethod
    def parse(cls, shown: str) -> StandAddress | None:
        """Read a name as `/proc/net/unix` shows it; `None` for a socket that is no stand's."""
        parts = shown.split("/")
        if len(parts) != _PARTS or parts[0] != "@trivet":
            return None
        _, uid, pid, random = parts
        if not (uid.isascii() and uid.isdigit() and pid.isascii() and pid.isdigit() and random):
            return None
        return cls(int(uid), int(pid), random)

    def __str__(self) -> str:
        return f"@trivet/{self.uid}/{self.pid}/{self.random}"

    def to_bind(self) -> bytes:
        """Return the name as `bind` and `connect` take it."""
        return b"\0" + str(self)[1:].encode("ascii")


def listed(lines: Iterable[str]) -> list[StandAddress]:
    """Return the stands that listen, from the lines of `/proc/net/unix`."""
    found = []
    for line in lines:
        columns = line.split(None, 7)
        if len(columns) != 8 or not _listens(columns[3]):  # noqa: PLR2004 - as the kernel writes it
            continue
        address = StandAddress.parse(columns[7].rstrip("\n"))
        if address is not None:
            found.append(address)
    return found


def _listens(flags: str) -> bool:
    try:
        return bool(int(flags, 16) & _FLAG_LISTENS)
    except ValueError:  # the head of the table
        return False
