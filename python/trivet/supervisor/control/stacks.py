"""Where the threads of the workers are, for whoever asks on the control socket.

Strategy: a worker that holds its interpreter lock for good cannot be asked anything, so nothing
is asked: a signal has a handler in C write the stacks to a file that the supervisor has, too. A
dump has no end that could be seen; it is taken when two looks have found the same. Nothing here
waits: `tick` looks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from trivet.supervisor.control.server import Call
from trivet.supervisor.control.snapshot import Snapshot
from trivet.supervisor.overdue import sight
from trivet.wire import stand_control as wire

LOOK_S = 0.02
"""Between two looks: the handler in C writes a hundred stacks in less."""

PATIENCE_S = 2.0
"""How long a worker may take: one that does not write is stopped, or waits for a disk."""

REPLY_CHARACTERS = wire.MAX_REPLY_BYTES // 8
"""Of all stacks of a reply: JSON makes of a character at most six bytes, the rest is small."""

NAMED_WORKERS = 20
"""Numbers of workers that the hint behind an unknown one lists."""


class View(Protocol):
    """What is seen of the stand, and done in it."""

    def snapshot(self) -> Snapshot:
        """Return how it is now."""

    def worker_pid(self, number: int) -> int | None:
        """Return a worker's process, if it lives."""

    def ask_for_stacks(self, number: int) -> bool:
        """Have a worker write down where its threads are; `False` where it cannot."""

    def read_stacks(self, number: int) -> str | None:
        """Return what a worker has written down; `None` where it has ended."""


@dataclass(slots=True)
class _Row:
    """A worker that is asked about."""

    number: int
    pid: int | None
    app: str
    state: str
    before: sight.Look
    text: str = ""
    problem: str = ""
    is_known: bool = False


@dataclass(slots=True)
class _Inquiry:
    call: Call
    rows: list[_Row]
    next_look: float
    due: float


class StackDesk:
    """Answers `StackAsked`, each some hundredths of a second later."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._inquiries: list[_Inquiry] = []

    def take(self, call: Call, asked: wire.StackAsked, now: float) -> None:
        """Have the workers write their stacks down, or say that there is no such worker."""
        snapshot = self._view.snapshot()
        rows = [row for row in self._rows(snapshot, now) if asked.worker in (None, row.number)]
        if asked.worker is not None and not rows:
            numbers = [str(each.number) for app in snapshot.apps for each in app.workers]
            more = ", …" if len(numbers) > NAMED_WORKERS else ""
            hint = f"its workers are {', '.join(numbers[:NAMED_WORKERS])}{more}" if numbers else ""
            call.refuse("control.no_worker", f"the stand has no worker {asked.worker}", hint)
            return
        for row in rows:
            if not self._view.ask_for_stacks(row.number):
                is_loading = row.state == "loading"
                row.problem = "it still loads the app" if is_loading else "it has ended"
                row.is_known = True
        self._go_on(_Inquiry(call, rows, now + LOOK_S, now + PATIENCE_S))

    def next_deadline(self) -> float | None:
        """Return when `tick` has to be called at the latest, or `None` for no such time."""
        return min((each.next_look for each in self._inquiries), default=None)

    def tick(self, now: float) -> None:
        """Look at what has been written by `now`."""
        inquiries, self._inquiries = self._inquiries, []
        for each in inquiries:
            if each.next_look <= now:
                each.next_look = now + LOOK_S
                for row in each.rows:
                    if not row.is_known:
                        self._look(row, now, is_last=each.due <= now)
            self._go_on(each)

    def _rows(self, snapshot: Snapshot, now: float) -> Iterator[_Row]:
        for app in snapshot.apps:
            for worker in app.workers:
                pid = self._view.worker_pid(worker.number)
                look = sight.look(pid or 0, now)
                yield _Row(worker.number, pid, app.name, worker.state, look)

    def _look(self, row: _Row, now: float, *, is_last: bool) -> None:
        text = self._view.read_stacks(row.number)
        if text is None:
            row.text, row.problem, row.is_known = "", "it has ended", True
            return
        row.is_known = is_last or (text != "" and text == row.text)
        row.text = text
        if is_last and not text:
            does = sight.describe(row.before, sight.look(row.pid or 0, now), 0)
            row.problem = f"it has written nothing for {PATIENCE_S:g} s: the process {does}"

    def _go_on(self, inquiry: _Inquiry) -> None:
        """Answer if everything is known, or else go on looking."""
        if not all(row.is_known for row in inquiry.rows):
            self._inquiries.append(inquiry)
            return
        share = REPLY_CHARACTERS // max(1, len(inquiry.rows))
        workers = tuple(_told(row, share) for row in inquiry.rows)
        reply = wire.Stacks(version=wire.STAND_CONTROL_VERSION, workers=workers)
        inquiry.call.answer(reply)


def _told(row: _Row, most: int) -> wire.WorkerStacks:
    is_cut = len(row.text) > most
    text = row.text[:most].rpartition("\n")[0] if is_cut else row.text
    return wire.WorkerStacks(
        worker=row.number,
        pid=row.pid,
        app=row.app,
        state=row.state,
        stacks=text,
        is_cut=is_cut,
        problem=row.problem,
    )
