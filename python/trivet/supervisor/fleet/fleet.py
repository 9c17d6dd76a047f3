"""The workers of one app: who serves, who replaces whom, and when.

A *seat* is a place for one serving worker; a worker sits on a seat from its start on. A worker
that dies without having been told to is replaced on its seat, after a wait that doubles
(`backoff`). A *rollout* loads a batch of workers beside the present ones, changes those seats over
together, and goes on with the next batch; where a worker of the first one fails to load, all of
them are stopped, and the present ones go on. Until the app's first worker serves, a failure means
that the app `cannot_start`.

Like `policy`, which calls it, a fleet has neither clock nor I/O: it returns the actions to carry
out.

Length: one table of transitions, to be read from top to bottom.
"""

from collections.abc import Callable

from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.control.snapshot import FleetFacts, WorkerFacts
from trivet.supervisor.deaths import Death
from trivet.supervisor.fleet.plan import LOOP_CAPACITY, FleetPlan
from trivet.supervisor.fleet.roster import Rollout, Roster, Seat, StandState, Worker, WorkerState
from trivet.supervisor.fleet.upkeep import Recycle, Remark, Resize, Upkeep
from trivet.supervisor.overdue.requests import Overdues
from trivet.wire import control
from trivet.wire.worker_control import Loaded, LoadFailure

STOP_S = 2.0
"""What a process gets to exit when nothing is in flight on it any more."""

LOST_S = 1.0
"""How long a worker that the edge has lost may live on: a dead one is reaped long before."""

Actions = list[do.Action]


