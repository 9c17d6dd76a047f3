"""What an app's workers need while all of them serve: a successor, or a change of their number.

Pure decisions: `lifetime` says when a worker is to be recycled, `scaling` how many there should be;
here is the order, one thing at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trivet.supervisor import events as on
from trivet.supervisor.fleet.roster import Worker
from trivet.supervisor.fleet.scaling import Pressure, Scaler, has_room

NO_ROOM_S = 60.0
"""How long to wait where there is no memory for a successor: that is not said each second."""


@dataclass(frozen=True, slots=True)
class Recycle:
    """A worker has served long enough: `because` completes "is recycled"."""

    worker: Worker
    because: str


@dataclass(frozen=True, slots=True)
class Resize:
    """One worker more or fewer, and why."""

    change: int
    because: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something should be done and cannot."""

    text: str


Decision: TypeAlias = Recycle | Resize | Remark | None


class Upkeep:
    """What one app's workers have needed lately."""

    def __init__(self, *, least: int, most: int) -> None:
        self._scaler = Scaler(least=least, most=most)
        self._recycle_at = 0.0

    def keep_at_least(self, workers: int) -> None:
        """Go by the operator's number from now on: it is also the most, if that was less."""
        self._scaler.keep_between(workers, max(workers, self._scaler.most))

    def wait_until(self, now: float) -> None:
        """Recycle nobody before this: a successor has failed."""
        self._recycle_at = now

    def rest(self) -> None:
        """Forget what spoke for a change: the workers are changing for another reason."""
        self._scaler.rest()

    def decide(
        self,
        serving: Sequence[Worker],
        use: on.AppUse,
        event: on.Measured,
        capacity: int,
        now: float,
    ) -> Decision:
        """Take note of what was measured; `capacity` is what one worker runs at once."""
        decision = self._recycle(serving, use, event, now) if now >= self._recycle_at else None
        return decision or self._resize(len(serving), use, event, capacity)

    def _recycle(
        self, serving: Sequence[Worker], use: on.AppUse, event: on.Measured, now: float
    ) -> Decision:
        for worker in serving:
            seen = use.workers.get(worker.number)
            because = seen and worker.lifetime.is_over(
                requests=seen.requests, age_s=now - worker.started, memory=seen.memory
            )
            if not seen or not because:
                continue
            if has_room(event.free_memory, seen.memory):
                return Recycle(worker, because)
            self._recycle_at = now + NO_ROOM_S
            who = f"worker {worker.number} should be recycled {because}"
            return Remark(f"{who}, but there is no memory for another")
        return None

    def _resize(self, workers: int, use: on.AppUse, event: on.Measured, capacity: int) -> Decision:
        uses = use.workers.values()
        pressure = Pressure(
            seconds=event.seconds,
            wait_s=use.wait_s,
            busy_cpus=sum(each.busy_cpus for each in uses),
            cpu_share=event.cpu_share,
            in_flight=sum(each.in_flight for each in uses),
            capacity=capacity,
            free_memory=event.free_memory,
            worker_memory=max((each.memory for each in uses), default=None),
        )
        advice = self._scaler.advise(workers, pressure)
        if advice is None:
            return None
        return Resize(advice.change, advice.because) if advice.change else Remark(advice.because)
