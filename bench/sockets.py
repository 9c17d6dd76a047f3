"""WebSocket clients that echo without a pause, and come again when they are asked to (1012)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bench.crowd import ANSWER_SECONDS, Outcome
from bench.echo import FRAME, TEXT
from bench.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TEXT_FRAME, CLOSE_FRAME, PING_FRAME = 0x81, 0x88, 0x89
# An answer to a ping, masked with zeroes and empty.
PONG = bytes([0x8A, 0x80, 0, 0, 0, 0])
RESTARTS = 1012


class EndedError(Exception):
    """The server closed with this code."""


async def echo(port: int, clients: int, seconds: float) -> Outcome:
    """Let the clients echo for so long.

    A close with 1012 ("service restart", RFC 6455's registry) is what a reload promises; whatever
    else ends a connection is a failure.
    """
    outcome = Outcome()
    end = time.monotonic() + seconds
    await asyncio.gather(*(_client(port, outcome, end) for _ in range(clients)))
    return outcome


async def _client(port: int, outcome: Outcome, end: float) -> None:
    while time.monotonic() < end:
        writer = None
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.write(HANDSHAKE)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_SECONDS)
            if not head.startswith(b"HTTP/1.1 101"):
                outcome.failures.append(head.split(b"\r\n")[0].decode())
                continue
            while time.monotonic() < end:
                started = time.monotonic()
                writer.write(FRAME)
                await asyncio.wait_for(_answer(reader, writer), ANSWER_SECONDS)
                outcome.seconds.append(time.monotonic() - started)
        except EndedError as ended:
            if ended.args != (RESTARTS,):
                outcome.failures.append(f"closed with {ended}")
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            outcome.failures.append(repr(error))
        finally:
            if writer is not None:
                writer.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait for the echo; answer pings meanwhile."""
    while True:
        kind, length = await reader.readexactly(2)
        content = await reader.readexactly(length)
        if kind == TEXT_FRAME:
            if content != TEXT:
                raise EOFError(f"not the echo: {content!r}")
            return
        if kind == PING_FRAME:
            writer.write(PONG)
        elif kind == CLOSE_FRAME:
            raise EndedError(_code(content))


def _code(content: Sequence[int]) -> int:
    return int.from_bytes(bytes(content[:2]), "big")
