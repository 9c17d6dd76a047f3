"""Who is there: the edge, seats, workers and the rollout that replaces them; no decisions."""

import enum
from dataclasses import dataclass, field

from trivet.supervisor.fleet.backoff import Backoff
from trivet.supervisor.fleet.lifetime import Lifetime
from trivet.supervisor.fleet.plan import FleetPlan
from trivet.wire import control
from trivet.wire.worker_control import Loaded, LoadFailure


class EdgeState(enum.Enum):
    """Where the edge is in its life."""

    NONE = enum.auto()
    """There is none, or it has died."""
    STARTING = enum.auto()
    """It has been started, and accepts no connection yet."""
    READY = enum.auto()
    """It accepts connections."""


@dataclass(slots=True)
class StandState:
    """What every fleet knows of the whole."""

    edge: EdgeState = EdgeState.NONE
    stopping_until: float | None = None
    """When everything has to be over; `None` for a stand that goes on."""
    last_worker: int = 0

    @property
    def has_edge(self) -> bool:
        """Whether workers can be handed to an edge."""
        return self.edge is EdgeState.READY

    @property
    def is_stopping(self) -> bool:
        """Whether the stand ends."""
        return self.stopping_until is not None

    def next_worker(self) -> int:
        """Return a number that no worker has had."""
        self.last_worker += 1
        return self.last_worker


class WorkerState(enum.Enum):
    """Where a worker is in its life."""

    LOADING = enum.auto()
    """It imports the app."""
    LOADED = enum.auto()
    """It could serve, and waits for the edge or for the rest of its rollout."""
    WARMING = enum.auto()
    """The edge has it, and asks it for the paths that it is to answer first."""
    WARM = enum.auto()
    """It has answered them, and waits for the rest of its rollout."""
    SERVING = enum.auto()
    """The edge hands it requests."""
    DRAINING = enum.auto()
    """The edge waits for its last requests."""
    LOST = enum.auto()
    """The edge has no connection to it any more, though nobody asked for that."""
    STOPPING = enum.auto()
    """It has been told to exit, or is about to: its death is no news."""


@dataclass(slots=True, eq=False)
class Seat:
    """A place for one serving worker."""

    worker: "Worker | None" = None
    backoff: Backoff = field(default_factory=Backoff)
    retry_at: float | None = None
    """When another worker is started here, after one has died."""
    successor: "Worker | None" = None
    """Loads the app, to take the place of a worker that has a stuck request or is recycled."""
    because: str = ""
    """Why the worker is recycled, as a part of a sentence; empty if it is not."""


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process, from its start until it is reaped."""

    number: int
    seat: Seat
    generation: int
    started: float
    state: WorkerState = WorkerState.LOADING
    loaded: Loaded | None = None
    deadline: float | None = None
    """When its state has lasted too long."""
    warm_up: control.WarmUp | None = None
    """What it is to answer before it serves."""
    lifetime: Lifetime = field(default_factory=lambda: Lifetime(None, None, None))
    is_stuck: bool = False
    """A request on it will never end, so that a stop in good order is not to be waited for."""
    is_silent: bool = False
    """None of its requests can end, for want of the interpreter lock or of the event loop."""

    @property
    def is_ready(self) -> bool:
        """Whether nothing is missing but the word to serve."""
        return self.state is (WorkerState.WARM if self.warm_up else WorkerState.LOADED)

    @property
    def is_known_to_edge(self) -> bool:
        """Whether the edge may have requests on it."""
        return self.state in (WorkerState.SERVING, WorkerState.DRAINING, WorkerState.LOST)

    @property
    def is_being_made_ready(self) -> bool:
        """Whether it imports the app, or is warmed up."""
        return self.state in (WorkerState.LOADING, WorkerState.WARMING)


@dataclass(slots=True, kw_only=True)
class Rollout:
    """Workers that load new code, to replace the present ones: so many at once, batch by batch."""

    because: str
    started: float
    generation: int
    plan: FleetPlan
    """What they are started from, and what the fleet goes by once the first of them serve."""
    surge: int
    """How many of them load at a time."""
    rest: list[Seat]
    """Seats whose turn is still to come."""
    before: FleetPlan
    """What the fleet went by before it."""
    serving_since: float
    """Since when the version before it serves."""
    members: list[Worker] = field(default_factory=list)
    """The batch that loads, and changes over together."""
    serves: bool = False
    """Whether a batch of it serves: then there is no way back."""
    old_generation: int = 0
    """The one that it replaces, once a batch of it serves."""
    failure: LoadFailure | None = None
    """Why one of them did not load the app."""

    @property
    def is_loaded(self) -> bool:
        """Whether every one of them could serve."""
        return all(worker.is_ready for worker in self.members)


class Roster:
    """The seats of one app, and its workers that have not been reaped.

    Attributes:
        generation: of the code that serves; a rollout brings another.
    """

    def __init__(self, seats: int) -> None:
        self.seats = [Seat() for _ in range(seats)]
        self.workers: dict[int, Worker] = {}
        self.generation = 1
        self._last_generation = 1

    def add_seat(self) -> Seat:
        """Make room for one more."""
        self.seats.append(Seat())
        return self.seats[-1]

    def next_generation(self) -> int:
        """Return a number that no generation has had."""
        self._last_generation += 1
        return self._last_generation

    def new_worker(self, number: int, seat: Seat, generation: int, now: float) -> Worker:
        """Enter a worker that is being started for a seat, without putting it there yet."""
        worker = Worker(number, seat, generation, now)
        self.workers[number] = worker
        return worker

    def known_to_edge(self) -> list[Worker]:
        """Return the workers on which the edge may have requests."""
        return [worker for worker in self.workers.values() if worker.is_known_to_edge]

    def linked(self) -> list[Worker]:
        """Return the workers that have a connection to the edge."""
        warmed = (WorkerState.WARMING, WorkerState.WARM)
        each = self.workers.values()
        return [worker for worker in each if worker.is_known_to_edge or worker.state in warmed]
