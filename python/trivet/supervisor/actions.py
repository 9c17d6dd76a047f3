"""What the supervisor may do, as data: the output of `policy`, carried out by `stand`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trivet.wire.control import (
    Drain,
    DrainWorker,
    Overdue,
    ReopenLogs,
    ServeWorker,
    Stop,
    WarmUp,
    WorkerDied,
)
from trivet.wire.worker_control import Loaded, LoadFailure

Level: TypeAlias = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class StartEdge:
    """Start an edge and configure it with the listeners."""


@dataclass(frozen=True, slots=True)
class TellEdge:
    """Send the edge a message that needs no descriptors."""

    message: Drain | DrainWorker | ReopenLogs | ServeWorker | Stop | WorkerDied


@dataclass(frozen=True, slots=True)
class KillEdge:
    """End the edge with SIGKILL."""


@dataclass(frozen=True, slots=True)
class StartWorker:
    """Start a worker process for an app, under this number, never used before.

    Workers of one generation run the same code, as far as it is imported once (`preload`).
    """

    worker: int
    app: int
    generation: int


@dataclass(frozen=True, slots=True)
class EndGeneration:
    """No worker of this generation of an app will be started any more; those there are go on."""

    app: int
    generation: int


@dataclass(frozen=True, slots=True)
class AddWorker:
    """Hand the worker's descriptors to the edge: from now on it serves, or is warmed up."""

    worker: int
    interface: Literal["wsgi", "asgi"]
    warm_up: WarmUp | None = None
    """What it answers first: a `WorkerWarmed` follows."""


@dataclass(frozen=True, slots=True)
class StopWorker:
    """Ask the worker to finish and exit."""

    worker: int


@dataclass(frozen=True, slots=True)
class KillWorker:
    """End the worker with SIGKILL."""

    worker: int


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Ask the worker to interrupt a request, and to say where it was."""

    worker: int
    request: int
    cause: Overdue


@dataclass(frozen=True, slots=True)
class AskForStacks:
    """Have the worker write down where its threads are, by a signal; `ReadStacks` follows."""

    worker: int


@dataclass(frozen=True, slots=True)
class ReadStacks:
    """Read what the worker has written down, for a `StacksRead`."""

    worker: int


@dataclass(frozen=True, slots=True)
class RecordStack:
    """Put the stack of an overdue request into its incident; empty where there is none to see."""

    worker: int
    request: int
    stack: str


@dataclass(frozen=True, slots=True)
class StartTask:
    """Start a background task's process."""

    task: int


@dataclass(frozen=True, slots=True)
class StopTask:
    """Ask it to end, with SIGTERM."""

    task: int


@dataclass(frozen=True, slots=True)
class KillTask:
    """End it with SIGKILL, and its children with it."""

    task: int


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
class ShowProblem:
    """Show what is wrong with the configuration."""

    problem: LoadFailure


@dataclass(frozen=True, slots=True)
class ReadConfiguration:
    """Read the configuration again; `ConfigurationRead` or `ConfigurationRefused` follows."""

    because: str


@dataclass(frozen=True, slots=True)
class TakeConfiguration:
    """What was read last holds for the processes that are started from now on."""


@dataclass(frozen=True, slots=True)
class ReconfigureEdge:
    """Have the edge go by its part of what was read last, or only try it; it answers by number.

    An `EdgeReconfigured` with this number follows, unless the edge ends.
    """

    number: int
    is_trial: bool


@dataclass(frozen=True, slots=True)
class SettleEdge:
    """The edge goes by what was read last, and so will every edge that is started."""


@dataclass(frozen=True, slots=True)
class ReloadBegan:
    """New workers are being started: whoever has asked for a reload so far waits for these."""


@dataclass(frozen=True, slots=True)
class ReloadEnded:
    """They serve, or they do not: `failure` says why they did not load the app, if they said so.

    `problems` are what is wrong with the configuration, as read or as the edge says.
    """

    is_done: bool
    text: str
    failure: LoadFailure | None
    problems: tuple[LoadFailure, ...] = ()

    @classmethod
    def of_all(cls, outcomes: Sequence["ReloadEnded"]) -> "ReloadEnded":
        """Sum up how it went for each app: done if it is for all of them."""
        failures = (each.failure for each in outcomes if each.failure)
        return cls(
            is_done=all(each.is_done for each in outcomes),
            text="\n".join(each.text for each in outcomes),
            failure=next(failures, None),
        )


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
    | EndGeneration
    | AddWorker
    | StopWorker
    | KillWorker
    | Interrupt
    | AskForStacks
    | ReadStacks
    | RecordStack
    | StartTask
    | StopTask
    | KillTask
    | ReadConfiguration
    | TakeConfiguration
    | ReconfigureEdge
    | SettleEdge
    | Say
    | ShowScreen
    | ShowFailure
    | ShowProblem
    | ReloadBegan
    | ReloadEnded
    | Notify
    | CloseListeners
    | Exit
)
