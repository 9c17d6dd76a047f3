"""Puts an incident together from what edge, kernel and worker each know of it.

Strategy: what the app raised is whole when it comes. The loss of a worker is told twice, by the
edge (which requests were running) and by the kernel (how the process ended), in either order: the
first of them is held until the other one comes, or `JOIN_S` is over. A request whose time is over
is held until the worker, or a signal handler in it, has said where it is. Neither clock nor I/O:
the caller passes the time, and gets finished incidents through `keep`.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from trivet.supervisor.deaths import Death
from trivet.wire import control
from trivet.wire.incident import Incident, Kind

JOIN_S = 3.0
"""How long one half waits for the other: a worker that the edge has lost is killed after a
second, and a dead one's connection ends at once."""

STACK_S = 3.0
"""How long an overdue request waits for its stack: `overdue` has it after 1.2 s, or never."""

MOST_REQUESTS = 20
"""Requests of one incident that are kept whole; the rest of a hundred on one loop is counted."""

STACK_CHARACTERS = 16_000

KNOWN_TO_EDGE = frozenset({"serving", "draining", "lost"})
"""States of a worker whose end the edge tells of, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """The worker of an incident; `state` is the word for where it was in its life."""

    worker: int
    app: str
    pid: int | None
    generation: int | None
    state: str
    memory_before_bytes: int | None
    memory_now_bytes: int | None


@dataclass(slots=True)
class _Loss:
    """A lost worker, as far as it is known."""

    due: float
    requests: list[control.FailedRequest] = field(default_factory=list)
    more_requests: int = 0
    lost: control.WorkerLost | None = None
    who: Who | None = None
    death: Death | None = None
    stack: str = ""


@dataclass(frozen=True, slots=True)
class _Overdue:
    """A request whose time is over, as long as its stack is not known."""

    due: float
    cause: control.Overdue
    request: control.FailedRequest
    who: Who | None


class Recorder:
    """Makes incidents.

    Attributes:
        dropped: failures of apps that were not recorded, because there were too many at once.
    """

    def __init__(self, keep: Callable[[Incident], None]) -> None:
        self._keep = keep
        self._losses: dict[int, _Loss] = {}
        self._overdue: dict[tuple[int, int], _Overdue] = {}
        self._dropped_before = 0
        self._dropped_by_edge = 0

    @property
    def dropped(self) -> int:
        """Failures that the edges did not tell of, because there were too many at once."""
        return self._dropped_before + self._dropped_by_edge

    def on_request_failed(self, failed: control.RequestFailed, who: Who | None, now: float) -> None:
        """The edge tells that a request went wrong."""
        self._count_dropped(failed.dropped)
        if failed.raised is None:
            loss = self._loss(failed.worker, now)
            if len(loss.requests) < MOST_REQUESTS:
                loss.requests.append(failed.request)
            else:
                loss.more_requests += 1
            return
        raised = failed.raised
        texts = raised.error, raised.place, raised.trace
        self._keep(_of_request(failed.request, "exception", texts, failed.worker, who))

    def on_request_overdue(
        self, overdue: control.RequestOverdue, who: Who | None, now: float
    ) -> None:
        """The edge tells that a request's time is over, or that its response stalls."""
        self._count_dropped(overdue.dropped)
        if overdue.failed:
            held = _Overdue(now + STACK_S, overdue.cause, overdue.failed, who)
            self._overdue[overdue.worker, overdue.request] = held

    def on_stack(self, worker: int, request: int, stack: str) -> None:
        """It is known where an overdue request is, or that this cannot be seen (empty)."""
        held = self._overdue.pop((worker, request), None)
        if held:
            after_s = held.request.failed_us / 1e6
            if held.cause is control.Overdue.STALL:
                kind: Kind = "stall"
                summary = f"the response stalled, {after_s:.3g} s after the request had come"
            else:
                kind, summary = "timeout", f"no response after {after_s:.3g} s"
            self._keep(_of_request(held.request, kind, (summary, "", stack), worker, held.who))

    def on_worker_lost(self, lost: control.WorkerLost, now: float) -> None:
        """The edge tells that a worker's connection is gone."""
        loss = self._loss(lost.worker, now)
        loss.lost = lost
        if loss.death:
            self._finish(lost.worker)

    def on_worker_exited(self, who: Who, death: Death, stack: str, now: float) -> None:
        """A worker's process has ended."""
        self._end_overdue(lambda number, _: number == who.worker)
        loss = self._losses.get(who.worker)
        is_expected = who.state == "stopping" or (
            who.state in KNOWN_TO_EDGE and death.reason == "exit 0"
        )
        # A worker that could not load the app says so itself, and leaves with 3.
        is_told = who.state == "loading" and death.reason == "exit 3"
        if (is_expected or is_told) and not (loss and (loss.requests or _broke(loss))):
            self._losses.pop(who.worker, None)
            return
        loss = loss or self._loss(who.worker, now)
        loss.who, loss.death, loss.stack = who, death, stack
        if loss.lost or who.state not in KNOWN_TO_EDGE:
            self._finish(who.worker)

    def on_edge_exited(self, death: Death) -> None:
        """The edge's process has ended unasked."""
        self._keep(_of_death(_Loss(0.0, death=death), process="edge"))

    def next_deadline(self) -> float | None:
        """Return when `tick` has to be called at the latest, or `None` for no such time."""
        times = [each.due for each in self._losses.values()]
        times += [each.due for each in self._overdue.values()]
        return min(times, default=None)

    def tick(self, now: float) -> None:
        """Finish what has waited for too long."""
        for worker, loss in list(self._losses.items()):
            if loss.due <= now:
                self._finish(worker)
        self._end_overdue(lambda _, held: held.due <= now)

    def flush(self) -> None:
        """Finish everything: the stand ends."""
        for worker in list(self._losses):
            self._finish(worker)
        self._end_overdue(lambda _, __: True)

    def _end_overdue(self, is_meant: Callable[[int, _Overdue], bool]) -> None:
        """Keep requests without their stacks: none will come."""
        for (worker, request), held in list(self._overdue.items()):
            if is_meant(worker, held):
                self.on_stack(worker, request, "")

    def _count_dropped(self, dropped: int) -> None:
        if dropped < self._dropped_by_edge:  # another edge counts anew
            self._dropped_before += self._dropped_by_edge
        self._dropped_by_edge = dropped

    def _loss(self, worker: int, now: float) -> _Loss:
        return self._losses.setdefault(worker, _Loss(now + JOIN_S))

    def _finish(self, worker: int) -> None:
        loss = self._losses.pop(worker)
        if loss.death or loss.requests or _broke(loss):
            self._keep(_of_death(loss, process="worker", worker=worker))


