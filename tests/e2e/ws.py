"""WebSocket clients for tests: a library's, and one that sends whatever frames it is told."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.e2e.stand import Stand

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x37\xfa\x21\x3d"


@contextlib.contextmanager
def opened(stand: Stand, path: str = "/echo", **options: Any) -> Iterator[ClientConnection]:
    """Connect with the `websockets` library, without limits and pings of its own."""
    options = {"compression": None, "max_size": None, "ping_interval": None} | options
    with connect(f"ws://127.0.0.1:{stand.port}{path}", **options) as client:
        yield client


def raw_socket(
    stand: Stand, path: str = "/echo", *, ahead: bytes = b""
) -> contextlib.closing["RawSocket"]:
    """Connect for frames of the test's own, in a `with` block."""
    return contextlib.closing(RawSocket(stand, path, ahead=ahead))


def frame(first: int, payload: bytes = b"", *, is_masked: bool = True) -> bytes:
    """A client's frame; `first` is its first byte: FIN, reserved bits and opcode."""
    length = len(payload)
    bit = 0x80 if is_masked else 0
    if length < 126:
        head = struct.pack("!BB", first, bit | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, bit | 126, length)
    else:
        head = struct.pack("!BBQ", first, bit | 127, length)
    if not is_masked:
        return head + payload
    masked = bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))
    return head + MASK + masked


class RawSocket:
    """A WebSocket whose frames the test writes and reads by itself."""

    def __init__(self, stand: Stand, path: str = "/echo", *, ahead: bytes = b"") -> None:
        self.socket: socket.socket = stand.socket()
        self.socket.sendall(handshake(path) + ahead)
        self._data = b""
        while b"\r\n\r\n" not in self._data:
            self._data += self._receive()
        self.head, _, self._data = self._data.partition(b"\r\n\r\n")

    def close(self) -> None:
        self.socket.close()

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def next(self) -> tuple[int, bytes]:
        """The next frame: its first byte, and its payload."""
        while True:
            if found := self._whole_frame():
                return found
            self._data += self._receive()

    def close_code(self) -> int:
        """Read until the close frame, and return its code; 1005 for none."""
        while True:
            first, payload = self.next()
            if first == 0x88:
                return int(struct.unpack("!H", payload[:2])[0]) if payload else 1005

    def _whole_frame(self) -> tuple[int, bytes] | None:
        if len(self._data) < 2:
            return None
        first, length = self._data[0], self._data[1]
        start = 2
        if length == 126:
            length, start = int.from_bytes(self._data[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(self._data[2:10], "big"), 10
        if len(self._data) < start + length:
            return None
        payload = self._data[start : start + length]
        self._data = self._data[start + length :]
        return first, payload

    def _receive(self) -> bytes:
        data = self.socket.recv(65536)
        assert data, "the edge closed the connection"
        return data


def handshake(
    path: str = "/echo", *, method: str = "GET", version: str = "HTTP/1.1", **fields: str | None
) -> bytes:
    """A handshake; a field of `None` is left out, underscores stand for hyphens."""
    lines = {
        "Host": "a",
        "Connection": "keep-alive, Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"{method} {path} {version}\r\n{text}\r\n".encode()
