"""The control socket: connections, lines and time limits; no meaning.

Strategy: everything happens in the supervisor's one thread and its selector, so nothing here
waits. A connection is in one of four phases. It is *heard* until a whole line has come; it is
*answered* while the desk has its request, and then nothing is read from it; its reply is *sent*
before the next request is looked at; and after `Stopping` it is *held* until the stand is gone.
So a client costs at most one request and one reply of memory, and one that says or reads nothing
is closed after `PATIENCE_S`. Whoever is neither of the stand's user nor root is turned away
before a byte is read.
"""

import contextlib
import errno
import os
import selectors
import socket
import stat
import struct
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Literal

import msgspec

from trivet.wire import stand_control as wire
from trivet.wire.stand_address import ABSTRACT, StandAddress

PATIENCE_S = 10.0
"""How long a client may take to say something, or to read what it was told."""

MOST_CLIENTS = 16
"""Connections at once: commands come one by one, and a console holds one. The one that has been
silent for longest goes when another comes."""

_BACKLOG = 128
_READ_BYTES = 16 << 10
_CREDENTIALS = struct.Struct("3i")
_ROOT = 0


class ControlSocketError(Exception):
    """The configured socket cannot be made; the text says why."""


class _Phase(Enum):
    HEARD = auto()
    ANSWERED = auto()
    SENT = auto()
    HELD = auto()


Then = Literal["hear", "hold", "drop"]
"""What becomes of a connection when its reply is out: another request, nothing more, its end."""


class Call:
    """One request that waits for its reply, which `answer` takes at any later time, once."""

    __slots__ = ("_client", "_server", "request")

    def __init__(self, server: "ControlServer", client: "_Client", request: wire.Request) -> None:
        self._server = server
        self._client = client
        self.request = request

    def answer(self, reply: wire.Reply, *, hold: bool = False) -> None:
        """Send the reply; with `hold` the connection then stays open until the end."""
        self._server.send(self._client, reply, "hold" if hold else "hear")

    def refuse(self, code: str, message: str, hint: str = "") -> None:
        """Say that it is not done."""
        self.answer(refused(code, message, hint))


class _Client:
    """A connection, and how far it is."""

    def __init__(self, connection: socket.socket, now: float) -> None:
        connection.setblocking(False)
        self.socket = connection
        self.phase = _Phase.HEARD
        self.since = now
        """When the phase began: bytes that trickle in do not make it longer."""
        self.incoming = bytearray()
        self.outgoing = memoryview(b"")
        self.then: Then = "hear"
        self.is_open = True

    @property
    def deadline(self) -> float | None:
        """When patience is over."""
        is_waiting_for_it = self.phase in (_Phase.HEARD, _Phase.SENT)
        return self.since + PATIENCE_S if is_waiting_for_it else None

    def enter(self, phase: _Phase) -> None:
        self.phase = phase
        self.since = time.monotonic()


