"""What can happen to the stand, as data: the input of `policy`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from trivet.supervisor.deaths import Death
from trivet.supervisor.fleet.plan import FleetPlan
from trivet.supervisor.overdue.sight import Look
from trivet.supervisor.tasks.terms import TaskTerms
from trivet.wire import control
from trivet.wire.worker_control import Interrupted, Loaded, LoadFailure


@dataclass(frozen=True, slots=True)
class EdgeReady:
    """The edge accepts connections."""


@dataclass(frozen=True, slots=True)
class EdgeRefused:
    """The edge cannot use its configuration, and exits."""

    reason: str


@dataclass(frozen=True, slots=True)
class EdgeExited:
    """The edge is gone."""

    death: Death


@dataclass(frozen=True, slots=True)
class EdgeReconfigured:
    """The edge's answer to the `ReconfigureEdge` of this number; `refused` says why it cannot."""

    number: int
    refused: str | None


@dataclass(frozen=True, slots=True)
class WorkerLoaded:
    """A worker has loaded the app."""

    worker: int
    loaded: Loaded


@dataclass(frozen=True, slots=True)
class WorkerWarmed:
    """A worker has answered what it was to answer first, or `failed` says which path it has not."""

    worker: int
    failed: str | None


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """A worker could not load the app, and exits."""

    worker: int
    failure: LoadFailure


@dataclass(frozen=True, slots=True)
class WorkerExited:
    """A worker is gone."""

    worker: int
    death: Death


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The edge has no connection to a worker any more, without having asked for that."""

    worker: int
    reason: str
    started: int
    retried: int


@dataclass(frozen=True, slots=True)
class WorkerDrained:
    """A worker that should get no more requests has finished its last one."""

    worker: int


@dataclass(frozen=True, slots=True)
class StopAsked:
    """A signal asks to stop; the second one means now."""

    signal: int


@dataclass(frozen=True, slots=True)
class ReloadAsked:
    """New workers shall replace the present ones; `because` opens the line that says so."""

    because: str


@dataclass(frozen=True, slots=True)
class ConfigurationRead:
    """The configuration was read for a reload: new workers are made from these plans, by app.

    `tasks` are the terms of the background tasks by number, and `changes_edge` says that the edge
    is to go by other settings, too.
    """

    because: str
    fleets: tuple[FleetPlan, ...]
    tasks: tuple[TaskTerms, ...]
    changes_edge: bool


@dataclass(frozen=True, slots=True)
class ConfigurationRefused:
    """There is no reload: the configuration has `problems`, or an app of it was not found."""

    because: str
    problems: tuple[LoadFailure, ...]
    failure: LoadFailure | None


@dataclass(frozen=True, slots=True)
class WorkersAsked:
    """So many workers more or fewer are wanted, or just `count`; one is always left.

    `app` is the number of the app that is meant; `None` means each of them.
    """

    change: int = 0
    count: int | None = None
    app: int | None = None


@dataclass(frozen=True, slots=True)
class LogsAsked:
    """Log files have been moved away."""


@dataclass(frozen=True, slots=True)
class TaskExited:
    """The process of a background task is gone, or could not be started."""

    task: int
    death: Death


@dataclass(frozen=True, slots=True)
class RequestOverdue:
    """A request still runs that nobody waits for; `look` is at its worker's process."""

    worker: int
    message: control.RequestOverdue
    look: Look


@dataclass(frozen=True, slots=True)
class RequestInterrupted:
    """A worker has done what it could about an overdue request."""

    worker: int
    answer: Interrupted


@dataclass(frozen=True, slots=True)
class StacksRead:
    """What `faulthandler` has written of a worker's threads."""

    worker: int
    text: str


@dataclass(frozen=True, slots=True)
class RequestReleased:
    """An overdue request has let go of its worker."""

    worker: int
    request: int


@dataclass(frozen=True, slots=True)
class RequestStuck:
    """An overdue request has not let go of its worker in its time of grace."""

    worker: int
    request: int
    look: Look


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerUse:
    """What a worker has done since it began to serve (`requests`), and uses now.

    `busy_cpus` is in CPUs, `memory` in bytes, `in_flight` the requests that it holds.
    """

    requests: int
    busy_cpus: float
    memory: int
    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AppUse:
    """How long requests waited for an app on average, in seconds, and its workers by number."""

    wait_s: float
    workers: Mapping[int, WorkerUse]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the last `seconds` have shown, by app.

    `cpu_share` is that of the usable CPUs in use, 0 to 1; `free_memory` bytes, `None` if unknown.
    """

    seconds: float
    cpu_share: float
    free_memory: int | None
    apps: tuple[AppUse, ...]


OfRequest: TypeAlias = (
    RequestOverdue | RequestInterrupted | StacksRead | RequestReleased | RequestStuck
)
"""What happens to an overdue request."""

OfWorker: TypeAlias = (
    WorkerLoaded | WorkerWarmed | WorkerFailed | WorkerExited | WorkerLost | WorkerDrained
)
"""What happens to one worker."""

Event: TypeAlias = (
    EdgeReady
    | EdgeRefused
    | EdgeExited
    | EdgeReconfigured
    | OfRequest
    | OfWorker
    | StopAsked
    | ReloadAsked
    | ConfigurationRead
    | ConfigurationRefused
    | WorkersAsked
    | LogsAsked
    | TaskExited
    | Measured
)