class Fleet:
    """The workers of one app.

    Attributes:
        cannot_start: its first worker has failed to load.
        loaded: what its first serving worker said of the app; `None` until then.
        outcome: how its latest rollout ended.
    """

    def __init__(
        self,
        app: int,
        plan: FleetPlan,
        stand: StandState,
        time_of_day: Callable[[float], str],
        random: Callable[[], float],
    ) -> None:
        self.plan = plan
        self.cannot_start = False
        self.loaded: Loaded | None = None
        self._app = app
        self._stand = stand
        self._time_of_day = time_of_day
        self._random = random
        self._roster = Roster(plan.workers)
        self._serving_since = 0.0
        self._rollout: Rollout | None = None
        self._shown: LoadFailure | None = None
        self.outcome = do.ReloadEnded(is_done=True, text="", failure=None)
        self._overdues = Overdues(plan.grace_s, plan.folder)
        self._upkeep = Upkeep(least=plan.workers, most=max(plan.workers, plan.max_workers))

    # What `policy` asks

    def owns(self, worker: int) -> bool:
        """Whether a worker is one of this fleet's, and has not been reaped."""
        return worker in self._roster.workers

    @property
    def is_rolling(self) -> bool:
        """Whether new workers are loading, to replace the present ones."""
        return self._rollout is not None

    @property
    def is_empty(self) -> bool:
        """Whether no process of it is left."""
        return not self._roster.workers

    @property
    def serves(self) -> bool:
        """Whether a worker of it can be handed requests."""
        workers = self._roster.workers.values()
        return self._stand.has_edge and any(each.state is WorkerState.SERVING for each in workers)

    def snapshot(self, now: float) -> FleetFacts:
        """Tell how it is, for whoever asks from outside."""
        workers = [
            WorkerFacts(
                number=each.number,
                state=each.state.name.lower(),
                generation=each.generation,
                age_s=now - each.started,
                interface=each.loaded.interface if each.loaded else None,
            )
            for each in self._roster.workers.values()
        ]
        return FleetFacts(
            name=self.plan.name, wanted=len(self._roster.seats), workers=tuple(workers)
        )

    def next_deadline(self) -> float | None:
        """Return when `tick` has to be called at the latest, or `None` for no such time."""
        times = [seat.retry_at for seat in self._roster.seats]
        times += [worker.deadline for worker in self._roster.workers.values()]
        times.append(self._overdues.next_deadline())
        return min((time for time in times if time is not None), default=None)

    # What `policy` tells

    def start(self, now: float) -> Actions:
        """Start a worker on each seat, all at once."""
        return [self._start_worker(seat, now) for seat in self._roster.seats]

    def tick(self, now: float) -> Actions:
        """Do what is due by `now`."""
        actions: Actions = []
        for seat in self._roster.seats:
            if seat.retry_at is not None and seat.retry_at <= now:
                actions.append(self._start_worker(seat, now))
        for worker in list(self._roster.workers.values()):
            if worker.deadline is not None and worker.deadline <= now:
                actions += self._end_patience(worker, now)
        return actions + self._overdues.tick(now)

    def offer_all(self, now: float) -> Actions:
        """Let all serve that can: an edge has become ready."""
        actions: Actions = []
        for worker in list(self._roster.workers.values()):
            if worker.state is WorkerState.LOADED:
                actions += self._go_on(worker, now)
        return actions

    def replace_orphans(self, now: float) -> Actions:
        """Replace the workers whose connection died with the edge; they exit by themselves."""
        actions: Actions = []
        orphans = self._roster.linked()
        for worker in orphans:
            worker.state = WorkerState.STOPPING
            worker.deadline = now + STOP_S
        if self._rollout and any(each in orphans for each in self._rollout.members):
            actions += self._end_rollout(now)
        for worker in orphans:
            seat = worker.seat
            if seat in self._roster.seats and seat.worker is worker:
                if seat.successor and seat.successor not in orphans:
                    actions += self._promote(seat.successor, now)
                else:
                    seat.successor = None
                    actions.append(self._start_worker(seat, now))
        return actions

    def begin_rollout(self, because: str, plan: FleetPlan, now: float) -> Actions:
        """Load new workers beside the present ones, as many at once as the plan says.

        The fleet goes by the new plan once the first of them serve, and has as many workers as it
        says once all of them do.
        """
        seats = self._roster.seats
        self._rollout = Rollout(
            because=because,
            started=now,
            generation=self._roster.next_generation(),
            plan=plan,
            surge=len(seats) if plan.surge is None else plan.surge,
            rest=list(seats),
            before=self.plan,
            serving_since=self._serving_since,
        )
        return self._start_batch(self._rollout, now)

    def change_seats(self, event: on.WorkersAsked, now: float) -> Actions:
        """Make room for more workers, or for fewer; one always stays."""
        actions: Actions = []
        present = len(self._roster.seats)
        wanted = max(1, present + event.change if event.count is None else event.count)
        for _ in range(wanted - present):
            actions.append(self._start_on_new_seat(now))
        for _ in range(present - wanted):
            actions += self._remove_seat(now)
        self._upkeep.keep_at_least(wanted)
        return [*actions, self._say(f"{count(len(self._roster.seats), 'worker')} from now on")]

    def on_measured(self, use: on.AppUse, event: on.Measured, now: float) -> Actions:
        """Recycle a worker or change their number, if what was measured speaks for it."""
        serving = [seat.worker for seat in self._roster.seats if seat.worker and not seat.successor]
        all_serve = all(each.state is WorkerState.SERVING for each in serving)
        if self._rollout or not all_serve or len(serving) < len(self._roster.seats):
            self._upkeep.rest()
            return []
        is_loop = self.loaded is not None and self.loaded.interface == "asgi"
        capacity = LOOP_CAPACITY if is_loop else self.plan.threads
        match self._upkeep.decide(serving, use, event, capacity, now):
            case Recycle(worker, because):
                worker.seat.because = because
                return [self._start_successor(worker.seat, now)]
            case Resize(change, because):
                return self._resize(change, because, now)
            case Remark(text):
                return [self._say(text, "warning")]
            case None:
                return []

    def _resize(self, change: int, because: str, now: float) -> Actions:
        if change > 0:
            actions: Actions = [self._start_on_new_seat(now)]
        else:
            actions = self._remove_seat(now)
        number = count(len(self._roster.seats), "worker")
        return [*actions, self._say(f"{number} from now on: {because}")]

    def _remove_seat(self, now: float) -> Actions:
        actions: Actions = []
        seat = self._roster.seats.pop()
        for worker in [each for each in self._roster.workers.values() if each.seat is seat]:
            if self._rollout and worker in self._rollout.members:
                self._rollout.members.remove(worker)
            actions += self._retire(worker, now)
        seat.worker = seat.successor = None
        if self._rollout and seat in self._rollout.rest:
            self._rollout.rest.remove(seat)
        return [*actions, *self._try_changeover(now)]

    def begin_stop(self) -> None:
        """Start nothing any more."""
        self._rollout = None
        for seat in self._roster.seats:
            seat.retry_at = None

    def stop_unserving(self, now: float) -> Actions:
        """Stop the workers that have never had a request."""
        actions: Actions = []
        for worker in list(self._roster.workers.values()):
            if worker.is_being_made_ready or worker.is_ready:
                actions += self._stop_worker(worker, now + STOP_S)
        return actions

    def stop_all(self, deadline: float) -> Actions:
        """Stop every worker that has not been told yet."""
        actions: Actions = []
        for worker in list(self._roster.workers.values()):
            if worker.state is not WorkerState.STOPPING:
                actions += self._stop_worker(worker, deadline)
                if worker.is_stuck:
                    actions += self._kill(worker)
        return actions

    # What happens to workers

    def on_worker(self, event: on.OfWorker, now: float) -> Actions:
        """Something happens to one of its workers."""
        actions: Actions = []
        match event:
            case on.WorkerLoaded():
                actions = self.on_loaded(event, now)
            case on.WorkerWarmed():
                actions = self.on_warmed(event, now)
            case on.WorkerFailed():
                actions = self.on_failed(event, now)
            case on.WorkerLost():
                actions = self.on_lost(event, now)
            case on.WorkerDrained():
                actions = self.on_drained(event, now)
            case on.WorkerExited():
                actions = self.on_exited(event, now)
        return actions

    def on_loaded(self, event: on.WorkerLoaded, now: float) -> Actions:
        """A worker has loaded the app."""
        worker = self._roster.workers[event.worker]
        if worker.state is not WorkerState.LOADING:
            return []
        worker.state, worker.loaded, worker.deadline = WorkerState.LOADED, event.loaded, None
        if not worker.warm_up:
            self._shown = None
        return self._go_on(worker, now)

    def on_warmed(self, event: on.WorkerWarmed, now: float) -> Actions:
        """A worker has answered what it was to answer first, or not well."""
        worker = self._roster.workers[event.worker]
        if worker.state is not WorkerState.WARMING:
            return []
        if event.failed is None:
            worker.state, worker.deadline = WorkerState.WARM, None
            self._shown = None
            return self._go_on(worker, now)
        failure = LoadFailure(
            code="app.warm_up",
            message=f"the app did not warm up: {event.failed}",
            hint="`reload.warm_up` lists what new workers have to answer with a status below 500",
            place=None,
            detail="",
        )
        stop = do.StopWorker(worker.number)
        return [*self.on_failed(on.WorkerFailed(event.worker, failure), now), stop]

    def _go_on(self, worker: Worker, now: float) -> Actions:
        """Bring a worker that has loaded the app a step further: warm it up, or let it serve."""
        if not worker.is_ready:
            return self._warm(worker, now)
        if worker.seat.worker is worker:
            return self._offer(worker, now)
        if worker.seat.successor is worker:
            return self._promote(worker, now)
        return self._try_changeover(now)

    def _warm(self, worker: Worker, now: float) -> Actions:
        """Have the edge ask it for its paths, as soon as there is an edge."""
        if not self._stand.has_edge or worker.loaded is None or worker.warm_up is None:
            return []
        worker.state = WorkerState.WARMING
        worker.deadline = now + worker.warm_up.timeout_ms / 1000 + STOP_S
        return [do.AddWorker(worker.number, worker.loaded.interface, worker.warm_up)]

    def on_failed(self, event: on.WorkerFailed, now: float) -> Actions:
        """A worker could not load the app, and exits."""
        worker = self._roster.workers[event.worker]
        if not worker.is_being_made_ready:
            return []
        if self._rollout and worker in self._rollout.members:
            self._rollout.failure = event.failure
        actions = self._show(event.failure)
        return [*actions, *self._failed_to_load(worker, now)]

    def on_exited(self, event: on.WorkerExited, now: float) -> Actions:
        """A worker is gone."""
        worker = self._roster.workers.pop(event.worker)
        self._overdues.forget(event.worker)
        if worker.state is WorkerState.DRAINING and event.death.reason == "exit 0":
            # It saw the end of its link before we read that it is drained.
            worker.state = WorkerState.STOPPING
        actions: Actions = []
        if worker.is_known_to_edge and self._stand.has_edge:
            died = control.WorkerDied(worker=worker.number, reason=event.death.reason)
            actions.append(do.TellEdge(died))
        if not self._stand.is_stopping and worker.state is not WorkerState.STOPPING:
            actions += self._mourn(worker, event.death, now)
        return actions

    def on_lost(self, event: on.WorkerLost, now: float) -> Actions:
        """The edge has no connection to a worker any more, without having asked for that."""
        worker = self._roster.workers[event.worker]
        if not worker.is_known_to_edge:
            return []
        worker.state, worker.deadline = WorkerState.LOST, now + LOST_S
        if not event.started:
            return []
        lost = max(0, event.started - event.retried)
        text = f"worker {event.worker} was lost with {count(event.started, 'request')} running"
        what = f"{event.retried} sent to another worker, {lost} answered with an error"
        return [self._say(f"{text} ({event.reason}): {what}", "warning")]

    def on_drained(self, event: on.WorkerDrained, now: float) -> Actions:
        """A worker that should get no more requests has finished its last one."""
        worker = self._roster.workers[event.worker]
        if worker.state is not WorkerState.DRAINING:
            return []
        if worker.is_stuck:
            return self._kill(worker)
        return self._stop_worker(worker, now + self.plan.graceful_s)

    def on_request(self, event: on.OfRequest, now: float) -> Actions:
        """Something happens to an overdue request."""
        match event:
            case on.RequestOverdue():
                return self._overdues.begin(event, now)
            case on.RequestInterrupted():
                return self._overdues.answer(event)
            case on.StacksRead():
                return self._overdues.read(event)
            case on.RequestReleased():
                return self._overdues.release(event, now)
            case on.RequestStuck():
                text, is_silent = self._overdues.give_up(event, now)
                worker = self._roster.workers[event.worker]
                return self._replace(worker, text, now, is_silent=is_silent)

    def _replace(self, worker: Worker, text: str, now: float, *, is_silent: bool) -> Actions:
        """Have another worker take the place of one with a request that is stuck."""
        is_first = not worker.is_stuck
        worker.is_stuck, worker.is_silent = True, worker.is_silent or is_silent
        seat = worker.seat
        if not is_first or self._stand.is_stopping or worker.state is not WorkerState.SERVING:
            return [self._say(text, "error")]
        actions: Actions = [self._say(f"{text}; the worker is replaced", "error")]
        if seat.worker is worker and not seat.successor:
            actions.append(self._start_successor(seat, now))
        # What waits behind a silent one would never be begun; any other may go on meanwhile.
        return [*actions, *(self._retire(worker, now) if worker.is_silent else [])]

    def _promote(self, successor: Worker, now: float) -> Actions:
        """Let a successor serve, and the worker before it end."""
        seat = successor.seat
        stuck, seat.worker, seat.successor = seat.worker, successor, None
        actions = self._offer(successor, now)
        because, seat.because = seat.because, ""
        if because and stuck and stuck.number in self._roster.workers:
            text = f"worker {stuck.number} is recycled {because}"
            actions.append(self._say(f"{text}: worker {successor.number} takes over"))
        if stuck is None or stuck.number not in self._roster.workers:
            return actions
        return [*actions, *(self._kill(stuck) if stuck.is_silent else self._retire(stuck, now))]

    def _kill(self, worker: Worker) -> Actions:
        worker.state, worker.deadline = WorkerState.STOPPING, None
        return [do.KillWorker(worker.number)]

    def _mourn(self, worker: Worker, death: Death, now: float) -> Actions:
        """Say that a worker died unasked, and see to its replacement."""
        who = f"worker {worker.number} {death.describe()}"
        if worker.is_being_made_ready:
            how = "was warmed up" if worker.state is WorkerState.WARMING else "loaded the app"
            text = f"{who} while it {how}"
            return [self._say(text, "error"), *self._failed_to_load(worker, now)]
        if self._rollout and worker in self._rollout.members:
            return [self._say(who, "error"), *self._end_rollout(now)]
        if worker.seat.worker is not worker:
            return [self._say(who, "warning")]
        if worker.seat.successor:
            return [self._say(who, "error"), *self._promote(worker.seat.successor, now)]
        delay = self._retry(worker, now)
        return [self._say(f"{who}; another starts in {delay:.1f} s", "error")]

    def _start_worker(self, seat: Seat, now: float) -> do.Action:
        """Start a worker on a seat that has none, or none that lives."""
        seat.worker, seat.retry_at = self._new_worker(seat, now), None
        return self._started(seat.worker)

    def _start_on_new_seat(self, now: float) -> do.Action:
        """Make room for one more. A rollout that could still fail comes to it in its turn."""
        seat = self._roster.add_seat()
        if self._rollout and not self._rollout.serves:
            self._rollout.rest.append(seat)
        return self._start_worker(seat, now)

    def _start_successor(self, seat: Seat, now: float) -> do.Action:
        """Start a worker that takes the seat over once it has loaded."""
        seat.successor = self._new_worker(seat, now)
        return self._started(seat.successor)

    def _started(self, worker: Worker) -> do.StartWorker:
        return do.StartWorker(worker.number, self._app, worker.generation)

    def _new_worker(self, seat: Seat, now: float, rollout: Rollout | None = None) -> Worker:
        """Enter a worker, of a rollout or of the generation that serves."""
        generation = rollout.generation if rollout else self._roster.generation
        plan = rollout.plan if rollout else self.plan
        worker = self._roster.new_worker(self._stand.next_worker(), seat, generation, now)
        worker.deadline = now + plan.load_s
        worker.lifetime = plan.lifetime.draw(self._random)
        worker.warm_up = plan.warm_up
        return worker

    def _offer(self, worker: Worker | None, now: float) -> Actions:
        """Let a worker serve, if it has loaded the app and there is an edge."""
        if worker is None or not worker.is_ready or worker.loaded is None:
            return []
        if not self._stand.has_edge:
            return []
        worker.state = WorkerState.SERVING
        if self.loaded is None:
            self.loaded, self._serving_since = worker.loaded, now
        if worker.warm_up:
            return [do.TellEdge(control.ServeWorker(worker=worker.number))]
        return [do.AddWorker(worker.number, worker.loaded.interface)]

    def _failed_to_load(self, worker: Worker, now: float) -> Actions:
        worker.state, worker.deadline = WorkerState.STOPPING, now + STOP_S
        if self._rollout and worker in self._rollout.members:
            return self._end_rollout(now)
        if self.loaded is None:
            self.cannot_start = True
            return []
        if worker.seat.successor is worker:
            return self._go_on_without(worker.seat, now)
        if worker.seat.worker is not worker:
            return []
        delay = self._retry(worker, now)
        text = f"worker {worker.number}: the next try is in {delay:.1f} s"
        return [self._say(text, "warning")]

    def _go_on_without(self, seat: Seat, now: float) -> Actions:
        """A successor has failed: the worker before it stays where it still serves."""
        stuck, seat.successor = seat.worker, None
        if stuck is None:
            return []
        if seat.because and not stuck.is_stuck:
            delay = seat.backoff.next_delay(0.0)
            self._upkeep.wait_until(now + delay)
            seat.because = ""
            text = f"worker {stuck.number} goes on: the next try to recycle it is in {delay:.1f} s"
            return [self._say(text, "warning")]
        if stuck.state is WorkerState.SERVING:
            stuck.is_stuck = False  # the next request that is stuck brings the next try
            text = f"worker {stuck.number} goes on, though a request is stuck on it"
            return [self._say(text, "warning")]
        delay = self._retry(stuck, now)
        text = f"worker {stuck.number}: the next try to replace it is in {delay:.1f} s"
        return [self._say(text, "warning"), *self._kill(stuck)]

    def _retry(self, worker: Worker, now: float) -> float:
        delay = worker.seat.backoff.next_delay(now - worker.started)
        worker.seat.worker, worker.seat.retry_at = None, now + delay
        return delay

    def _retire(self, worker: Worker, now: float) -> Actions:
        """Take a worker out of service: requests in flight are finished."""
        if worker.state is WorkerState.SERVING and self._stand.has_edge:
            worker.state, worker.deadline = WorkerState.DRAINING, now + self.plan.graceful_s
            return [do.TellEdge(control.DrainWorker(worker=worker.number))]
        if worker.state in (WorkerState.DRAINING, WorkerState.STOPPING):
            return []
        return self._stop_worker(worker, now + STOP_S)

    def _stop_worker(self, worker: Worker, deadline: float) -> Actions:
        worker.state, worker.deadline = WorkerState.STOPPING, deadline
        return [do.StopWorker(worker.number)]

    def _end_patience(self, worker: Worker, now: float) -> Actions:
        """A worker has been in its state for too long."""
        if worker.state is WorkerState.DRAINING and worker.is_stuck:
            return self._kill(worker)
        if worker.state is WorkerState.DRAINING:
            text = f"worker {worker.number} still has requests after {self.plan.graceful_s:g} s"
            said = self._say(f"{text}: cut off", "warning")
            return [said, *self._stop_worker(worker, now + STOP_S)]
        worker.deadline = None
        kill = do.KillWorker(worker.number)
        if not worker.is_being_made_ready:
            return [kill]
        what = "warmed up" if worker.state is WorkerState.WARMING else "loaded the app"
        text = f"worker {worker.number} has not {what} after {self.plan.load_s:g} s: killed"
        return [self._say(text, "error"), kill, *self._failed_to_load(worker, now)]

    # Rollouts

    def _start_batch(self, rollout: Rollout, now: float) -> Actions:
        """Start the next workers of a rollout; where none is left to replace, it is done."""
        rollout.members = []
        while rollout.rest and len(rollout.members) < rollout.surge:
            seat = rollout.rest.pop(0)
            # One that died meanwhile has been replaced by the new code already.
            is_new = seat.worker is not None and seat.worker.generation == rollout.generation
            if not is_new:
                rollout.members.append(self._new_worker(seat, now, rollout))
        if not rollout.members:
            return self._finish_rollout(rollout, now)
        return [self._started(worker) for worker in rollout.members]

    def _try_changeover(self, now: float) -> Actions:
        """Let a batch serve once all of it could, and go on with the next one."""
        rollout = self._rollout
        if not rollout or not rollout.is_loaded:
            return []
        if not rollout.members:
            return self._start_batch(rollout, now)
        actions: Actions = []
        retiring: list[Worker] = []
        for worker in rollout.members:
            seat = worker.seat
            retiring += [each for each in (seat.worker, seat.successor) if each]
            seat.worker, seat.successor, seat.retry_at, seat.because = worker, None, None, ""
            actions += self._offer(worker, now)
        for worker in retiring:
            actions += self._retire(worker, now)
        if not rollout.serves:
            self._go_by(rollout, now)
        return [*actions, *self._start_batch(rollout, now)]

    def _go_by(self, rollout: Rollout, now: float) -> None:
        """Take the plan of a rollout whose first workers serve: new ones are of its kind."""
        rollout.serves = True
        rollout.old_generation, self._roster.generation = (
            self._roster.generation,
            rollout.generation,
        )
        self.plan, self._serving_since = rollout.plan, now
        self.loaded = next((each.loaded for each in rollout.members if each.loaded), self.loaded)
        self._overdues.folder = self.plan.folder

    def _finish_rollout(self, rollout: Rollout, now: float) -> Actions:
        """All of the new workers serve."""
        self._rollout = None
        if not rollout.serves:
            self._go_by(rollout, now)
        said = self._say(f"{rollout.because}: reloaded in {now - rollout.started:.2f} s")
        self.outcome = do.ReloadEnded(is_done=True, text=said.text, failure=None)
        ended = do.EndGeneration(self._app, rollout.old_generation)
        return [ended, said, *self._follow_number(rollout, now)]

    def _follow_number(self, rollout: Rollout, now: float) -> Actions:
        """Have as many workers as a new plan says; a number that did not change stays scaled."""
        before, workers = rollout.before, self.plan.workers
        limits = before.workers, before.max_workers
        if limits == (workers, self.plan.max_workers):
            return []
        self._upkeep = Upkeep(least=workers, most=max(workers, self.plan.max_workers))
        if before.workers == workers or len(self._roster.seats) == workers:
            return []
        return self.change_seats(on.WorkersAsked(count=workers), now)

    def _end_rollout(self, now: float) -> Actions:
        """Give the new workers up that do not serve yet; the present ones go on."""
        rollout, self._rollout = self._rollout, None
        if rollout is None:
            return []
        actions: Actions = []
        for worker in rollout.members:
            if worker.state is not WorkerState.STOPPING:
                actions += self._stop_worker(worker, now + STOP_S)
        since = self._time_of_day(rollout.serving_since)
        text = f"not loaded, still serving the version of {since}"
        useless = rollout.generation
        if rollout.serves:
            useless = rollout.old_generation
            old = sum(1 for seat in self._roster.seats if self._is_old(seat))
            text = f"{count(old, 'worker')} of {len(self._roster.seats)} could not be replaced"
            text += f", still serving the version of {since}: reload again"
        actions.append(do.EndGeneration(self._app, useless))
        said = self._say(f"{rollout.because}: {text}", "error")
        self.outcome = do.ReloadEnded(is_done=False, text=said.text, failure=rollout.failure)
        return [*actions, said]

    def _is_old(self, seat: Seat) -> bool:
        return seat.worker is not None and seat.worker.generation != self._roster.generation

    # What is said

    def _say(self, text: str, level: do.Level = "info") -> do.Say:
        return do.Say(f"{self.plan.name}: {text}" if self.plan.name else text, level)

    def _show(self, failure: LoadFailure) -> Actions:
        """Show a failure, unless it is the one that was shown last: workers fail alike."""
        if self._stand.is_stopping or failure == self._shown:
            return []
        self._shown = failure
        return [do.ShowFailure(failure)]


def count(number: int, noun: str) -> str:
    """Write a number of things: `1 worker`, `2 workers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
