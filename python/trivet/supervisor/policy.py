"""What the supervisor does when something happens: a state machine without clock or I/O.

Strategy: `Policy` is told what has happened, and when (`now`, seconds of a monotonic clock), and
answers with the actions to carry out, in order. It keeps the edge, the signals and the end; the
workers of each app are a `fleet`, and one fleet's troubles are no other's. Only at the start do
they stand together: until every app has served once, an app that fails to load ends the stand,
for a restart loop would hide it.
"""

import random
from collections.abc import Callable, Sequence

from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.control.snapshot import Snapshot
from trivet.supervisor.fleet.backoff import Backoff
from trivet.supervisor.fleet.fleet import STOP_S, Actions, Fleet
from trivet.supervisor.fleet.plan import FleetPlan
from trivet.supervisor.fleet.roster import EdgeState, StandState
from trivet.supervisor.reload.course import Course
from trivet.supervisor.tasks.keeper import Keeper
from trivet.supervisor.tasks.terms import TaskTerms
from trivet.wire import control
from trivet.wire.stand_control import State

EDGE_MERCY_S = 1.0
"""What the edge gets beyond the deadline that it was told, to cut off and exit by itself."""


class Policy:
    """The state of the stand.

    Attributes:
        exit_code: what the process will end with.
    """

    def __init__(
        self,
        fleets: Sequence[FleetPlan],
        tasks: Sequence[TaskTerms] = (),
        *,
        time_of_day: Callable[[float], str],
        random: Callable[[], float] = random.random,
        graceful_s: float = 0.0,
    ) -> None:
        """Begin with nothing started; where there are no fleets, a stop may take `graceful_s`."""
        self._stand = StandState()
        self._fleets = [
            Fleet(app, plan, self._stand, time_of_day, random) for app, plan in enumerate(fleets)
        ]
        self._own_graceful_s = graceful_s
        self._tasks = Keeper(tasks)
        self._reload = Course(self._fleets, self._stand, self._tasks.reloaded)
        self._edge_started = 0.0
        self._edge_retry: float | None = None
        self._edge_deadline: float | None = None
        self._edge_backoff = Backoff()
        self._started = 0.0
        self._has_served = False
        self.exit_code = 0

    # What the outside calls

    def start(self, now: float) -> Actions:
        """Start everything, all at once."""
        self._started = now
        actions = [self._start_edge(now)]
        for fleet in self._fleets:
            actions += fleet.start(now)
        return actions

    def handle(self, event: on.Event, now: float) -> Actions:
        """Take one event."""
        if isinstance(event, on.OfWorker):
            actions = self._of_worker(event, now)
        elif isinstance(event, on.OfRequest):
            fleet = self._fleet_of(event.worker)
            actions = fleet.on_request(event, now) if fleet else []
        else:
            name = f"_on_{_snake(type(event).__name__)}"
            actions = list(getattr(self, name)(event, now))
        return actions + self._follow_up(now)

    def tick(self, now: float) -> Actions:
        """Do what is due by `now`."""
        actions: Actions = []
        if self._edge_deadline is not None and self._edge_deadline <= now:
            self._edge_deadline = None
            actions.append(do.KillEdge())
        if self._edge_retry is not None and self._edge_retry <= now:
            actions.append(self._start_edge(now))
        for fleet in self._fleets:
            actions += fleet.tick(now)
        actions += self._tasks.tick(now)
        actions += self._reload.tick(now)
        return actions + self._follow_up(now)

    def next_deadline(self) -> float | None:
        """Return when `tick` has to be called at the latest, or `None` for no such time."""
        times = [self._edge_deadline, self._edge_retry, self._tasks.next_deadline()]
        times.append(self._reload.next_deadline())
        times += [fleet.next_deadline() for fleet in self._fleets]
        return min((time for time in times if time is not None), default=None)

    def snapshot(self, now: float) -> Snapshot:
        """Tell how the stand is, for whoever asks from outside."""
        return Snapshot(
            state=self._state(),
            uptime_s=now - self._started,
            edge_is_ready=self._stand.has_edge,
            apps=tuple(fleet.snapshot(now) for fleet in self._fleets),
            tasks=self._tasks.snapshot(now),
        )

    def _state(self) -> State:
        if self._stand.is_stopping:
            return "stopping"
        if not self._has_served:
            return "starting"
        if not (self._stand.has_edge and all(fleet.serves for fleet in self._fleets)):
            return "degraded"
        return "reloading" if self._reload.is_running else "serving"

    # What concerns all fleets

    @property
    def _graceful_s(self) -> float:
        times = (fleet.plan.graceful_s for fleet in self._fleets)
        return max(times, default=self._own_graceful_s)

    def _fleet_of(self, worker: int) -> Fleet | None:
        return next((each for each in self._fleets if each.owns(worker)), None)

    def _of_worker(self, event: on.OfWorker, now: float) -> Actions:
        fleet = self._fleet_of(event.worker)
        if fleet is None:
            return []
        actions = fleet.on_worker(event, now)
        if isinstance(event, on.WorkerExited) and self._stand.is_stopping:
            actions += self._exit_if_empty()
        return actions

    def _follow_up(self, now: float) -> Actions:
        """Do what follows from where the fleets have got to."""
        if self._stand.is_stopping:
            return []
        if not self._has_served:
            return self._follow_the_start(now)
        return self._reload.follow_up(now)

    def _follow_the_start(self, now: float) -> Actions:
        if any(fleet.cannot_start for fleet in self._fleets):
            return self._give_up(3, now)
        loaded = [fleet.loaded for fleet in self._fleets if fleet.loaded]
        if len(loaded) < len(self._fleets) or not (self._fleets or self._stand.has_edge):
            return []
        self._has_served = True
        screen = do.ShowScreen(tuple(loaded), now - self._started)
        actions: Actions = [screen, do.Notify("ready"), *self._tasks.begin(now)]
        return [*actions, *self._reload.begin_if_asked()]

    # The edge

    def _on_edge_ready(self, _: on.EdgeReady, now: float) -> Actions:
        self._stand.edge = EdgeState.READY
        if self._stand.is_stopping:
            return []
        actions: Actions = []
        if self._has_served:
            actions.append(do.Say(f"the edge is back after {now - self._edge_started:.2f} s"))
        for fleet in self._fleets:
            actions += fleet.offer_all(now)
        return actions

    def _on_edge_refused(self, event: on.EdgeRefused, now: float) -> Actions:
        said = do.Say(f"the edge refuses its configuration: {event.reason}", "error")
        if self._has_served or self._stand.is_stopping:
            return [said]
        return [said, *self._give_up(2, now)]

    def _on_edge_exited(self, event: on.EdgeExited, now: float) -> Actions:
        was_ready = self._stand.has_edge
        self._stand.edge, self._edge_deadline = EdgeState.NONE, None
        if self._stand.is_stopping:
            return self._stop_all_workers(now)
        death = f"the edge {event.death.describe()}"
        if not self._has_served and not was_ready:
            said = do.Say(f"{death} before it was ready", "error")
            return [said, *self._give_up(1, now)]
        delay = self._edge_backoff.next_delay(now - self._edge_started)
        self._edge_retry = now + delay
        text = f"{death}: it starts anew in {delay:.1f} s, with new workers"
        actions: Actions = [do.Say(text, "error")]
        for fleet in self._fleets:
            actions += fleet.replace_orphans(now)
        return [*actions, *self._reload.on_edge_gone(now)]

    def _on_edge_reconfigured(self, event: on.EdgeReconfigured, now: float) -> Actions:
        return [] if self._stand.is_stopping else self._reload.on_edge_answer(event, now)

    def _start_edge(self, now: float) -> do.Action:
        self._stand.edge, self._edge_retry = EdgeState.STARTING, None
        self._edge_started = now
        return do.StartEdge()

    # Signals

    def _on_stop_asked(self, event: on.StopAsked, now: float) -> Actions:
        if self._stand.is_stopping:
            return [do.Exit(128 + event.signal)]
        self._begin_stop(now + self._graceful_s + EDGE_MERCY_S)
        actions: Actions = [do.Notify("stopping"), do.CloseListeners(), *self._tasks.stop(now)]
        if self._stand.edge is EdgeState.NONE:
            return [*actions, *self._stop_all_workers(now)]
        self._edge_deadline = self._stand.stopping_until
        for fleet in self._fleets:
            actions += fleet.stop_unserving(now)
        if self._stand.edge is EdgeState.STARTING:
            self._edge_deadline = now + STOP_S
            return [*actions, do.TellEdge(control.Stop())]
        wait = f"requests in flight have {self._graceful_s:g} s, a second signal ends them now"
        drain = control.Drain(deadline_ms=round(self._graceful_s * 1000))
        return [*actions, do.Say(f"stopping: {wait}"), do.TellEdge(drain)]

    def _on_reload_asked(self, event: on.ReloadAsked, _: float) -> Actions:
        if self._stand.is_stopping:
            return []
        return self._reload.ask(event.because, may_begin=self._has_served)

    def _on_configuration_read(self, event: on.ConfigurationRead, now: float) -> Actions:
        return [] if self._stand.is_stopping else self._reload.on_read(event, now)

    def _on_configuration_refused(self, event: on.ConfigurationRefused, _: float) -> Actions:
        return [] if self._stand.is_stopping else self._reload.on_refused(event)

    def _on_workers_asked(self, event: on.WorkersAsked, now: float) -> Actions:
        if self._stand.is_stopping:
            return []
        actions: Actions = []
        for app, fleet in enumerate(self._fleets):
            if event.app in (None, app):
                actions += fleet.change_seats(event, now)
        return actions

    def _on_measured(self, event: on.Measured, now: float) -> Actions:
        if self._stand.is_stopping or self._reload.is_running or not self._has_served:
            return []
        actions: Actions = []
        for fleet, use in zip(self._fleets, event.apps, strict=True):
            actions += fleet.on_measured(use, event, now)
        return actions

    def _on_logs_asked(self, _: on.LogsAsked, __: float) -> Actions:
        return [do.TellEdge(control.ReopenLogs())] if self._stand.has_edge else []

    # Background tasks

    def _on_task_exited(self, event: on.TaskExited, now: float) -> Actions:
        actions = self._tasks.on_exited(event, now)
        return [*actions, *self._exit_if_empty()] if self._stand.is_stopping else actions

    # The end

    def _begin_stop(self, deadline: float) -> None:
        self._stand.stopping_until = deadline
        self._edge_retry = None
        self._reload.stop()
        for fleet in self._fleets:
            fleet.begin_stop()

    def _give_up(self, code: int, now: float) -> Actions:
        """End a stand that has never served."""
        self.exit_code = code
        self._begin_stop(now + STOP_S)
        actions: Actions = [do.CloseListeners()]
        if self._stand.edge is not EdgeState.NONE:
            self._edge_deadline = self._stand.stopping_until
            actions.append(do.TellEdge(control.Stop()))
        return [*actions, *self._stop_all_workers(now)]

    def _stop_all_workers(self, now: float) -> Actions:
        deadline = max(self._stand.stopping_until or now, now + STOP_S)
        actions: Actions = []
        for fleet in self._fleets:
            actions += fleet.stop_all(deadline)
        return [*actions, *self._exit_if_empty()]

    def _exit_if_empty(self) -> Actions:
        is_empty = self._tasks.is_empty and all(fleet.is_empty for fleet in self._fleets)
        if self._stand.edge is EdgeState.NONE and is_empty:
            return [do.Exit(self.exit_code)]
        return []


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
