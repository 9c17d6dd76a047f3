"""What the supervisor does when something happens: a state machine without clock or I/O.

Strategy: `Policy` is told what has happened, and when (`now`, seconds of a monotonic clock), and
answers with the actions to carry out, in order. A *seat* is a place for one serving worker; a
worker sits on a seat from its start on and has a number that is never used twice. A worker that
dies without having been told to is replaced on its seat, after a wait that doubles (`backoff`).
A *rollout* (`rollout`) loads a worker for every seat beside the present ones and then changes
them over; where one of its workers fails to load, all of them are stopped, and the present ones
go on. Until the first worker serves, any failure ends the stand: a restart loop would hide it.

The file is longer than most because it reads from top to bottom as one table of transitions.
"""

from collections.abc import Callable

from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.backoff import Backoff
from trivet.supervisor.deaths import Death
from trivet.supervisor.roster import Rollout, Roster, Seat, Worker, WorkerState
from trivet.wire import control
from trivet.wire.worker_control import LoadFailure

EDGE_MERCY_S = 1.0
"""What the edge gets beyond the deadline that it was told, to cut off and exit by itself."""

STOP_S = 2.0
"""What a process gets to exit when nothing is in flight on it any more."""

LOST_S = 1.0
"""How long a worker that the edge has lost may live on: a dead one is reaped long before."""

Actions = list[do.Action]


