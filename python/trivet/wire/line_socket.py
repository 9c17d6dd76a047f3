"""Lines and descriptors over a Unix stream socket that never blocks.

Carries the control messages (`control.py`) and those of the workers (`worker_control.py`); knows
nothing of what a line means.
"""

import array
import os
import socket
from collections import deque
from collections.abc import Sequence

MAX_LINE_BYTES = 16 << 20
"""Longest line that a receiver accepts, as in `control.rs`."""

MAX_DESCRIPTORS = 16
"""Most descriptors of one `sendmsg`, as in `frames.rs`: receivers size their buffer by it."""

_READ_BYTES = 64 << 10


class LineTooLongError(Exception):
    """A line is longer than `MAX_LINE_BYTES`: the other side is broken."""


class LineSocket:
    """A buffered, non-blocking end of a socket pair.

    Owns the socket, the descriptors that wait to be sent (duplicates, so the caller may close its
    own at once) and those received but not yet taken. Not for more than one thread.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._incoming = bytearray()
        self._received: deque[int] = deque()
        self._outgoing: deque[tuple[bytearray, list[int]]] = deque()
        self.at_eof = False

    def fileno(self) -> int:
        """Return the descriptor to select on."""
        return self._socket.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait for room: call `flush` when the socket is writable."""
        return bool(self._outgoing)

    def send(self, line: bytes, descriptors: Sequence[int] = ()) -> None:
        """Queue a line that ends with a line feed, and send what there is room for.

        The descriptors go along with the line's first byte, at most `MAX_DESCRIPTORS` per
        byte: of a line with more, each further byte takes up to as many. A peer that is gone
        makes no error here; it shows as `at_eof` of the next `receive`.
        """
        pieces = max(1, -(-len(descriptors) // MAX_DESCRIPTORS))
        for number in range(pieces):
            last = number == pieces - 1
            piece = line[number:] if last else line[number : number + 1]
            first = number * MAX_DESCRIPTORS
            mine = [os.dup(fd) for fd in descriptors[first : first + MAX_DESCRIPTORS]]
            self._outgoing.append((bytearray(piece), mine))
        self.flush()

    def flush(self) -> None:
        """Send what there is room for."""
        while self._outgoing:
            piece, descriptors = self._outgoing[0]
            try:
                sent = self._send_piece(piece, descriptors)
            except BlockingIOError:
                return
            except OSError:  # the peer is gone, nothing will ever be sent
                self._drop_outgoing()
                return
            _close_all(descriptors)
            descriptors.clear()
            del piece[:sent]
            if not piece:
                self._outgoing.popleft()

    def receive(self) -> list[bytes]:
        """Return the lines that are complete by now, without their line ends.

        Sets `at_eof` once the peer has closed; what it had sent before is still returned.

        Raises:
            LineTooLongError: for a line over `MAX_LINE_BYTES`.
        """
        while not self.at_eof:
            try:
                chunk, ancillary, _, _ = self._socket.recvmsg(
                    _READ_BYTES, socket.CMSG_SPACE(MAX_DESCRIPTORS * 4), socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                break
            except OSError:
                chunk, ancillary = b"", []
            self._received.extend(_descriptors(ancillary))
            self._incoming += chunk
            self.at_eof = not chunk
        *lines, rest = self._incoming.split(b"\n")
        if max(map(len, (*lines, rest))) > MAX_LINE_BYTES:
            raise LineTooLongError
        self._incoming = rest
        return [bytes(line) for line in lines]

    def take_descriptors(self, count: int) -> list[int]:
        """Return the next received descriptors, at most `count`; the caller owns them."""
        return [self._received.popleft() for _ in range(min(count, len(self._received)))]

    def close(self) -> None:
        """Close the socket and every descriptor that was not taken or not sent."""
        self._drop_outgoing()
        _close_all(self._received)
        self._received.clear()
        self._socket.close()

    def _send_piece(self, piece: bytearray, descriptors: list[int]) -> int:
        if not descriptors:
            return self._socket.send(piece)
        rights = array.array("i", descriptors)
        return self._socket.sendmsg([piece], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

    def _drop_outgoing(self) -> None:
        for _, descriptors in self._outgoing:
            _close_all(descriptors)
        self._outgoing.clear()


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return found.tolist()


def _close_all(descriptors: Sequence[int] | deque[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
