"""How the stand is, as its state machine knows it; nothing that has to be asked of others."""

from dataclasses import dataclass
from typing import Literal

from trivet.wire.stand_control import State


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """A worker process that has not been reaped."""

    number: int
    state: str
    generation: int
    age_s: float
    interface: Literal["wsgi", "asgi"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFacts:
    """The workers of one app: how many are wanted, and who is there."""

    name: str
    wanted: int
    workers: tuple[WorkerFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """A background task: how often it was started, and how long ago last."""

    name: str
    state: str
    runs: int
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The stand at one moment."""

    state: State
    uptime_s: float
    edge_is_ready: bool
    apps: tuple[FleetFacts, ...]
    tasks: tuple[TaskFacts, ...]
