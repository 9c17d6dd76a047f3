"""When a worker has served long enough: by requests, by age, by memory.

Pure decisions, without clock or I/O. Limits are spread by a *jitter*, so that workers that were
started together do not all end together.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LifetimePlan:
    """What ends a worker's service; `None` for no such limit.

    `max_requests` and its `jitter` are counts, `max_age_s` seconds, `max_memory` bytes.
    """

    max_requests: int | None = None
    max_requests_jitter: int = 0
    max_age_s: float | None = None
    max_memory: int | None = None

    def draw(self, random: Callable[[], float]) -> "Lifetime":
        """Return the limits of one worker; `random` gives numbers from 0 to 1.

        Requests are spread as the operator says, age by a tenth. Memory is not spread: it grows
        at each worker's own pace, and the limit may be the last before the machine's.
        """
        requests, age = self.max_requests, self.max_age_s
        return Lifetime(
            requests=None
            if requests is None
            else requests + round(self.max_requests_jitter * random()),
            age_s=None if age is None else age * (1 + random() / 10),
            memory=self.max_memory,
        )


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The limits of one worker."""

    requests: int | None
    age_s: float | None
    memory: int | None

    def is_over(self, *, requests: int, age_s: float, memory: int) -> str | None:
        """Return why the worker is to be recycled, as a part of a sentence, or `None`."""
        if self.requests is not None and requests >= self.requests:
            return f"after {requests:,} requests"
        if self.age_s is not None and age_s >= self.age_s:
            return f"after {_hours(age_s)}"
        if self.memory is not None and memory >= self.memory:
            return f"with {memory / 2**20:.0f} MiB of memory"
        return None


def _hours(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"
