"""The listening sockets: opened before anything else, and owned to the end.

An address that cannot be had is the operator's to decide about, so it is a `ConfigError` that
says who holds it and what to type; nothing is tried again.
"""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trivet.config import Bind
from trivet.errors import ConfigError
from trivet.supervisor.listen import listen_errors
from trivet.supervisor.start.identity import Identity

BACKLOG = 4096
"""Connections that may wait for `accept`; the kernel's own limit (`somaxconn`) caps it."""

_FIRST_SYSTEMD_FD = 3
_PORT_TRIES = 20

# A name or "" may stand for an address family that this machine does not have.
_NO_SUCH_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


@dataclass(frozen=True, slots=True)
class Listener:
    """An open listening socket.

    `name` is what the operator knows it by, `port` 0 for a Unix socket. `path` and `inode` are
    of a socket file that is to be removed at the end.
    """

    name: str
    socket: socket.socket
    port: int
    path: str = ""
    inode: int = 0

    @property
    def is_unix(self) -> bool:
        """Whether it is a Unix socket."""
        return self.socket.family == socket.AF_UNIX

    @property
    def is_inherited(self) -> bool:
        """Whether another process opened it, and only it knows the address."""
        return self.name.startswith("fd://")

    def give_to(self, identity: Identity | None) -> None:
        """Let its file, if it has one, belong to whom the workers run as, as gunicorn does."""
        if identity and self.path:
            os.chown(self.path, identity.uid, identity.gid)

    def close(self) -> None:
        """Close it, and remove its file unless somebody else has put another there."""
        self.socket.close()
        if self.path:
            with contextlib.suppress(OSError):
                if os.stat(self.path).st_ino == self.inode:
                    os.unlink(self.path)


def open_listeners(binds: Sequence[Bind], backlog: int = BACKLOG) -> list[Listener]:
    """Open all of them; one place may need several (IPv4 and IPv6).

    Raises:
        ConfigError: for those that cannot be had, all in one; none is left open then.
    """
    listeners: list[Listener] = []
    problems: list[ConfigError] = []
    for bind in binds:
        try:
            listeners += _OPEN[bind.kind](bind, backlog)
        except ConfigError as problem:
            problems.append(problem)
    if problems:
        for listener in listeners:
            listener.close()
        raise ConfigError.together(problems)
    return listeners


def systemd_binds(environ: Mapping[str, str], pid: int) -> list[Bind]:
    """Return the sockets that systemd has opened for this process (`trivet.socket`)."""
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(pid) or not count.isdecimal():
        return []
    return [Bind("fd", fd=_FIRST_SYSTEMD_FD + number) for number in range(int(count))]


def _open_tcp(bind: Bind, backlog: int) -> list[Listener]:
    for _ in range(_PORT_TRIES - 1):
        try:
            return _open_addresses(bind, backlog)
        except ConfigError:
            if bind.port:
                raise
            # The port that one family got by chance was taken in the other.
    return _open_addresses(bind, backlog)


def _open_addresses(bind: Bind, backlog: int) -> list[Listener]:
    listeners: list[Listener] = []
    port = bind.port
    missing: OSError | None = None
    for family, host in _addresses(bind):
        try:
            opened = _listen(family, (host, port), backlog)
        except OSError as error:
            if error.errno in _NO_SUCH_FAMILY:
                missing = error
                continue
            for listener in listeners:
                listener.close()
            raise listen_errors.of_tcp(bind, error) from error
        port = opened.getsockname()[1]
        shown = f"[{host}]" if family == socket.AF_INET6 else host
        listeners.append(Listener(f"{shown}:{port}", opened, port))
    if not listeners and missing:
        raise listen_errors.of_tcp(bind, missing) from missing
    return listeners


def _addresses(bind: Bind) -> list[tuple[socket.AddressFamily, str]]:
    if not bind.host:
        return [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]  # noqa: S104 - asked for
    try:
        found = socket.getaddrinfo(bind.host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise listen_errors.of_name(bind, error) from error
    inet = [(family, str(sockaddr[0])) for family, _, _, _, sockaddr in found]
    return sorted(dict.fromkeys(inet))


def _listen(
    family: socket.AddressFamily, address: tuple[str, int] | str, backlog: int
) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(backlog)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _open_unix(bind: Bind, backlog: int) -> list[Listener]:
    try:
        _remove_stale(bind)
        opened = _listen(socket.AF_UNIX, bind.path, backlog)
        inode = os.stat(bind.path).st_ino
    except OSError as error:
        raise listen_errors.of_unix(bind, error) from error
    return [Listener(str(bind), opened, 0, bind.path, inode)]


def _remove_stale(bind: Bind) -> None:
    """Remove a socket file that nobody listens on any more."""
    try:
        mode = os.lstat(bind.path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise listen_errors.not_a_socket(bind)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(bind.path)
        except ConnectionRefusedError:
            os.unlink(bind.path)
        except BlockingIOError:  # its queue is full, so somebody is there
            raise listen_errors.path_taken(bind) from None
        else:
            raise listen_errors.path_taken(bind)


def _open_fd(bind: Bind, _: int) -> list[Listener]:
    """Take the descriptor over: a copy that stayed open would take connections to the end."""
    try:
        opened = socket.socket(fileno=bind.fd)
    except OSError as error:
        raise listen_errors.of_descriptor(bind, "is not an open socket") from error
    if not opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        opened.detach()  # it is somebody else's
        raise listen_errors.of_descriptor(bind, "is a socket, but not a listening one")
    opened.set_inheritable(False)
    opened.setblocking(False)
    port = 0 if opened.family == socket.AF_UNIX else opened.getsockname()[1]
    return [Listener(str(bind), opened, port)]


_OPEN: Mapping[str, Callable[[Bind, int], list[Listener]]] = {
    "tcp": _open_tcp,
    "unix": _open_unix,
    "fd": _open_fd,
}