class ControlServer:
    """A listening control socket and its connections, in a selector of the supervisor's.

    Owns the socket, and the file of one that has a path.
    """

    def __init__(
        self, selector: selectors.BaseSelector, where: str, desk: Callable[[Call], None]
    ) -> None:
        """Listen.

        Args:
            selector: where the callbacks are registered.
            where: a path, or `@` for an abstract socket.
            desk: takes each request.

        Raises:
            ControlSocketError: It cannot listen there; nothing is left behind.
        """
        self._selector = selector
        self._desk = desk
        self._clients: list[_Client] = []
        self._path = None if where == ABSTRACT else where
        self._listener = _listen_at(where) if self._path else _listen_abstract()
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def next_deadline(self) -> float | None:
        """Return when `tick` has to be called at the latest, or `None` for no such time."""
        times = (client.deadline for client in self._clients)
        return min((time for time in times if time is not None), default=None)

    def tick(self, now: float) -> None:
        """Close the connections whose time is over."""
        for client in list(self._clients):
            if (deadline := client.deadline) is not None and deadline <= now:
                self._drop(client)

    def send(self, client: _Client, reply: wire.Reply, then: Then) -> None:
        """Send a reply on a connection that waits for one; for `Call` only."""
        if not client.is_open:
            return
        client.outgoing = memoryview(wire.encode(reply))
        client.then = then
        client.enter(_Phase.SENT)
        self._flush(client)

    def close(self) -> None:
        """Close all connections and the socket, and remove its file."""
        for client in list(self._clients):
            self._drop(client)
        self._selector.unregister(self._listener)
        self._listener.close()
        if self._path:
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # gone again, or no descriptor left: the next one may have more luck
            return
        if not _is_allowed(connection):
            with contextlib.suppress(OSError):
                text = "only the user who runs the stand, or root, may do that"
                connection.send(wire.encode(refused("control.forbidden", text)))
            connection.close()
            return
        if len(self._clients) >= MOST_CLIENTS:
            self._drop(self._most_silent())
        client = _Client(connection, time.monotonic())
        self._clients.append(client)
        self._listen_to(client, selectors.EVENT_READ)

    def _most_silent(self) -> _Client:
        """Return who said nothing for longest; one that waits for the desk only if all do."""
        return min(self._clients, key=lambda each: (each.phase is not _Phase.HEARD, each.since))

    def _listen_to(self, client: _Client, events: int) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(client.socket)
        if events:
            self._selector.register(client.socket, events, lambda: self._on_event(client))

    def _on_event(self, client: _Client) -> None:
        if client.phase is _Phase.SENT:
            self._flush(client)
        elif client.phase is _Phase.HEARD and not self._take_request(client):
            self._hear(client)
        elif client.phase is _Phase.HELD:
            self._drop(client)  # nothing is expected of it any more, so it has gone away

    def _hear(self, client: _Client) -> None:
        try:
            # A plain `recv` leaves no descriptors behind that somebody may have sent along.
            chunk = client.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._drop(client)
            return
        client.incoming += chunk
        self._take_request(client)

    def _take_request(self, client: _Client) -> bool:
        """Pass one request on, if a whole one is there."""
        line, end, rest = client.incoming.partition(b"\n")
        if not end and len(line) <= wire.MAX_REQUEST_BYTES:
            return False
        self._listen_to(client, 0)
        client.incoming = rest
        client.enter(_Phase.ANSWERED)
        if len(line) > wire.MAX_REQUEST_BYTES:
            text = f"a request has at most {wire.MAX_REQUEST_BYTES} bytes"
            self.send(client, refused("control.bad_request", text), "drop")
        else:
            self._pass_on(client, bytes(line))
        return True

    def _pass_on(self, client: _Client, line: bytes) -> None:
        try:
            request = wire.decode_request(line)
        except wire.StandVersionError:
            ours = wire.STAND_CONTROL_VERSION
            text = f"the stand speaks version {ours} of the control protocol, the command another"
            self.send(client, refused("control.version", text), "drop")
        except msgspec.DecodeError as error:
            self.send(client, refused("control.bad_request", str(error)), "drop")
        else:
            self._desk(Call(self, client, request))

    def _flush(self, client: _Client) -> None:
        while client.outgoing:
            try:
                sent = client.socket.send(client.outgoing)
            except BlockingIOError:
                self._listen_to(client, selectors.EVENT_WRITE)
                return
            except OSError:
                self._drop(client)
                return
            client.outgoing = client.outgoing[sent:]
        if client.then == "drop":
            self._drop(client)
            return
        client.enter(_Phase.HELD if client.then == "hold" else _Phase.HEARD)
        events = selectors.EVENT_READ
        if client.incoming and client.then == "hear":
            # The next request may be there already: it has its own turn of the loop.
            events |= selectors.EVENT_WRITE
        self._listen_to(client, events)

    def _drop(self, client: _Client) -> None:
        client.is_open = False
        self._listen_to(client, 0)
        client.socket.close()
        self._clients.remove(client)


def refused(code: str, message: str, hint: str = "") -> wire.Refused:
    """Make a refusal."""
    return wire.Refused(version=wire.STAND_CONTROL_VERSION, code=code, message=message, hint=hint)


def _is_allowed(connection: socket.socket) -> bool:
    size = _CREDENTIALS.size
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, uid, _ = _CREDENTIALS.unpack(credentials)
    return uid in (_ROOT, os.geteuid())


def _listen_abstract() -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    try:
        listener.bind(StandAddress.of_this_process().to_bind())
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ControlSocketError(f"no control socket: {error.strerror}") from error
    return listener


def _listen_at(path: str) -> socket.socket:
    """Listen at a path; a socket file that nobody listens at any more is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    try:
        _remove_stale(path)
        mask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        listener.listen(_BACKLOG)
    except (OSError, ValueError) as error:
        listener.close()
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ControlSocketError(f"no control socket at `{path}`: {why or error}") from error
    return listener


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "something that is no socket is there")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(path) != errno.ECONNREFUSED:
            raise OSError(errno.EADDRINUSE, "another process listens there")
    os.unlink(path)
