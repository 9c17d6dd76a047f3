"""The socket of an app that speaks WebSocket by itself, as simple-websocket and its users do.

It leads to the edge, which passes bytes on to the client and back once the app has written a
complete `101 Switching Protocols` into it.
"""

import contextlib
import socket


class RawSockets:
    """The sockets of the requests that run now; threads may share it."""

    def __init__(self) -> None:
        self._open: set[socket.socket] = set()

    def open(self, descriptor: int) -> socket.socket:
        """Make a socket, which blocks and is not inherited, of a descriptor that is its own now.

        Apps write by `send`, and expect that to take all, as it does where it blocks.
        """
        made = socket.socket(fileno=descriptor)
        made.settimeout(None)
        self._open.add(made)
        return made

    def close(self, made: socket.socket) -> None:
        """End it with its request, also where a thread or a process of the app still holds it."""
        self._open.discard(made)
        with contextlib.suppress(OSError):  # the app has closed it, or its client has left
            made.shutdown(socket.SHUT_RDWR)
        made.close()

    def abandon(self) -> None:
        """Let go of all, in a forked child: they are its parent's."""
        for each in list(self._open):
            each.close()
        self._open.clear()
