"""How many workers an app needs, by how long its requests wait and what its processes do.

Pure decisions, without clock or I/O. Strategy: another process helps only while requests wait
*and* the workers do not compute on busy CPUs: there it would only take time from those that run.
So a worker is added when, for a few seconds on end, requests have waited longer than
`SLOW_WAIT_S`, CPUs were idle or the workers hardly used any, and there is memory for one more. It
is taken away after a minute in which the others could have done the work easily. Slow down, quick
up: a worker too many costs memory, one too few costs people's time.
"""

from dataclasses import dataclass

SLOW_WAIT_S = 0.02
"""A mean wait that people begin to feel, and far more than a window behind a busy thread."""

UP_AFTER = 3
"""Seconds on end that speak for another worker: a burst that is over by then needs none."""

DOWN_AFTER = 60
"""Seconds on end that speak for one less."""

BUSY_CPU = 0.85
"""Share of the CPUs in use from which on another process that computes would only share them."""

COMPUTING = 0.3
"""CPUs that a worker uses on average from which on it computes, and does not mostly wait."""

EASY = 0.6
"""Share of what the others can do, below which one less is enough."""

ROOM = 1.25
"""Memory that must be free for one more worker, in units of the largest present one."""

_SLACK = 0.5
"""Looks come a little early or late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """What the last `seconds` have shown of an app, and of the machine.

    `wait_s` is the mean wait of the requests answered in it, or the age of the oldest that waits
    if that is more; `busy_cpus` what the app's workers used, in CPUs; `cpu_share` what everybody
    used of the CPUs that this stand may use, 0 to 1; `in_flight` the requests on the workers, of
    which one runs `capacity` at once;
    `free_memory` and `worker_memory` (of the largest worker) are bytes, `None` if unknown.
    """

    seconds: float
    wait_s: float
    busy_cpus: float
    cpu_share: float
    in_flight: int
    capacity: int
    free_memory: int | None
    worker_memory: int | None


def has_room(free_memory: int | None, worker_memory: int | None) -> bool:
    """Whether another worker as large as this one fits into memory, as far as is known."""
    return free_memory is None or not worker_memory or free_memory >= worker_memory * ROOM


@dataclass(frozen=True, slots=True)
class Advice:
    """A change of the number of workers, and why."""

    change: int
    because: str


class Scaler:
    """What one app has needed lately."""

    def __init__(self, *, least: int, most: int) -> None:
        self.least = least
        self.most = most
        self._slow = 0.0
        self._easy = 0.0
        self._is_short_of_memory = False

    def advise(self, workers: int, pressure: Pressure) -> Advice | None:
        """Take note of what was seen; return what to do, if anything.

        `workers` is how many there are, all of them serving: call it only then, so that the last
        change has shown what it does.
        """
        is_slow = pressure.wait_s >= SLOW_WAIT_S
        is_easy = not is_slow and self._is_easy(workers, pressure)
        # A long look is one sign of want, not many; a calm that lasts is as long as it is.
        more = min(pressure.seconds, 1.0)
        is_full = pressure.cpu_share >= BUSY_CPU and pressure.busy_cpus >= workers * COMPUTING
        self._slow = self._slow + more if is_slow and not is_full else 0.0
        self._easy = self._easy + pressure.seconds if is_easy else 0.0
        if self._slow >= UP_AFTER - _SLACK and workers < self.most:
            return self._up(workers, pressure)
        if self._easy >= DOWN_AFTER - _SLACK and workers > self.least:
            self._easy = 0.0
            return Advice(-1, f"little to do for {DOWN_AFTER} s")
        return None

    def keep_between(self, least: int, most: int) -> None:
        """Take new limits: the operator has asked for a number of workers."""
        self.least, self.most = least, most
        self.rest()

    def rest(self) -> None:
        """Forget: the workers are being changed for another reason."""
        self._slow = self._easy = 0.0

    def _up(self, workers: int, pressure: Pressure) -> Advice | None:
        self._slow = 0.0
        waited = f"requests waited {pressure.wait_s * 1000:.0f} ms"
        if not has_room(pressure.free_memory, pressure.worker_memory):
            was_short, self._is_short_of_memory = self._is_short_of_memory, True
            if was_short:
                return None
            return Advice(0, f"{waited}, but there is no memory for another worker")
        self._is_short_of_memory = False
        used = f"each worker used {pressure.busy_cpus / workers:.0%} of a CPU"
        return Advice(+1, f"{waited}, and {used}")

    def _is_easy(self, workers: int, pressure: Pressure) -> bool:
        others = workers - 1
        return (
            pressure.busy_cpus < others * EASY
            and pressure.in_flight < others * pressure.capacity * EASY
        )
