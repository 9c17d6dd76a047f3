"""WebSocket connections that each wait for their echo before they send again.

Strategy: one thread and one epoll over plain sockets. A frame is made once, with a mask of zeroes,
and an answer is counted by its bytes: so a client costs two system calls and little else per
message, less than any server spends on it.
"""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bench.wrk import Result, WrkError

if TYPE_CHECKING:
    from bench.wrk import Load

TEXT = b"0123456789abcdef0123456789abcdef"
FRAME = bytes([0x81, 0x80 | len(TEXT), 0, 0, 0, 0]) + TEXT
ANSWER = bytes([0x81, len(TEXT)]) + TEXT
CONNECT_SECONDS = 20.0
# A server that answers nothing for so long has lost a message.
STALL_SECONDS = 5.0
# Sampled, so that measuring the time does not become the load.
SAMPLED = 8


class Client:
    """One connection with one message under way."""

    __slots__ = ("count", "missing", "sent_at", "socket")

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.missing = 0
        self.count = 0
        self.sent_at = 0.0

    def send(self) -> None:
        """Send the next message."""
        self.missing = len(ANSWER)
        if self.count % SAMPLED == 0:
            self.sent_at = time.perf_counter()
        self.socket.send(FRAME)


def run(url: str, load: Load, seconds: int) -> Result:
    """Let every connection exchange messages for `seconds`.

    Raises:
        WrkError: if a connection is refused, ends, or gets something else than its echo.
    """
    clients: dict[int, Client] = {}
    poller = select.epoll()
    try:
        for _ in range(load.connections):
            client = Client(connect(url))
            clients[client.socket.fileno()] = client
            poller.register(client.socket, select.EPOLLIN)
        return exchange(clients, poller, seconds)
    except OSError as error:
        raise WrkError(f"websocket: {error!r}") from error
    finally:
        poller.close()
        for client in clients.values():
            client.socket.close()


def connect(url: str) -> socket.socket:
    """Open a WebSocket, and see its first echo.

    Raises:
        OSError: if the server is not there.
        WrkError: if it does something else.
    """
    parts = urlsplit(url)
    connected = socket.create_connection((parts.hostname, parts.port or 80), CONNECT_SECONDS)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        shake_hands(connected, parts.path, parts.netloc)
    except BaseException:
        connected.close()
        raise
    connected.setblocking(False)
    return connected


def shake_hands(connected: socket.socket, path: str, host: str) -> None:
    """Become a WebSocket, and see the first echo.

    Raises:
        WrkError: if the server does something else.
    """
    connected.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connected.recv(4096)
        if not piece:
            raise WrkError("the handshake was not answered")
        data += piece
    if b" 101 " not in data.partition(b"\r\n")[0]:
        raise WrkError(f"no WebSocket: {data[:80]!r}")
    connected.sendall(FRAME)
    answer = connected.recv(len(ANSWER), socket.MSG_WAITALL)
    if answer != ANSWER:
        raise WrkError(f"not its echo: {answer!r}")


def exchange(clients: dict[int, Client], poller: select.epoll, seconds: int) -> Result:
    """Send and count until the time is over.

    Raises:
        WrkError: if a connection ends, or nothing comes for long.
    """
    latencies: list[float] = []
    begun = time.perf_counter()
    end = begun + seconds
    for client in clients.values():
        client.send()
    while (now := time.perf_counter()) < end:
        events = poller.poll(STALL_SECONDS)
        if not events:
            raise WrkError(f"no answer for {STALL_SECONDS:.0f} s")
        for number, _ in events:
            client = clients[number]
            data = client.socket.recv(256)
            if not data:
                raise WrkError("the server closed a connection")
            client.missing -= len(data)
            if client.missing > 0:
                continue
            if client.count % SAMPLED == 0:
                latencies.append(time.perf_counter() - client.sent_at)
            client.count += 1
            client.send()
    return summary(sum(client.count for client in clients.values()), now - begun, latencies)


def summary(messages: int, seconds: float, latencies: list[float]) -> Result:
    """Say it as wrk does: a message and its echo are a request."""
    latencies.sort()
    if not latencies:
        raise WrkError("no message was answered")
    return Result(
        requests=messages,
        rate=messages / seconds,
        bytes_per_second=messages * len(ANSWER) / seconds,
        p50_us=latencies[len(latencies) // 2] * 1e6,
        p99_us=latencies[len(latencies) * 99 // 100] * 1e6,
        bad_statuses=0,
        socket_errors=0,
    )
