"""The black box of a stand: told what happens, asked what happened."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from trivet.supervisor.control.snapshot import Snapshot
from trivet.supervisor.deaths import Death
from trivet.supervisor.incidents.folder import IncidentFolder
from trivet.supervisor.incidents.recorder import Recorder, Who
from trivet.supervisor.incidents.stack import last_stack
from trivet.supervisor.incidents.store import IncidentStore
from trivet.supervisor.procfs import rss_bytes
from trivet.wire import control
from trivet.wire.incident import Incident


class BlackBox:
    """Records and keeps incidents; belongs to the supervisor's thread."""

    def __init__(
        self,
        *,
        most: int,
        most_bytes: int,
        directory: Path | None,
        warn: Callable[[str], None],
        snapshot: Callable[[], Snapshot],
    ) -> None:
        self._store = IncidentStore(most=most, most_bytes=most_bytes)
        self._recorder = Recorder(self._keep)
        self._folder = IncidentFolder(directory, most, warn) if directory else None
        self._snapshot = snapshot
        self._pids: dict[int, int] = {}
        self._memory_before: dict[int, int | None] = {}
        for incident in self._folder.load() if self._folder else ():
            self._store.add(incident)
        self._of_earlier_stands = self._store.total

    # What happens

    def on_start(self, worker: int, pid: int) -> None:
        """Note a worker's process."""
        self._pids[worker] = pid

    def on_serving(self, worker: int) -> None:
        """Note what a worker has taken by the time it begins to serve."""
        self._memory_before[worker] = rss_bytes(self._pids.get(worker, 0))

    def on_request_failed(self, failed: control.RequestFailed) -> None:
        """The edge tells that a request went wrong."""
        self._recorder.on_request_failed(failed, self._who(failed.worker), time.monotonic())

    def on_request_overdue(self, overdue: control.RequestOverdue) -> None:
        """The edge tells that a request's time is over, or that its response stalls."""
        self._recorder.on_request_overdue(overdue, self._who(overdue.worker), time.monotonic())

    def on_stack(self, worker: int, request: int, stack: str) -> None:
        """It is known where an overdue request is; `request` is its number in the frames."""
        self._recorder.on_stack(worker, request, stack)

    def on_worker_lost(self, lost: control.WorkerLost) -> None:
        """The edge tells that a worker's connection is gone."""
        self._recorder.on_worker_lost(lost, time.monotonic())

    def on_worker_exited(self, worker: int, death: Death, last_words: bytes) -> None:
        """A worker's process has ended."""
        who = self._who(worker)
        self._pids.pop(worker, None)
        self._memory_before.pop(worker, None)
        if who:
            stack = last_stack(last_words)
            self._recorder.on_worker_exited(who, death, stack, time.monotonic())

    def on_edge_exited(self, death: Death) -> None:
        """The edge's process has ended."""
        if self._snapshot().state != "stopping":
            self._recorder.on_edge_exited(death)

    def next_deadline(self) -> float | None:
        """Return when `tick` has to be called at the latest, or `None` for no such time."""
        return self._recorder.next_deadline()

    def tick(self, now: float) -> None:
        """Finish what has waited for too long."""
        self._recorder.tick(now)

    def close(self) -> None:
        """Finish everything, and have it written."""
        self._recorder.flush()
        if self._folder:
            self._folder.close()

    # What happened

    @property
    def total(self) -> int:
        """Incidents of this stand, those that are no longer kept included."""
        return self._store.total - self._of_earlier_stands

    @property
    def dropped(self) -> int:
        """Failures of the app that were too many to record."""
        return self._recorder.dropped

    def newest_first(self) -> Iterable[Incident]:
        """Return what is kept."""
        return self._store.newest_first()

    def find(self, wanted: str) -> list[Incident]:
        """Return those that an id leads to, newest first."""
        return self._store.find(wanted)

    def _keep(self, incident: Incident) -> None:
        self._store.add(incident)
        if self._folder:
            self._folder.write(incident)

    def _who(self, worker: int) -> Who | None:
        for app in self._snapshot().apps:
            for each in app.workers:
                if each.number == worker:
                    pid = self._pids.get(worker)
                    return Who(
                        worker=worker,
                        app=app.name,
                        pid=pid,
                        generation=each.generation,
                        state=each.state,
                        memory_before_bytes=self._memory_before.get(worker),
                        memory_now_bytes=rss_bytes(pid or 0),
                    )
        return None
