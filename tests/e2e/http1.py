"""A client for HTTP/1.1 that does exactly what a test tells it, and reads answers strictly."""

import contextlib
import json
import os
import socket
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from tests.e2e.stand import Stand, start
from tests.waiting import wait_until

APPS = Path(__file__).parent / "apps"


class CutOffError(Exception):
    """The connection ended before the answer did."""


@dataclass
class RawAnswer:
    """A response as it was on the wire."""

    version: str
    status: int
    reason: str
    fields: list[tuple[str, str]]
    """Names in lower case, in the order in which they came."""
    body: bytes

    def field(self, name: str) -> str | None:
        """The only value of a field."""
        values = [value for key, value in self.fields if key == name]
        assert len(values) < 2, values
        return values[0] if values else None

    @property
    def closes(self) -> bool:
        return (self.field("connection") or "").lower() == "close"

    def json(self) -> Any:
        return json.loads(self.body)


@final
class Client:
    """One connection. What it has received and not yet read is in `received`."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.received = bytearray()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def port(self) -> int:
        """The client's port, as the access log has it."""
        return int(self.socket.getsockname()[1])

    def send(self, *pieces: bytes | str) -> None:
        for piece in pieces:
            self.socket.sendall(piece.encode("latin-1") if isinstance(piece, str) else piece)

    def send_while_taken(self, data: bytes) -> None:
        """Send to an edge that may answer and close before it has got everything."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def get(self, target: str, *fields: str) -> RawAnswer:
        """Send a GET request and read the answer."""
        self.send(request("GET", target, *fields))
        return self.answer()

    def head(self) -> RawAnswer:
        """Read an answer up to the end of its head."""
        while b"\r\n\r\n" not in self.received:
            self._receive()
        head, _, rest = bytes(self.received).partition(b"\r\n\r\n")
        self.received = bytearray(rest)
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, reason = first.split(" ", 2)
        fields = [(name.lower(), value) for name, value in (x.split(": ", 1) for x in lines)]
        return RawAnswer(version, int(status), reason, fields, b"")

    def answer(self, method: str = "GET") -> RawAnswer:
        """Read a whole answer.

        Raises:
            CutOffError: It did not come to its end.
        """
        answer = self.head()
        if method == "HEAD" or answer.status in {204, 304} or answer.status < 200:
            return answer
        if (length := answer.field("content-length")) is not None:
            answer.body = self.exactly(int(length))
        elif answer.field("transfer-encoding") == "chunked":
            answer.body = b"".join(self.chunks())
        else:
            answer.body = self.rest()
        return answer

    def chunk(self) -> bytes:
        """Read one chunk; the last one is empty."""
        while b"\r\n" not in self.received:
            self._receive()
        line, _, rest = bytes(self.received).partition(b"\r\n")
        self.received = bytearray(rest)
        data = self.exactly(int(line, 16) + 2)
        assert data.endswith(b"\r\n")
        return data[:-2]

    def chunks(self) -> Iterator[bytes]:
        while chunk := self.chunk():
            yield chunk

    def exactly(self, length: int) -> bytes:
        while len(self.received) < length:
            self._receive()
        data = bytes(self.received[:length])
        del self.received[:length]
        return data

    def rest(self) -> bytes:
        """Read until the edge closes in good order."""
        while piece := self.socket.recv(1 << 16):
            self.received += piece
        data = bytes(self.received)
        self.received.clear()
        return data

    def is_ended(self) -> bool:
        """Wait until the edge closes; whether nothing came before that."""
        with contextlib.suppress(ConnectionResetError):
            return not self.rest()
        return not self.received

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long; this is how a slow client passes its time."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            self.received += self.socket.recv(1 << 16)
        except TimeoutError:
            return not self.received
        finally:
            self.socket.settimeout(before)
        return False

    def _receive(self) -> None:
        piece = self.socket.recv(1 << 20)
        if not piece:
            raise CutOffError(bytes(self.received[:200]))
        self.received += piece


def connect(stand: Stand, *, receive_buffer: int = 0) -> Client:
    """Connect; `receive_buffer` makes a client that soon takes nothing more."""
    if not receive_buffer:
        return Client(stand.socket())
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connected.settimeout(20)
    connected.connect(("127.0.0.1", stand.port))
    return Client(connected)


def request(method: str, target: str, *fields: str, body: bytes = b"", host: str = "a") -> bytes:
    """A request; `Content-Length` is added where there is a body and no other framing."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
    if body and not any(line.startswith("Transfer-Encoding") for line in fields):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    """Content in chunks, with its end."""
    data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return data + b"0\r\n" + trailers + b"\r\n"


@contextlib.contextmanager
def running(
    folder: Path, *arguments: str, config: str = "", app: str = "edge", **options: Any
) -> Iterator[Stand]:
    """Serve an app of `tests/e2e/apps` from `folder`, until the end; it must end well."""
    (folder / "trivet.toml").write_text(textwrap.dedent(config))
    arguments = ("app:app", "--app-dir", str(APPS / app), *arguments)
    stand = start(*arguments, cwd=folder, **options)
    try:
        yield stand
        if stand.process.poll() is None:
            assert stand.stop() == 0, stand.describe()
    finally:
        stand.kill()


def line_of(stand: Stand, client: "Client | int") -> dict[str, Any]:
    """Wait for the access log line of a connection that made one request."""
    port = client if isinstance(client, int) else client.port
    return stand.wait_for_request(lambda line: line.get("client_port") == port)


def lines_of(stand: Stand, client: "Client | int") -> list[dict[str, Any]]:
    """The access log lines of a connection so far."""
    port = client if isinstance(client, int) else client.port
    return [line for line in stand.requests() if line.get("client_port") == port]


def wait_for_file(path: Path) -> None:
    """Wait until the app has made a file."""
    wait_until(path.exists, lambda: f"{path} was never made")


def make_fifo(folder: Path) -> Path:
    """Make what an app can wait for."""
    path = folder / f"fifo-{len(list(folder.iterdir()))}"
    os.mkfifo(path)
    return path


def release(path: Path) -> None:
    """Let an app go on that waits for a FIFO."""
    path.write_bytes(b"go")
