"""Fast views beside slow ones: what one request in twenty that sleeps does to the others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.crowd import Ask, crowd
from bench.running import Running, StartError
from bench.section import Section
from bench.servers import TRIVET
from bench.summary import median
from bench.table import NOTHING, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.servers import Server

FAST, SLOW = "/", "/wait"
ASKS = [Ask("GET", FAST, 0.95), Ask("GET", SLOW, 0.05)]
CLIENTS = 32
WORKERS = 4
HEADS = ["server", "fast p50 ms", "fast p99 ms", "slow p99 ms", "requests/s", "p99 ÷ Trivet's"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One server's figures of one round; times in seconds."""

    fast_p50: float
    fast_p99: float
    slow_p99: float
    rate: float
    failures: int


def mix(servers: list[Server], rounds: int, seconds: int, tell: Callable[[str], None]) -> Section:
    """Measure each server once in each round, one after the other."""
    turns: dict[str, list[Turn]] = {server.name: [] for server in servers}
    for number in range(rounds):
        for server in servers:
            tell(f"  round {number + 1}: {server.name}")
            try:
                with Running(server, "flask_app:app", workers=WORKERS) as running:
                    running.wait_ready()
                    turns[server.name].append(asyncio.run(one_turn(running.port, seconds)))
            except StartError as error:
                tell(f"    did not start: {error}")
    ours = median(turn.fast_p99 for turn in turns[TRIVET]) if turns.get(TRIVET) else 0.0
    raw: dict[str, Any] = {
        name: [[turn.fast_p50, turn.fast_p99, turn.slow_p99, turn.rate] for turn in found]
        for name, found in turns.items()
    }
    failed = {name: sum(turn.failures for turn in found) for name, found in turns.items()}
    return Section(
        name="mix",
        title="Fast views beside slow ones",
        command="python -m bench mix",
        notes=[
            f"Of {CLIENTS} clients' requests 5 % are for a view that sleeps 500 ms.",
            f"{WORKERS} worker processes each; threads as each server's row says.",
            f"Median of {rounds} rounds of {seconds} s, interleaved. Failed: {failed}.",
        ],
        table=Table(HEADS, [row(name, found, ours) for name, found in turns.items()]),
        raw=raw,
    )


async def one_turn(port: int, seconds: int) -> Turn:
    """Warm up, then measure."""
    await crowd(port, ASKS, CLIENTS, 1)
    found = await crowd(port, ASKS, CLIENTS, seconds)
    fast, slow = found[FAST], found[SLOW]
    return Turn(
        fast_p50=fast.percentile(0.5),
        fast_p99=fast.percentile(0.99),
        slow_p99=slow.percentile(0.99),
        rate=(len(fast.seconds) + len(slow.seconds)) / seconds,
        failures=len(fast.failures) + len(slow.failures),
    )


def row(name: str, turns: list[Turn], ours: float) -> list[str]:
    """Give a server's medians."""
    if not turns:
        return [name, *[NOTHING] * (len(HEADS) - 1)]
    p99 = median(turn.fast_p99 for turn in turns)
    times = [median(turn.fast_p50 for turn in turns), p99, median(turn.slow_p99 for turn in turns)]
    return [
        name,
        *(f"{value * 1000:.1f}" for value in times),
        f"{median(turn.rate for turn in turns):,.0f}",
        f"{p99 / ours:.1f}" if ours else NOTHING,
    ]
