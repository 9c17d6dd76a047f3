"""What is done about the requests on the control socket.

Strategy: the desk reads the stand through `View`, and changes it only by events that the policy
takes in its own turn. What cannot be answered at once is kept: a status until the edge has
answered or `EDGE_S` is over, a reload until its outcome is known.
"""

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from signal import SIGTERM
from typing import Protocol

import trivet
from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.control.server import Call
from trivet.supervisor.control.snapshot import Snapshot
from trivet.supervisor.control.stacks import StackDesk
from trivet.supervisor.incidents.box import BlackBox
from trivet.supervisor.procfs import own_mounts, rss_bytes
from trivet.wire import control
from trivet.wire import stand_control as wire
from trivet.wire.incident import Incident

EDGE_S = 1.0
"""How long the edge may take for its numbers: then the status is told without them."""

MOST_EVENTS = 50
"""Lines that a status repeats: what has happened lately, not a log."""

MOST_FOUND = 10
"""Incidents of one id that are told: a proxy may give it to several requests."""

MOST_WORKERS = 1024
"""As `server.workers` allows."""

_VERSION = wire.STAND_CONTROL_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What hardly ever changes about a stand: a reload may bring other targets."""

    apps: Sequence[tuple[str, str]]
    """Target and mount of each, in the order of the apps' numbers."""
    addresses: Sequence[str]
    graceful_s: float
    folder: str


class View(Protocol):
    """What the desk may see of the stand."""

    def snapshot(self) -> Snapshot:
        """Return how it is now."""

    def edge_pid(self) -> int | None:
        """Return the edge's process, if it lives."""

    def worker_pid(self, number: int) -> int | None:
        """Return a worker's process, if it lives."""

    def task_pid(self, number: int) -> int | None:
        """Return a background task's process, if it lives."""

    def ask_for_stacks(self, number: int) -> bool:
        """Have a worker write down where its threads are; `False` where it cannot."""

    def read_stacks(self, number: int) -> str | None:
        """Return what a worker has written down; `None` where it has ended."""

    def ask_edge(self, number: int) -> bool:
        """Ask the edge for its numbers; `False` if there is no edge."""


