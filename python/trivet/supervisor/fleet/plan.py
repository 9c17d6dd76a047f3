"""What a fleet is made from, as the settings say it."""

from dataclasses import dataclass, field
from pathlib import Path

from trivet.supervisor.fleet.lifetime import LifetimePlan
from trivet.wire import control

LOOP_CAPACITY = 100
"""Requests that one event loop runs at once: enough to keep it busy while they wait, few enough
that none of them waits long for its turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """What a fleet is made from: seats, and what its workers are allowed, in seconds.

    `name` stands before what is said of it; it is empty where there is only one app.
    """

    name: str
    workers: int
    graceful_s: float
    load_s: float
    grace_s: float
    """What an interrupted request gets to let go."""
    folder: Path
    """Where its workers run."""
    threads: int = 1
    """Requests that a worker runs at once, where it has no event loop."""
    max_workers: int = 0
    """Above `workers`, the number follows what there is to do."""
    warm_up: control.WarmUp | None = None
    """What a new worker answers before it serves."""
    surge: int | None = None
    """New workers that a rollout starts at once; `None` for as many as there are seats."""
    lifetime: LifetimePlan = field(default_factory=LifetimePlan)

    @property
    def is_measured(self) -> bool:
        """Whether anything depends on what the workers use."""
        return self.max_workers > self.workers or self.lifetime != LifetimePlan()
