"""Clients that ask without a pause and time each answer: one thread, one connection for each.

wrk tells latencies of all requests together; here each kind of request has its own, and each
request that got no good answer is counted.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from bench.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Ask:
    """A kind of request, and how often it is made beside the others."""

    method: str
    target: str
    share: float

    def head(self) -> bytes:
        """Give its bytes; a POST has five bytes of content."""
        content = b"Content-Length: 5\r\n\r\nhello" if self.method == "POST" else b"\r\n"
        return f"{self.method} {self.target} HTTP/1.1\r\nHost: localhost\r\n".encode() + content


@dataclass(slots=True)
class Outcome:
    """What came of one kind of request: seconds of each good answer, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """Give the seconds that `share` of the answers took at the most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


async def crowd(port: int, asks: Sequence[Ask], clients: int, seconds: float) -> dict[str, Outcome]:
    """Ask for so long; the outcomes are by target."""
    outcomes = {ask.target: Outcome() for ask in asks}
    end = time.monotonic() + seconds
    await asyncio.gather(*(_client(port, asks, outcomes, end) for _ in range(clients)))
    return outcomes


async def _client(port: int, asks: Sequence[Ask], outcomes: dict[str, Outcome], end: float) -> None:
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    weights = [ask.share for ask in asks]
    while time.monotonic() < end:
        (ask,) = random.choices(asks, weights)
        outcome = outcomes[ask.target]
        started = time.monotonic()
        try:
            if connection is None:
                connection = await asyncio.open_connection(LOOPBACK, port)
            status, keeps = await asyncio.wait_for(_ask(*connection, ask), ANSWER_SECONDS)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
            outcome.failures.append(repr(error))
            connection = _close(connection)
            continue
        if status == b"200":
            outcome.seconds.append(time.monotonic() - started)
        else:
            outcome.failures.append(status.decode())
        if not keeps:
            connection = _close(connection)
    _close(connection)


Connection: TypeAlias = "tuple[asyncio.StreamReader, asyncio.StreamWriter]"


def _close(connection: Connection | None) -> Connection | None:
    """Close it if it is there; what is left is none."""
    if connection:
        connection[1].close()
    return None


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ask: Ask
) -> tuple[bytes, bool]:
    """Make one request; give the status, and whether the connection may be used again."""
    writer.write(ask.head())
    head = await reader.readuntil(b"\r\n\r\n")
    fields = head.lower()
    if b"transfer-encoding: chunked" in fields:
        while (size := int(await reader.readuntil(b"\r\n"), 16)) > 0:
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    else:
        length = fields.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))
    return head.split(b" ", 2)[1], b"connection: close" not in fields