class Desk:
    """Answers the calls of the control socket."""

    def __init__(
        self, view: View, standing: Standing, box: BlackBox, push: Callable[[on.Event], None]
    ) -> None:
        """Take up the work; `push` gives an event to the policy."""
        self._view = view
        self._standing = standing
        self._box = box
        self._push = push
        self._events: deque[wire.EventLine] = deque(maxlen=MOST_EVENTS)
        self._asked = 0
        self._statuses: dict[int, tuple[Call, float]] = {}
        self._stacks = StackDesk(view)
        self._reloads: list[Call] = []
        """Those who wait for the next reload to begin."""
        self._rolling: list[Call] = []
        """Those who wait for the present one to end."""

    # What the stand tells

    def note(self, text: str, level: str) -> None:
        """Remember a line that was said, for the status."""
        self._events.append(wire.EventLine(time=time.time(), level=level, text=text))

    def on_edge_status(self, numbers: control.Status) -> None:
        """Answer whoever waits for these numbers."""
        call, _ = self._statuses.pop(numbers.id, (None, 0))
        if call:
            call.answer(self._status(numbers))

    def on_reload_began(self) -> None:
        """Note that whoever has asked for a reload so far gets this one."""
        self._rolling += self._reloads
        self._reloads = []

    def on_reload_ended(self, ended: do.ReloadEnded) -> None:
        """Answer whoever waits for this reload."""
        calls, self._rolling = self._rolling, []
        outcome = wire.Reloaded(
            version=_VERSION,
            outcome="done" if ended.is_done else "failed",
            text=ended.text,
            failure=ended.failure,
            problems=ended.problems,
        )
        for call in calls:
            call.answer(outcome)

    def on_renewed(self, apps: Sequence[tuple[str, str]], graceful_s: float) -> None:
        """Take note of what the apps are now, and how long a stop may take."""
        self._standing = replace(self._standing, apps=apps, graceful_s=graceful_s)

    def next_deadline(self) -> float | None:
        """Return when `tick` has to be called at the latest, or `None` for no such time."""
        times = [due for _, due in self._statuses.values()]
        times += [each for each in [self._stacks.next_deadline()] if each is not None]
        return min(times, default=None)

    def tick(self, now: float) -> None:
        """Answer without the edge where it has taken too long; look for stacks."""
        self._stacks.tick(now)
        for number, (call, due) in list(self._statuses.items()):
            if due <= now:
                del self._statuses[number]
                call.answer(self._status(None))

    # What is asked

    def take(self, call: Call) -> None:
        """Answer a request, now or later."""
        match call.request:
            case wire.HealthAsked():
                call.answer(self._health())
            case wire.IdentityAsked():
                call.answer(self._identity())
            case wire.StatusAsked():
                self._take_status(call)
            case wire.StopAsked() as asked:
                self._take_stop(call, asked)
            case wire.ScaleAsked() as asked:
                self._take_scale(call, asked)
            case wire.ReloadAsked() as asked:
                self._take_reload(call, asked)
            case wire.IncidentsAsked() as asked:
                call.answer(self._incidents(asked.limit))
            case wire.IncidentAsked() as asked:
                found = tuple(self._box.find(asked.id)[:MOST_FOUND])
                call.answer(wire.FoundIncidents(version=_VERSION, incidents=found))
            case wire.StackAsked() as asked:
                self._stacks.take(call, asked, time.monotonic())

    def _take_status(self, call: Call) -> None:
        self._asked += 1
        if self._view.ask_edge(self._asked):
            self._statuses[self._asked] = call, time.monotonic() + EDGE_S
        else:
            call.answer(self._status(None))

    def _take_stop(self, call: Call, asked: wire.StopAsked) -> None:
        is_stopping = self._view.snapshot().state == "stopping"
        if not is_stopping:
            self._push(on.StopAsked(SIGTERM))
        if asked.now:
            self._push(on.StopAsked(SIGTERM))
        graceful_s = 0.0 if asked.now else self._standing.graceful_s
        reply = wire.Stopping(version=_VERSION, pid=os.getpid(), graceful_s=graceful_s)
        call.answer(reply, hold=True)

    def _take_scale(self, call: Call, asked: wire.ScaleAsked) -> None:
        view = self._view.snapshot()
        if view.state == "stopping":
            self._refuse_stopping(call)
            return
        meant = [
            (number, app) for number, app in enumerate(view.apps) if asked.app in (None, app.name)
        ]
        if not meant:
            names = ", ".join(f"`{app.name}`" for app in view.apps if app.name)
            hint = f"its apps are {names}" if names else "it has only one, without a name"
            if not view.apps:
                call.refuse("control.no_app", "the stand has no app, so it has no workers")
            else:
                call.refuse("control.no_app", f"the stand has no app `{asked.app}`", hint)
            return
        wanted = [
            app.wanted + asked.workers if asked.is_change else asked.workers for _, app in meant
        ]
        if bad := [count for count in wanted if not 1 <= count <= MOST_WORKERS]:
            text = f"an app has 1 to {MOST_WORKERS} workers, and cannot have {bad[0]}"
            call.refuse("control.bad_scale", text)
            return
        for number, _ in meant:
            if asked.is_change:
                self._push(on.WorkersAsked(change=asked.workers, app=number))
            else:
                self._push(on.WorkersAsked(count=asked.workers, app=number))
        scales = [
            wire.AppScale(app=app.name, workers=count)
            for (_, app), count in zip(meant, wanted, strict=True)
        ]
        call.answer(wire.Scaled(version=_VERSION, apps=tuple(scales)))

    def _take_reload(self, call: Call, asked: wire.ReloadAsked) -> None:
        if self._view.snapshot().state == "stopping":
            self._refuse_stopping(call)
            return
        self._push(on.ReloadAsked("trivet reload"))
        if asked.wait:
            self._reloads.append(call)
            return
        text = "a reload has been asked for"
        call.answer(
            wire.Reloaded(version=_VERSION, outcome="running", text=text, failure=None, problems=())
        )

    def stop_waiting(self) -> None:
        """Tell those who wait for a reload that none comes: the stand stops."""
        for call in [*self._rolling, *self._reloads]:
            self._refuse_stopping(call)
        self._rolling, self._reloads = [], []

    def _refuse_stopping(self, call: Call) -> None:
        call.refuse("control.stopping", "the stand is stopping")

    # What is told

    def _health(self) -> wire.Health:
        view = self._view.snapshot()
        because = {
            "starting": "the app is still being loaded" if view.apps else "the edge is starting",
            "degraded": "no worker serves" if view.edge_is_ready else "the edge does not serve",
            "stopping": "the stand is stopping",
        }.get(view.state, "")
        return wire.Health(version=_VERSION, is_healthy=not because, because=because)

    def _incidents(self, limit: int) -> wire.Incidents:
        rows = (_row(each) for each in itertools.islice(self._box.newest_first(), limit))
        return wire.Incidents(
            version=_VERSION,
            incidents=tuple(rows),
            total=self._box.total,
            dropped=self._box.dropped,
        )

    def _identity(self) -> wire.Identity:
        return wire.Identity(
            version=_VERSION,
            pid=os.getpid(),
            apps=tuple(target for target, _ in self._standing.apps),
            folder=self._standing.folder,
            mounts=own_mounts(),
            uptime_s=self._view.snapshot().uptime_s,
        )

    def _status(self, numbers: control.Status | None) -> wire.StandStatus:
        view = self._view.snapshot()
        return wire.StandStatus(
            version=_VERSION,
            trivet=trivet.__version__,
            pid=os.getpid(),
            folder=self._standing.folder,
            addresses=tuple(self._standing.addresses),
            state=view.state,
            uptime_s=view.uptime_s,
            edge=wire.EdgeStatus(
                pid=self._view.edge_pid(),
                is_ready=view.edge_is_ready,
                connections=numbers.connections if numbers else None,
                queued=numbers.queued if numbers else None,
                in_flight=numbers.in_flight if numbers else None,
                requests=numbers.requests if numbers else None,
            ),
            apps=tuple(
                wire.AppStatus(name=app.name, target=target, mount=mount, wanted=app.wanted)
                for app, (target, mount) in zip(view.apps, self._standing.apps, strict=True)
            ),
            workers=tuple(self._workers(view, numbers)),
            tasks=tuple(self._tasks(view)),
            events=tuple(self._events),
        )

    def _tasks(self, view: Snapshot) -> Iterator[wire.TaskStatus]:
        for number, each in enumerate(view.tasks):
            pid = self._view.task_pid(number)
            yield wire.TaskStatus(
                name=each.name,
                pid=pid,
                state=each.state,
                runs=each.runs,
                age_s=each.age_s,
                rss_bytes=rss_bytes(pid) if pid else None,
            )

    def _workers(
        self, view: Snapshot, numbers: control.Status | None
    ) -> Iterator[wire.WorkerStatus]:
        loads = {each.worker: each for each in numbers.workers} if numbers else {}
        for app in view.apps:
            for each in app.workers:
                pid, load = self._view.worker_pid(each.number), loads.get(each.number)
                yield wire.WorkerStatus(
                    worker=each.number,
                    pid=pid,
                    app=app.name,
                    interface=each.interface,
                    state=each.state,
                    generation=each.generation,
                    age_s=each.age_s,
                    requests=load.requests if load else None,
                    in_flight=load.in_flight if load else None,
                    rss_bytes=rss_bytes(pid) if pid else None,
                )


def _row(incident: Incident) -> wire.IncidentRow:
    first = incident.requests[0] if incident.requests else None
    return wire.IncidentRow(
        id=incident.id,
        time=incident.time,
        kind=incident.kind,
        summary=incident.summary,
        app=incident.app,
        worker=incident.worker,
        method=first.method if first else "",
        target=first.target if first else "",
        status=first.status if first else 0,
    )
