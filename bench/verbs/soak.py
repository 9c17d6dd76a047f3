"""A minute under load with a worker killed each second, and two with a reload every three."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from bench.crowd import Ask, Outcome, crowd
from bench.running import Running
from bench.section import Section
from bench.sockets import echo
from bench.table import Table
from bench.verbs import roles

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.servers import Server

T = TypeVar("T")
IDEMPOTENT = [Ask("GET", "/", 0.8), Ask("GET", "/page/June", 0.2)]
ALL_KINDS = [
    Ask("GET", "/", 0.5),
    Ask("POST", "/post", 0.2),
    Ask("GET", "/stream", 0.2),
    Ask("GET", "/wait", 0.1),
]
CLIENTS = 16
HEADS = ["what happens", "times", "requests", "failed", "slowest ms"]


def soak(trivet: Server, seconds: int, tell: Callable[[str], None]) -> Section:
    """Do all of them, for so many seconds each."""
    rows = []
    failures: list[str] = []
    for title, asks, accident, pause in (
        ("kill -9 of a random worker each second, GET", IDEMPOTENT, kill_a_worker, 1.0),
        ("reload every 3 s, GET, POST and streams", ALL_KINDS, reload, 3.0),
    ):
        tell(f"  {title}")
        with Running(trivet, "flask_app:app") as running:
            running.wait_ready()
            asked = crowd(running.port, asks, CLIENTS, seconds)
            times, found = asyncio.run(beside(running, asked, accident, pause))
        rows.append(row(title, times, list(found.values())))
        failures += [text for outcome in found.values() for text in outcome.failures][:5]
    tell("  reload every 3 s, WebSockets")
    with Running(trivet, "asgi_bare:echo", interface="asgi") as running:
        running.wait_ready()
        sockets = echo(running.port, CLIENTS, seconds)
        times, outcome = asyncio.run(beside(running, sockets, reload, 3.0))
    title = "reload every 3 s, WebSockets (closed with 1012, and come again)"
    rows.append(row(title, times, [outcome]))
    failures += outcome.failures[:5]
    return Section(
        name="soak",
        title="Kills and reloads under load",
        command="python -m bench soak",
        notes=[
            f"{CLIENTS} clients that ask without a pause, two workers, {seconds} s each.",
            f"The first failures: {failures or 'none'}.",
        ],
        table=Table(HEADS, rows),
        raw={"failures": failures},
    )


def row(title: str, times: int, found: list[Outcome]) -> list[str]:
    """Add up what came of a crowd's requests."""
    failed = sum(len(outcome.failures) for outcome in found)
    slowest = max((each for outcome in found for each in outcome.seconds), default=0)
    answered = sum(len(outcome.seconds) for outcome in found)
    return [title, str(times), f"{answered:,}", str(failed), f"{slowest * 1000:.0f}"]


async def beside(
    running: Running,
    asked: Awaitable[T],
    accident: Callable[[Running], None],
    pause: float,
) -> tuple[int, T]:
    """Let somebody ask while the accident happens again and again; give how often it did."""
    times = 0

    async def happen() -> None:
        nonlocal times
        while True:
            await asyncio.sleep(pause)
            accident(running)
            times += 1

    task = asyncio.create_task(happen())
    found = await asked
    task.cancel()
    return times, found


def kill_a_worker(running: Running) -> None:
    """Kill one at random, if there is one at this moment."""
    if pids := roles.pids_by_role(running).get("workers"):
        with suppress(ProcessLookupError):
            os.kill(random.choice(pids), signal.SIGKILL)


def reload(running: Running) -> None:
    """Ask for a reload; one that is still going on is followed by another."""
    running.main.send_signal(signal.SIGHUP)
