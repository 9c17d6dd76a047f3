"""One workload, all servers, round by round.

Strategy: a shared machine changes from minute to minute, so a server is only ever compared with
what ran beside it: each round gives every server one turn, in an order rotated by one from round
to round, and ratios are taken within a round. Servers are started once per workload and stay,
idle, through all rounds. Starting them per turn would measure a cold one each time (empty memory
pools, unspecialized bytecode) and cost seconds per turn, while idle ones cost little: all of them
together took below 1 % of one CPU when this was decided. Each turn starts with a warm-up, as an
idle server may have let threads go.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import echo, procfs, wrk
from bench.ports import LOOPBACK
from bench.running import Running, StartError
from bench.servers import TRIVET, Server
from bench.slow_clients import SlowClients
from bench.workloads import Workload, WrongAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable

# A server of many slow clients may need a moment to notice that they are gone.
RECOVERY_SECONDS = 10.0
ROLES = {"edge": "trivet edge", "worker": "trivet worker"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how often."""

    rounds: int = 5
    seconds: int = 4
    warm_up_seconds: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One server's turn in one round.

    `cpu_us` is CPU time per request by role, `all` among them. `alone_rate` is the rate without
    slow clients, in a workload that has them. `stolen` is the share of all CPU time that the
    hypervisor gave to others meanwhile: a noisy turn shows there.
    """

    server: str
    round: int
    result: wrk.Result
    cpu_us: dict[str, float]
    peak_rss_bytes: int
    pss_bytes: int | None
    alone_rate: float | None
    stolen: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """All turns of one workload; `absent` says why a server has none (or no more)."""

    workload: str
    plan: Plan
    turns: list[Turn]
    absent: dict[str, str]


def measure(
    workload: Workload, servers: list[Server], plan: Plan, tell: Callable[[str], None]
) -> Measurement:
    """Run all rounds of one workload; every server is stopped on return, also by an exception."""
    turns: list[Turn] = []
    absent: dict[str, str] = {}
    with ExitStack() as stack:
        started = start_all(workload, servers, absent, stack)
        for server, why in absent.items():
            tell(f"  {server}: {why}")
        for number in range(plan.rounds):
            shift = number % max(1, len(started))
            for running in started[shift:] + started[:shift]:
                name = running.server.name
                if name in absent:
                    continue
                try:
                    turn = take_turn(workload, running, plan, number)
                except wrk.WrkError as error:
                    absent[name] = f"failed in round {number + 1}: {error}"
                    tell(f"  {name}: {absent[name]}")
                    continue
                turns.append(turn)
                tell(f"  round {number + 1}  {name:16} {turn.result.rate:10.0f} requests/s")
    return Measurement(workload=workload.name, plan=plan, turns=turns, absent=absent)


def start_all(
    workload: Workload, servers: list[Server], absent: dict[str, str], stack: ExitStack
) -> list[Running]:
    """Start every server that can be, and check its answer; the others go to `absent`."""
    started = []
    for server in servers:
        if why := server.missing():
            absent[server.name] = why
            continue
        running = Running(server, workload.app, interface=workload.interface)
        stack.enter_context(running)
        try:
            running.wait_ready(workload.path)
            workload.check(running.port)
        except StartError as error:
            absent[server.name] = f"did not start: {error}"
            running.stop()
        except WrongAnswerError as error:
            absent[server.name] = f"wrong answer: {error}"
            running.stop()
        else:
            started.append(running)
    return started


def take_turn(workload: Workload, running: Running, plan: Plan, number: int) -> Turn:
    """Warm one server up and load it once."""
    url = f"http://{LOOPBACK}:{running.port}{workload.path}"
    generate(url, workload.load, plan.warm_up_seconds)
    if not workload.slow_clients:
        return load(running, url, workload.load, plan, number)
    alone = wrk.run(url, workload.load, plan.seconds)
    with SlowClients(running.port, workload.slow_clients):
        # Two bytes of each head are under way before the fast client starts.
        time.sleep(plan.warm_up_seconds + 0.5)
        turn = load(running, url, workload.load, plan, number, alone_rate=alone.rate)
    running.wait_ready(workload.path, RECOVERY_SECONDS)
    return turn


def generate(url: str, how: wrk.Load, seconds: int) -> wrk.Result:
    """Load a server with what the workload needs."""
    run = echo.run if how.is_websocket else wrk.run
    return run(url, how, seconds)


def load(
    running: Running,
    url: str,
    how: wrk.Load,
    plan: Plan,
    number: int,
    *,
    alone_rate: float | None = None,
) -> Turn:
    """Run wrk once and read the process table on both sides of it."""
    before, stolen_before = running.tree(), procfs.stolen_ticks()
    result = generate(url, how, plan.seconds)
    after, stolen_after = running.tree(), procfs.stolen_ticks()
    memory = procfs.memory(process.pid for process in after)
    stolen, total = (new - old for new, old in zip(stolen_after, stolen_before, strict=True))
    return Turn(
        server=running.server.name,
        round=number,
        result=result,
        cpu_us=cpu_per_request(running.server.name, before, after, result.requests),
        peak_rss_bytes=memory.peak_rss_bytes,
        pss_bytes=memory.pss_bytes,
        alone_rate=alone_rate,
        stolen=stolen / max(1, total),
    )


def cpu_per_request(
    server: str, before: list[procfs.Process], after: list[procfs.Process], requests: int
) -> dict[str, float]:
    """Divide the CPU time spent between two looks at a process tree by the requests answered.

    Trivet's is also told apart by role, known from the command line. A process born in between
    counts in full; one that ended in between is lost.
    """
    if requests == 0:
        return {}
    earlier = {(process.pid, process.started_ticks): process.cpu_us for process in before}
    spent = [
        (process.command, process.cpu_us - earlier.get((process.pid, process.started_ticks), 0.0))
        for process in after
    ]
    shares = {"all": sum(cpu_us for _, cpu_us in spent) / requests}
    if server == TRIVET:
        for role, mark in ROLES.items():
            shares[role] = sum(cpu_us for command, cpu_us in spent if mark in command) / requests
    return shares