def _of_request(
    request: control.FailedRequest,
    kind: Kind,
    texts: tuple[str, str, str],
    worker: int,
    who: Who | None,
) -> Incident:
    """Make the incident of one request; `texts` are its summary, place and stack."""
    summary, place, stack = texts
    return Incident(
        id=request.id,
        time=_since_1970(request),
        kind=kind,
        summary=summary,
        place=place,
        stack=stack[:STACK_CHARACTERS],
        process="worker",
        app=who.app if who else "",
        worker=worker,
        pid=who.pid if who else None,
        generation=who.generation if who else None,
        signal=None,
        exit_code=None,
        is_out_of_memory=False,
        memory_before_bytes=who.memory_before_bytes if who else None,
        memory_after_bytes=who.memory_now_bytes if who else None,
        requests=(request,),
        more_requests=0,
    )


def _of_death(
    loss: _Loss, *, process: Literal["worker", "edge"], worker: int | None = None
) -> Incident:
    death, who = loss.death, loss.who
    name = process if worker is None else f"{process} {worker}"
    if loss.lost and (death is None or loss.lost.broke_contract):
        summary = f"{name} was lost: {loss.lost.reason}"
    else:
        summary = f"{name} {death.describe() if death else 'was lost'}"
    is_exit = death is not None and death.reason.startswith("exit ")
    now = time.time()
    return Incident(
        id=loss.requests[0].id if loss.requests else _fresh_id(now),
        time=now,
        kind=_kind(loss),
        summary=summary,
        place="",
        stack=loss.stack[:STACK_CHARACTERS],
        process=process,
        app=who.app if who else "",
        worker=worker,
        pid=death.pid if death else None,
        generation=who.generation if who else None,
        signal=None if death is None or is_exit else death.reason,
        exit_code=int(death.reason.removeprefix("exit ")) if death and is_exit else None,
        is_out_of_memory=death.out_of_memory if death else False,
        memory_before_bytes=who.memory_before_bytes if who else None,
        memory_after_bytes=death.peak_bytes if death else None,
        requests=tuple(loss.requests),
        more_requests=loss.more_requests,
    )


def _kind(loss: _Loss) -> Kind:
    death = loss.death
    if _broke(loss):
        return "contract"
    if death is None:
        return "lost"
    if loss.who and loss.who.state == "stopping":
        return "cut_off"
    if death.reason.startswith("exit "):
        return "exit"
    if death.reason != "SIGKILL":
        return "crash"
    return "out_of_memory" if death.out_of_memory else "kill"


def _broke(loss: _Loss) -> bool:
    return loss.lost is not None and loss.lost.broke_contract


def _since_1970(request: control.FailedRequest) -> float:
    return (request.received_unix_us + request.failed_us) / 1e6


def _fresh_id(now: float) -> str:
    """Return an id like the edge's own: a UUID of version 7 (RFC 9562 section 5.7)."""
    high = (int(now * 1000) << 16) | 0x7000 | (int.from_bytes(os.urandom(2), "big") & 0x0FFF)
    low = (int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)) | (1 << 63)
    text = f"{high & ((1 << 64) - 1):016x}{low:016x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
