"""Requests that nobody waits for and that still run: what is asked about them, what is said.

The life of an overdue request: the edge tells of it (`begin`); its worker is asked to interrupt
it, and answers with its stack (`answer`), or does not, because its interpreter lock is held: then
the stacks come from a signal handler in C (`tick`, `read`). In the end it lets go (`release`) or
is stuck (`give_up`), and the worker is replaced. What is seen of it also goes into its incident,
which `incidents` puts together. Like `fleet`, which calls it, `Overdues` has
neither clock nor I/O.
"""

from dataclasses import dataclass
from pathlib import Path

from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.overdue import sight
from trivet.wire import control, stacks
from trivet.wire.control import Overdue
from trivet.wire.worker_control import Interrupted

ANSWER_S = 1.0
"""A worker that does not answer for so long, or for half of a shorter time of grace, has no
thread that gets the interpreter lock: its own look at a blocked event loop takes a third."""

DUMP_S = 0.2
"""What a signal handler gets to write the stacks down: it needs some hundred microseconds."""

_CAUSES = {
    Overdue.DISCONNECT: "its client has left",
    Overdue.STALL: "its response stalled",
    Overdue.TIMEOUT: "its time is over",
}

_SUBJECTS = {"thread": "its thread", "loop": "the event loop"}

Actions = list[do.Action]


@dataclass(slots=True)
class _Request:
    told: on.RequestOverdue
    since: float
    due: float | None
    """When there must be an answer, or else the dump."""
    is_dumped: bool = False
    answer: Interrupted | None = None
    dump: str = ""


class Overdues:
    """The overdue requests of an app's workers."""

    def __init__(self, grace_s: float, folder: Path) -> None:
        self._answer_s = min(ANSWER_S, grace_s / 2)
        self.folder = folder
        self._requests: dict[tuple[int, int], _Request] = {}

    def begin(self, event: on.RequestOverdue, now: float) -> Actions:
        """Have the worker interrupt a request, unless it has ended by itself."""
        if event.message.running_ms is None:
            return [do.RecordStack(event.worker, event.message.request, "")]
        key = event.worker, event.message.request
        self._requests[key] = _Request(event, now, now + self._answer_s)
        return [do.Interrupt(event.worker, event.message.request, event.message.cause)]

    def answer(self, event: on.RequestInterrupted) -> Actions:
        """Take a worker's answer, which may be late: the request may have let go by now."""
        answer = event.answer
        where = "The event loop is blocked in" if answer.found == "loop" else "It is in"
        stack = "" if answer.found == "nothing" else _shown(where, [answer.stack])
        recorded = do.RecordStack(event.worker, answer.request, stack)
        request = self._requests.get((event.worker, answer.request))
        if request is None:
            return [recorded]
        if request.answer:
            return []
        was_told = request.is_dumped
        request.due, request.answer = None, answer
        if was_told or not stack:
            return [recorded]
        return [recorded, self._say(request, stack)]

    def tick(self, now: float) -> Actions:
        """Ask for stacks where there is no answer, and read those that were asked for."""
        late = {
            worker: [each for each in self._of(worker) if each.due is not None and each.due <= now]
            for worker, _ in self._requests
        }
        actions: Actions = []
        for worker, requests in late.items():
            if not requests:
                continue
            if all(each.is_dumped for each in requests):
                actions.append(do.ReadStacks(worker))
            else:
                actions.append(do.AskForStacks(worker))
            for each in requests:
                each.due = None if each.is_dumped else now + DUMP_S
                each.is_dumped = True
        return actions

    def read(self, event: on.StacksRead) -> Actions:
        """Say where the threads of a worker are that does not answer."""
        shown = [stacks.shown(stack, self.folder) for stack in stacks.dumped(event.text)]
        lines = [line for line in dict.fromkeys(shown) if line]
        actions: Actions = []
        for request in self._of(event.worker):
            if request.is_dumped and not request.dump and not request.answer:
                request.dump = _shown("The worker does not answer, its threads are in", lines)
                number = request.told.message.request
                actions.append(do.RecordStack(event.worker, number, request.dump))
                actions.append(self._say(request, request.dump))
        return actions

    def release(self, event: on.RequestReleased, now: float) -> Actions:
        """Note that a request has let go, or its worker is gone."""
        request = self._requests.pop((event.worker, event.request), None)
        if request is None:
            return []
        took = f"{now - request.since:.1f} s after it was interrupted"
        return [do.Say(f"{_name(request)} has let go of worker {event.worker} {took}")]

    def give_up(self, event: on.RequestStuck, now: float) -> tuple[str, bool]:
        """Note that a request does not let go; its worker is to be replaced.

        Returns:
            What is to be said, and whether the worker is silent: nothing runs in it any more.
        """
        request = self._requests.get((event.worker, event.request))
        if request is None:
            return f"a request does not let go of worker {event.worker}", False
        found = request.answer.found if request.answer else None
        thread = request.answer.thread if request.answer else 0
        does = sight.describe(request.told.look, event.look, thread)
        does = f"{_SUBJECTS.get(found or '', 'the process')} {does}"
        if found is None:
            does += ", and no thread of it gets the interpreter lock"
        elif found == "task":
            does = "its task goes on, though it was cancelled"
        took = f"{now - request.since:.1f} s after it was interrupted"
        text = f"{_name(request)} does not let go of worker {event.worker} {took}: {does}"
        return text, found is None or found == "loop"

    def forget(self, worker: int) -> None:
        """Forget the requests of a worker that is gone."""
        self._requests = {key: each for key, each in self._requests.items() if key[0] != worker}

    def next_deadline(self) -> float | None:
        """Return when `tick` has to be called at the latest, or `None` for no such time."""
        times = (request.due for request in self._requests.values())
        return min((time for time in times if time is not None), default=None)

    def _of(self, worker: int) -> list[_Request]:
        return [each for (number, _), each in self._requests.items() if number == worker]

    def _say(self, request: _Request, stack: str) -> do.Say:
        message = request.told.message
        ran = f"has run for {(message.running_ms or 0) / 1000:.3g} s in worker {message.worker}"
        head = f"{_name(request)} {ran} and is interrupted: {_CAUSES[message.cause]}."
        return do.Say(f"{head} {stack}", "warning")


def sighted(
    message: control.RequestOverdue | control.RequestReleased | control.RequestStuck,
    pid: int,
    now: float,
) -> on.OfRequest:
    """Make an event of what the edge tells, with a look at the worker's process `pid`."""
    match message:
        case control.RequestReleased():
            return on.RequestReleased(message.worker, message.request)
        case control.RequestOverdue():
            return on.RequestOverdue(message.worker, message, sight.look(pid, now))
        case control.RequestStuck():
            return on.RequestStuck(message.worker, message.request, sight.look(pid, now))


def _shown(where: str, lines: list[str]) -> str:
    shown = [line for line in lines if line] or ["(no code of the app)"]
    return "\n".join([where, *(f"    {line}" for line in shown)])


def _name(request: _Request) -> str:
    message = request.told.message
    # The path is decoded: a line break in it would begin a line of the client's own.
    path = message.path if message.path.isprintable() else ascii(message.path)[1:-1]
    return f"{message.method} {path} (request id {message.id})"
