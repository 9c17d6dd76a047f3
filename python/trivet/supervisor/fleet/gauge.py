"""What the stand has done since the last look, from the edge's numbers and the kernel's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trivet.supervisor.events import AppUse, Measured, WorkerUse
from trivet.supervisor.fleet import machine
from trivet.wire import control

EVERY_S = 10.0
"""How often to look at a stand without requests: age and memory grow all the same."""


@dataclass(frozen=True, slots=True)
class Running:
    """A worker process; `shares` says that much of its memory is another's too."""

    number: int
    app: int
    pid: int
    shares: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was known of a worker at a look: CPU time, requests, and the wait of all of them."""

    cpu_s: float
    requests: int
    waited_us: int


class Gauge:
    """Looks, and tells what has changed since the look before."""

    def __init__(self, apps: int, now: float) -> None:
        self._apps = apps
        self._cpu = machine.CpuShare()
        self._at = now
        self._seen: dict[int, _Seen] = {}

    def next_deadline(self) -> float:
        """Return when to look at the latest, if the edge reports nothing until then."""
        return self._at + EVERY_S

    def look(self, now: float, running: Sequence[Running], load: control.Load | None) -> Measured:
        """Look; `load` is what the edge has just reported, or `None` for a quiet time."""
        seconds, self._at = max(now - self._at, 0.001), now
        loads = {each.worker: each for each in load.workers} if load else {}
        before = self._seen
        self._seen = {each.number: _see(each, loads, before) for each in running}
        by_app: list[dict[int, WorkerUse]] = [{} for _ in range(self._apps)]
        waits = [[0, 0] for _ in range(self._apps)]
        for each in running:
            seen = self._seen[each.number]
            last = before.get(each.number, _Seen(seen.cpu_s, 0, 0))
            waits[each.app][0] += seen.requests - last.requests
            waits[each.app][1] += seen.waited_us - last.waited_us
            by_app[each.app][each.number] = WorkerUse(
                requests=seen.requests,
                busy_cpus=(seen.cpu_s - last.cpu_s) / seconds,
                memory=memory(each),
                in_flight=loads[each.number].in_flight if each.number in loads else 0,
            )
        oldest = {each.app: each.oldest_wait_us for each in load.apps} if load else {}
        return Measured(
            seconds=seconds,
            cpu_share=self._cpu.look(),
            free_memory=machine.free_memory(),
            apps=tuple(
                AppUse(
                    wait_s=max(waited / max(count, 1), oldest.get(app, 0)) / 1e6,
                    workers=by_app[app],
                )
                for app, (count, waited) in enumerate(waits)
            ),
        )


def _see(
    worker: Running, loads: Mapping[int, control.WorkerLoad], before: Mapping[int, _Seen]
) -> _Seen:
    cpu_s = machine.cpu_seconds(worker.pid)
    if load := loads.get(worker.number):
        return _Seen(cpu_s, load.requests, load.waited_us)
    last = before.get(worker.number, _Seen(0, 0, 0))
    return _Seen(cpu_s, last.requests, last.waited_us)


def memory(worker: Running) -> int:
    """Return the bytes of memory that a worker costs."""
    if worker.shares:
        return machine.proportional_bytes(worker.pid)
    return machine.resident_bytes(worker.pid)