class Policy:
    """The state of the stand.

    Attributes:
        exit_code: what the process will end with.
    """

    def __init__(
        self,
        *,
        workers: int,
        graceful_s: float,
        load_s: float,
        time_of_day: Callable[[float], str],
    ) -> None:
        self._graceful_s = graceful_s
        self._load_s = load_s
        self._time_of_day = time_of_day
        self._roster = Roster(workers)
        self._edge_state = "none"  # none, starting, ready
        self._edge_started = 0.0
        self._edge_retry: float | None = None
        self._edge_deadline: float | None = None
        self._edge_backoff = Backoff()
        self._started = 0.0
        self._has_served = False
        self._serving_since = 0.0
        self._stopping_until: float | None = None
        self._rollout: Rollout | None = None
        self._reload_again: str | None = None
        self._shown: LoadFailure | None = None
        self.exit_code = 0

    # What the outside calls

    def start(self, now: float) -> Actions:
        """Start everything, all at once."""
        self._started = now
        seats = [self._start_worker(seat, now) for seat in self._roster.seats]
        return [*self._start_edge(now), *seats]

    def handle(self, event: on.Event, now: float) -> Actions:
        """Take one event."""
        name = f"_on_{_snake(type(event).__name__)}"
        return list(getattr(self, name)(event, now))

    def tick(self, now: float) -> Actions:
        """Do what is due by `now`."""
        actions: Actions = []
        if self._edge_deadline is not None and self._edge_deadline <= now:
            self._edge_deadline = None
            actions.append(do.KillEdge())
        if self._edge_retry is not None and self._edge_retry <= now:
            actions += self._start_edge(now)
        for seat in self._roster.seats:
            if seat.retry_at is not None and seat.retry_at <= now:
                actions.append(self._start_worker(seat, now))
        for worker in list(self._roster.workers.values()):
            if worker.deadline is not None and worker.deadline <= now:
                actions += self._overdue(worker, now)
        return actions

    def next_deadline(self) -> float | None:
        """Return when `tick` has to be called at the latest, or `None` for no such time."""
        times = [self._edge_deadline, self._edge_retry]
        times += [seat.retry_at for seat in self._roster.seats]
        times += [worker.deadline for worker in self._roster.workers.values()]
        return min((time for time in times if time is not None), default=None)

    # The edge

    def _on_edge_ready(self, _: on.EdgeReady, now: float) -> Actions:
        first = not self._has_served
        self._edge_state = "ready"
        if self._is_stopping:
            return []
        actions: Actions = []
        if not first:
            actions.append(do.Say(f"the edge is back after {now - self._edge_started:.2f} s"))
        for seat in self._roster.seats:
            actions += self._offer(seat.worker, now)
        return actions

    def _on_edge_refused(self, event: on.EdgeRefused, now: float) -> Actions:
        said = do.Say(f"the edge refuses its configuration: {event.reason}", "error")
        if self._has_served or self._is_stopping:
            return [said]
        return [said, *self._give_up(2, now)]

    def _on_edge_exited(self, event: on.EdgeExited, now: float) -> Actions:
        was_ready = self._edge_state == "ready"
        self._edge_state, self._edge_deadline = "none", None
        if self._is_stopping:
            return self._stop_all_workers(now)
        death = f"the edge {event.death.describe()}"
        if not self._has_served and not was_ready:
            said = do.Say(f"{death} before it was ready", "error")
            return [said, *self._give_up(1, now)]
        delay = self._edge_backoff.next_delay(now - self._edge_started)
        self._edge_retry = now + delay
        text = f"{death}: it starts anew in {delay:.1f} s, with new workers"
        return [do.Say(text, "error"), *self._replace_orphans(now)]

    def _replace_orphans(self, now: float) -> Actions:
        """Replace the workers whose connection died with the edge; they exit by themselves."""
        actions: Actions = []
        for worker in self._roster.known_to_edge():
            worker.state = WorkerState.STOPPING
            worker.deadline = now + STOP_S
            seat = worker.seat
            if seat in self._roster.seats and seat.worker is worker:
                actions.append(self._start_worker(seat, now))
        return actions

    def _start_edge(self, now: float) -> Actions:
        self._edge_state, self._edge_retry, self._edge_started = "starting", None, now
        return [do.StartEdge()]

    # Workers

    def _on_worker_loaded(self, event: on.WorkerLoaded, now: float) -> Actions:
        worker = self._roster.workers.get(event.worker)
        if worker is None or worker.state is not WorkerState.LOADING:
            return []
        worker.state, worker.loaded, worker.deadline = WorkerState.LOADED, event.loaded, None
        self._shown = None
        if worker.seat.worker is worker:
            return self._offer(worker, now)
        return self._try_changeover(now)

    def _on_worker_failed(self, event: on.WorkerFailed, now: float) -> Actions:
        worker = self._roster.workers.get(event.worker)
        if worker is None or worker.state is not WorkerState.LOADING:
            return []
        actions = self._show(event.failure)
        return [*actions, *self._failed_to_load(worker, now)]

    def _on_worker_exited(self, event: on.WorkerExited, now: float) -> Actions:
        worker = self._roster.workers.pop(event.worker, None)
        if worker is None:
            return []
        if worker.state is WorkerState.DRAINING and event.death.reason == "exit 0":
            # It saw the end of its link before we read that it is drained.
            worker.state = WorkerState.STOPPING
        actions: Actions = []
        if worker.is_known_to_edge and self._edge_state == "ready":
            died = control.WorkerDied(worker=worker.number, reason=event.death.reason)
            actions.append(do.TellEdge(died))
        if self._is_stopping:
            return [*actions, *self._exit_if_empty()]
        if worker.state is not WorkerState.STOPPING:
            actions += self._mourn(worker, event.death, now)
        return actions

    def _mourn(self, worker: Worker, death: Death, now: float) -> Actions:
        """Say that a worker died unasked, and see to its replacement."""
        who = f"worker {worker.number} {death.describe()}"
        if worker.state is WorkerState.LOADING:
            text = f"{who} while it loaded the app"
            return [do.Say(text, "error"), *self._failed_to_load(worker, now)]
        if self._rollout and worker in self._rollout.members:
            return [do.Say(who, "error"), *self._end_rollout(now)]
        if worker.seat.worker is not worker:
            return [do.Say(who, "warning")]
        delay = self._retry(worker, now)
        return [do.Say(f"{who}; another starts in {delay:.1f} s", "error")]

    def _on_worker_lost(self, event: on.WorkerLost, now: float) -> Actions:
        worker = self._roster.workers.get(event.worker)
        if worker is None or not worker.is_known_to_edge:
            return []
        worker.state, worker.deadline = WorkerState.LOST, now + LOST_S
        if not event.started:
            return []
        lost = max(0, event.started - event.retried)
        text = f"worker {event.worker} was lost with {_count(event.started, 'request')} running"
        what = f"{event.retried} sent to another worker, {lost} answered with an error"
        return [do.Say(f"{text} ({event.reason}): {what}", "warning")]

    def _on_worker_drained(self, event: on.WorkerDrained, now: float) -> Actions:
        worker = self._roster.workers.get(event.worker)
        if worker is None or worker.state is not WorkerState.DRAINING:
            return []
        return self._stop_worker(worker, now + self._graceful_s)

    def _start_worker(self, seat: Seat, now: float) -> do.Action:
        worker = self._new_worker(seat, now)
        seat.worker, seat.retry_at = worker, None
        return do.StartWorker(worker.number)

    def _new_worker(self, seat: Seat, now: float) -> Worker:
        worker = self._roster.new_worker(seat, now)
        worker.deadline = now + self._load_s
        return worker

    def _offer(self, worker: Worker | None, now: float) -> Actions:
        """Let a worker serve, if it has loaded the app and there is an edge."""
        if worker is None or worker.state is not WorkerState.LOADED or worker.loaded is None:
            return []
        if self._edge_state != "ready":
            return []
        worker.state = WorkerState.SERVING
        actions: Actions = [do.AddWorker(worker.number, worker.loaded.interface)]
        if not self._has_served:
            self._has_served, self._serving_since = True, now
            actions.append(do.ShowScreen(worker.loaded, now - self._started))
            actions.append(do.Notify("ready"))
            actions += self._reload_if_asked_again(now)
        return actions

    def _failed_to_load(self, worker: Worker, now: float) -> Actions:
        worker.state, worker.deadline = WorkerState.STOPPING, now + STOP_S
        if self._rollout and worker in self._rollout.members:
            return self._end_rollout(now)
        if not self._has_served:
            return self._give_up(3, now)
        if worker.seat.worker is not worker:
            return []
        delay = self._retry(worker, now)
        return [do.Say(f"worker {worker.number}: the next try is in {delay:.1f} s", "warning")]

    def _retry(self, worker: Worker, now: float) -> float:
        delay = worker.seat.backoff.next_delay(now - worker.started)
        worker.seat.worker, worker.seat.retry_at = None, now + delay
        return delay

    def _retire(self, worker: Worker, now: float) -> Actions:
        """Take a worker out of service: requests in flight are finished."""
        if worker.state is WorkerState.SERVING and self._edge_state == "ready":
            worker.state, worker.deadline = WorkerState.DRAINING, now + self._graceful_s
            return [do.TellEdge(control.DrainWorker(worker=worker.number))]
        if worker.state in (WorkerState.DRAINING, WorkerState.STOPPING):
            return []
        return self._stop_worker(worker, now + STOP_S)

    def _stop_worker(self, worker: Worker, deadline: float) -> Actions:
        worker.state, worker.deadline = WorkerState.STOPPING, deadline
        return [do.StopWorker(worker.number)]

    def _overdue(self, worker: Worker, now: float) -> Actions:
        if worker.state is WorkerState.DRAINING:
            text = f"worker {worker.number} still has requests after {self._graceful_s:g} s"
            return [do.Say(f"{text}: cut off", "warning"), *self._stop_worker(worker, now + STOP_S)]
        worker.deadline = None
        kill = do.KillWorker(worker.number)
        if worker.state is not WorkerState.LOADING:
            return [kill]
        text = f"worker {worker.number} has not loaded the app after {self._load_s:g} s: killed"
        return [do.Say(text, "error"), kill, *self._failed_to_load(worker, now)]

    def _show(self, failure: LoadFailure) -> Actions:
        """Show a failure, unless it is the one that was shown last: workers fail alike."""
        if self._is_stopping or failure == self._shown:
            return []
        self._shown = failure
        return [do.ShowFailure(failure)]

    # Signals

    def _on_stop_asked(self, event: on.StopAsked, now: float) -> Actions:
        if self._is_stopping:
            return [do.Exit(128 + event.signal)]
        self._begin_stop(now + self._graceful_s + EDGE_MERCY_S)
        actions: Actions = [do.Notify("stopping"), do.CloseListeners()]
        if self._edge_state == "none":
            return [*actions, *self._stop_all_workers(now)]
        self._edge_deadline = self._stopping_until
        for worker in list(self._roster.workers.values()):
            if worker.state in (WorkerState.LOADING, WorkerState.LOADED):
                actions += self._stop_worker(worker, now + STOP_S)
        if self._edge_state == "starting":
            self._edge_deadline = now + STOP_S
            return [*actions, do.TellEdge(control.Stop())]
        wait = f"requests in flight have {self._graceful_s:g} s, a second signal ends them now"
        drain = control.Drain(deadline_ms=round(self._graceful_s * 1000))
        return [*actions, do.Say(f"stopping: {wait}"), do.TellEdge(drain)]

    def _on_reload_asked(self, event: on.ReloadAsked, now: float) -> Actions:
        if self._is_stopping:
            return []
        if self._rollout or not self._has_served:
            self._reload_again = event.because
            return []
        self._rollout = Rollout(event.because, now)
        actions: Actions = [do.Notify("reloading")]
        for seat in self._roster.seats:
            worker = self._new_worker(seat, now)
            self._rollout.members.append(worker)
            actions.append(do.StartWorker(worker.number))
        return actions

    def _on_workers_asked(self, event: on.WorkersAsked, now: float) -> Actions:
        if self._is_stopping:
            return []
        actions: Actions = []
        if event.change > 0:
            actions.append(self._start_worker(self._roster.add_seat(), now))
        elif len(self._roster.seats) > 1:
            seat = self._roster.seats.pop()
            for worker in [each for each in self._roster.workers.values() if each.seat is seat]:
                if self._rollout and worker in self._rollout.members:
                    self._rollout.members.remove(worker)
                actions += self._retire(worker, now)
            seat.worker = None
            actions += self._try_changeover(now)
        return [*actions, do.Say(f"{_count(len(self._roster.seats), 'worker')} from now on")]

    def _on_logs_asked(self, _: on.LogsAsked, __: float) -> Actions:
        return [do.TellEdge(control.ReopenLogs())] if self._edge_state == "ready" else []

    # Rollouts

    def _try_changeover(self, now: float) -> Actions:
        rollout = self._rollout
        if not rollout or not rollout.is_loaded:
            return []
        self._rollout = None
        self._serving_since = now
        actions: Actions = []
        retiring: list[Worker] = []
        for worker in rollout.members:
            if worker.seat.worker:
                retiring.append(worker.seat.worker)
            worker.seat.worker, worker.seat.retry_at = worker, None
            actions += self._offer(worker, now)
        for worker in retiring:
            actions += self._retire(worker, now)
        took = f"reloaded in {now - rollout.started:.2f} s"
        actions += [do.Say(f"{rollout.because}: {took}"), do.Notify("ready")]
        return [*actions, *self._reload_if_asked_again(now)]

    def _end_rollout(self, now: float) -> Actions:
        """Give the new workers up; the present ones go on."""
        rollout, self._rollout = self._rollout, None
        if rollout is None:
            return []
        actions: Actions = []
        for worker in rollout.members:
            if worker.state is not WorkerState.STOPPING:
                actions += self._stop_worker(worker, now + STOP_S)
        since = self._time_of_day(self._serving_since)
        text = f"{rollout.because}: not loaded, still serving the version of {since}"
        actions += [do.Say(text, "error"), do.Notify("ready")]
        return [*actions, *self._reload_if_asked_again(now)]

    def _reload_if_asked_again(self, now: float) -> Actions:
        because, self._reload_again = self._reload_again, None
        return self._on_reload_asked(on.ReloadAsked(because), now) if because else []

    # The end

    @property
    def _is_stopping(self) -> bool:
        return self._stopping_until is not None

    def _begin_stop(self, deadline: float) -> None:
        self._stopping_until = deadline
        self._rollout = self._reload_again = self._edge_retry = None
        for seat in self._roster.seats:
            seat.retry_at = None

    def _give_up(self, code: int, now: float) -> Actions:
        """End a stand that has never served."""
        self.exit_code = code
        self._begin_stop(now + STOP_S)
        actions: Actions = [do.CloseListeners()]
        if self._edge_state != "none":
            self._edge_deadline = self._stopping_until
            actions.append(do.TellEdge(control.Stop()))
        return [*actions, *self._stop_all_workers(now)]

    def _stop_all_workers(self, now: float) -> Actions:
        deadline = max(self._stopping_until or now, now + STOP_S)
        actions: Actions = []
        for worker in list(self._roster.workers.values()):
            if worker.state is not WorkerState.STOPPING:
                actions += self._stop_worker(worker, deadline)
        return [*actions, *self._exit_if_empty()]

    def _exit_if_empty(self) -> Actions:
        if self._edge_state == "none" and not self._roster.workers:
            return [do.Exit(self.exit_code)]
        return []


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
