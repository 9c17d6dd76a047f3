"""Who is there: seats, workers and the rollout that replaces them; no decisions."""

import enum
from dataclasses import dataclass, field

from trivet.supervisor.backoff import Backoff
from trivet.wire.worker_control import Loaded


class WorkerState(enum.Enum):
    """Where a worker is in its life."""

    LOADING = enum.auto()
    """It imports the app."""
    LOADED = enum.auto()
    """It could serve, and waits for the edge or for the rest of its rollout."""
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


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process, from its start until it is reaped."""

    number: int
    seat: Seat
    started: float
    state: WorkerState = WorkerState.LOADING
    loaded: Loaded | None = None
    deadline: float | None = None
    """When its state has lasted too long."""

    @property
    def is_known_to_edge(self) -> bool:
        """Whether the edge may have requests on it."""
        return self.state in (WorkerState.SERVING, WorkerState.DRAINING, WorkerState.LOST)


@dataclass(slots=True)
class Rollout:
    """Workers that load new code, to replace the present ones all at once."""

    because: str
    started: float
    members: list[Worker] = field(default_factory=list)

    @property
    def is_loaded(self) -> bool:
        """Whether every one of them could serve."""
        return all(worker.state is WorkerState.LOADED for worker in self.members)


class Roster:
    """All seats, and all workers that have not been reaped."""

    def __init__(self, seats: int) -> None:
        self.seats = [Seat() for _ in range(seats)]
        self.workers: dict[int, Worker] = {}
        self._last_number = 0

    def add_seat(self) -> Seat:
        """Make room for one more."""
        self.seats.append(Seat())
        return self.seats[-1]

    def new_worker(self, seat: Seat, now: float) -> Worker:
        """Enter a worker that is being started for a seat, without putting it there yet."""
        self._last_number += 1
        worker = Worker(self._last_number, seat, now)
        self.workers[worker.number] = worker
        return worker

    def known_to_edge(self) -> list[Worker]:
        """Return the workers on which the edge may have requests."""
        return [worker for worker in self.workers.values() if worker.is_known_to_edge]
