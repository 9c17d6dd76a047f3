"""Finding the running stand that a command is for, and the connection to it.

Imported by `trivet healthcheck`, so it imports little; errors and messages come when needed.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping, Sequence

from trivet.wire.stand_address import ABSTRACT, STAND_CONTROL_VERSION, StandAddress, listed

PATIENCE_S = 10.0
"""How long a stand may take to answer what it can answer at once."""

VARIABLE = "TRIVET_CONTROL_SOCKET"
"""The variable of the option `control.socket`: commands read it too."""

_SOCKETS = "/proc/net/unix"
_IDENTITY_BYTES = 64 << 10
_CREDENTIALS = struct.Struct("3i")
_ROOT = 0


class SeveralStandsError(Exception):
    """More than one stand could be meant; `known` has each with what it says of itself."""

    def __init__(self, known: list[tuple[Found, dict[str, object] | None]]) -> None:
        super().__init__(f"{len(known)} stands are running")
        self.known = known


class Found:
    """A stand that listens: where, and whose process the kernel says that it is.

    `pid` counts in the process namespace of the reader; 0 is a process that cannot be seen here.
    """

    __slots__ = ("connection", "pid", "shown")

    def __init__(self, connection: socket.socket, pid: int, shown: str) -> None:
        self.connection = connection
        self.pid = pid
        self.shown = shown

    def close(self) -> None:
        """Leave it alone."""
        self.connection.close()


def find(pid: int | None, path: str | None) -> Found | None:
    """Connect to the stand that is meant.

    That is the one with this process id or path; else the one at the path that the environment
    names; else the one that was started in this folder; else the one at the path that this
    folder's configuration names; else the only one of this user.

    Args:
        pid: of the stand, counted as here.
        path: of its control socket; a name as `/proc/net/unix` shows it will do.

    Raises:
        OSError: Nobody listens at the path.
        SeveralStandsError: Nothing says which one is meant.
    """
    path = path or (None if pid else _variable(os.environ))
    if path:
        return _at_path(path)
    found = _abstract_stands()
    if pid:
        return next((each for each in found if each.pid == pid), None)
    # One that is not of this process namespace, that of another container in the same network for
    # one, can only be meant by its number.
    known = [(each, identity(each)) for each in found if f"/{each.pid}/" in each.shown]
    in_this_folder = [each for each, who in known if _is_of_this_folder(who)]
    if len(in_this_folder) == 1:
        return in_this_folder[0]
    if not in_this_folder and (configured := _configured()):
        return configured
    if len(known) > 1:
        raise SeveralStandsError(known)
    return known[0][0] if known else None


def ask(found: Found, line: bytes, most_bytes: int, patience_s: float | None = PATIENCE_S) -> bytes:
    """Send a line, and return the one that comes back, without its line end.

    Raises:
        TimeoutError: There was no answer within the time.
        OSError: The connection broke off.
    """
    connection = found.connection
    connection.settimeout(patience_s)
    connection.sendall(line)
    answer = bytearray()
    while not answer.endswith(b"\n"):
        piece = connection.recv(64 << 10)
        if not piece or len(answer) > most_bytes:
            raise ConnectionResetError("the stand closed the connection")
        answer += piece
    return bytes(answer[:-1])


def identity(found: Found) -> dict[str, object] | None:
    """Ask who it is; `None` where there is no answer that can be understood."""
    import json

    line = json.dumps({"type": "identity", "version": STAND_CONTROL_VERSION}).encode() + b"\n"
    try:
        reply = json.loads(ask(found, line, _IDENTITY_BYTES))
    except (OSError, ValueError):
        return None
    is_one = isinstance(reply, dict) and reply.get("type") == "identity"
    return reply if is_one and reply.get("version") == STAND_CONTROL_VERSION else None


def _configured() -> Found | None:
    """Connect to where this folder's configuration says that a stand listens."""
    from pathlib import Path

    from trivet.config import load
    from trivet.errors import ConfigError

    try:
        where = load({}, os.environ, Path.cwd()).settings.control.socket
        return _at_path(where) if where and where != ABSTRACT else None
    except (ConfigError, OSError):  # a wrong configuration is not what the command is about
        return None


def _is_of_this_folder(who: dict[str, object] | None) -> bool:
    """Tell whether a stand was started here: in this folder of this container."""
    try:
        mounts = os.readlink("/proc/self/ns/mnt")  # noqa: PTH115 - a name, not a path
    except OSError:
        mounts = ""
    return who is not None and (who["mounts"], who["folder"]) == (mounts, os.getcwd())  # noqa: PTH109


def _variable(environ: Mapping[str, str]) -> str | None:
    told = environ.get(VARIABLE, "")
    return told if told.startswith("/") else None


def _abstract_stands() -> list[Found]:
    user = os.geteuid()
    try:
        with open(_SOCKETS, encoding="ascii", errors="replace") as lines:  # noqa: PTH123 - light
            addresses = listed(lines)
    except OSError:
        return []
    mine = [each for each in addresses if user in (_ROOT, each.uid)]
    connected = (_connected(each.to_bind(), str(each), {user, each.uid}) for each in mine)
    return [each for each in connected if each]


def _connected(address: bytes | str, shown: str, users: set[int]) -> Found | None:
    """Connect, unless it is gone or somebody else has taken the name."""
    try:
        connection = _connect(address)
    except OSError:
        return None
    pid, uid = _peer(connection)
    if uid not in users:
        connection.close()
        return None
    return Found(connection, pid, shown)


def _at_path(path: str) -> Found:
    address = StandAddress.parse(path) if path.startswith(ABSTRACT) else None
    connection = _connect(address.to_bind() if address else path)
    return Found(connection, _peer(connection)[0], path)


def _connect(address: bytes | str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Python's own timeout would make an error of a full backlog; this one waits for room.
    patience = struct.pack("ll", int(PATIENCE_S), 0)
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def _peer(connection: socket.socket) -> Sequence[int]:
    size = _CREDENTIALS.size
    pid, uid, _ = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    return pid, uid
