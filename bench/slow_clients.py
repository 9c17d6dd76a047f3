"""Clients that send one byte a second of a request head, and never finish it.

Strategy: one thread holds all sockets and, each second, sends one byte on every one. A socket that
the server closes is opened again, so that the number of slow clients stays what it says.
"""

from __future__ import annotations

import itertools
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from bench.ports import LOOPBACK

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

INTERVAL_SECONDS = 1.0
CONNECT_SECONDS = 1.0
# The start of a valid head, then a field value without an end.
HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


class SlowClients:
    """A number of slow clients beside whatever happens in the `with` block.

    `reopened` counts the connections that the server closed.
    """

    def __init__(self, port: int, count: int) -> None:
        """Prepare; nothing is sent yet."""
        self.port = port
        self.reopened = 0
        self._clients = [SlowClient() for _ in range(count)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Start sending."""
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Close all connections."""
        self._stop.set()
        self._thread.join()
        for client in self._clients:
            client.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            for client in self._clients:
                if not client.send_byte(self.port) and not self._stop.is_set():
                    self.reopened += 1
            self._stop.wait(INTERVAL_SECONDS)


class SlowClient:
    """One connection and how far its head is."""

    def __init__(self) -> None:
        """Start without a connection."""
        self._socket: socket.socket | None = None
        self._bytes = itertools.chain(HEAD, itertools.repeat(ord("a")))

    def send_byte(self, port: int) -> bool:
        """Send the next byte, connecting first if need be; tell whether it was taken."""
        try:
            if self._socket is None:
                self._bytes = itertools.chain(HEAD, itertools.repeat(ord("a")))
                self._socket = socket.create_connection((LOOPBACK, port), CONNECT_SECONDS)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(bytes([next(self._bytes)]))
        except OSError:
            self.close()
            return False
        return True

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
            self._socket = None
