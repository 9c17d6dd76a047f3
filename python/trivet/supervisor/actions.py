"""What the supervisor may do, as data: the output of `policy`, carried out by `stand`."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from trivet.wire.control import Drain, DrainWorker, ReopenLogs, Stop, WorkerDied
from trivet.wire.worker_control import Loaded, LoadFailure

Level: TypeAlias = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class StartEdge:
    """Start an edge and configure it with the listeners."""


@dataclass(frozen=True, slots=True)
class TellEdge:
    """Send the edge a message that needs no descriptors."""

    message: Drain | DrainWorker | ReopenLogs | Stop | WorkerDied


@dataclass(frozen=True, slots=True)
class KillEdge:
    """End the edge with SIGKILL."""


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start a worker process for an app, under this number, never used before."""

    worker: int
    app: int


@dataclass(frozen=True, slots=True)
class AddWorker:
    """Hand the worker's descriptors to the edge: from now on it serves."""

    worker: int
    interface: Literal["wsgi", "asgi"]


@dataclass(frozen=True, slots=True)
class StopWorker:
    """Ask the worker to finish and exit."""

    worker: int


@dataclass(frozen=True, slots=True)
class KillWorker:
    """End the worker with SIGKILL."""

    worker: int


@dataclass(frozen=True, slots=True)
class Say:
    """Write a line for the operator."""

    text: str
    level: Level = "info"


@dataclass(frozen=True, slots=True)
class ShowScreen:
    """Every app has a worker that serves, so many seconds after the start; by app."""

    loaded: tuple[Loaded, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class ShowFailure:
    """Show why the app was not loaded."""

    failure: LoadFailure


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the service manager, if there is one."""

    state: Literal["ready", "reloading", "stopping"]


@dataclass(frozen=True, slots=True)
class CloseListeners:
    """Close the supervisor's own copies of the listening sockets."""


@dataclass(frozen=True, slots=True)
class Exit:
    """End the supervisor; whatever still runs is killed."""

    code: int


Action: TypeAlias = (
    StartEdge
    | TellEdge
    | KillEdge
    | StartWorker
    | AddWorker
    | StopWorker
    | KillWorker
    | Say
    | ShowScreen
    | ShowFailure
    | Notify
    | CloseListeners
    | Exit
)
