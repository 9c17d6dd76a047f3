"""What is asked and said about overdue requests, and how a worker with a stuck one is replaced."""

from typing import Literal

import pytest
from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.overdue.sight import Look
from trivet.wire import control
from trivet.wire.control import Overdue
from trivet.wire.worker_control import Interrupted

from tests.unit.supervisor.test_policy import FAILURE, KILLED, LOADED, Table, told, without_words

BEFORE = Look(100, {7: ("S", 1.0)})
AFTER = Look(105, {7: ("S", 1.0)})
DUMP = (
    'Thread 0x00007f36a0ffe6c0 (most recent call first):\n  File "/srv/app.py", line 88 in report\n'
)


def overdue(
    worker: int = 1, request: int = 9, path: str = "/report", running_ms: int | None = 30_020
) -> on.RequestOverdue:
    message = control.RequestOverdue(
        worker=worker,
        request=request,
        cause=Overdue.TIMEOUT,
        running_ms=running_ms,
        method="GET",
        path=path,
        id="01a2",
        failed=None,
        dropped=0,
    )
    return on.RequestOverdue(worker, message, BEFORE)


def answered(
    found: Literal["thread", "task", "loop", "nothing"] = "thread", stack: str = "app.py:88 report"
) -> on.RequestInterrupted:
    return on.RequestInterrupted(
        1, Interrupted(request=9, found=found, stack=stack, thread=7 if found == "thread" else 0)
    )


def stuck(request: int = 9) -> on.RequestStuck:
    return on.RequestStuck(1, request, AFTER)


def test_an_overdue_request_is_interrupted_and_its_stack_said() -> None:
    table = Table.serving()
    assert table.happens(overdue()) == [do.Interrupt(1, 9, Overdue.TIMEOUT)]
    stack = "It is in\n    app.py:88 report"
    assert without_words(table.happens(answered())) == [do.RecordStack(1, 9, stack)]
    assert table.said() == (
        "GET /report (request id 01a2) has run for 30 s in worker 1 and is interrupted: "
        "its time is over. It is in\n    app.py:88 report"
    )
    assert table.passes(10) == []


# Edge and worker tell of it on two ways.
def test_a_stack_that_comes_behind_the_end_is_recorded() -> None:
    table = Table.serving()
    table.happens(overdue(), on.RequestReleased(1, 9))
    stack = "It is in\n    app.py:88 report"
    assert table.happens(answered()) == [do.RecordStack(1, 9, stack)]


@pytest.mark.parametrize("found", ["loop", "nothing"])
def test_what_was_found_is_recorded(found: Literal["loop", "nothing"]) -> None:
    table = Table.serving()
    table.happens(overdue())
    stack = {"loop": "The event loop is blocked in\n    app.py:88 report", "nothing": ""}[found]
    recorded = without_words(table.happens(answered(found)))
    assert recorded == [do.RecordStack(1, 9, stack)]


def test_a_request_that_has_ended_by_itself_is_not_interrupted() -> None:
    table = Table.serving()
    assert table.happens(overdue(running_ms=None)) == [do.RecordStack(1, 9, "")]
    assert table.passes(10) == []


def test_that_it_lets_go_is_said() -> None:
    table = Table.serving()
    table.happens(overdue(), answered())
    table.now += 0.1
    table.happens(on.RequestReleased(1, 9))
    assert table.said() == (
        "GET /report (request id 01a2) has let go of worker 1 0.1 s after it was interrupted"
    )


def test_a_worker_that_does_not_answer_is_made_to_write_its_stacks_down() -> None:
    table = Table.serving()
    table.happens(overdue())
    assert table.policy.next_deadline() == table.now + 1
    assert table.passes(1) == [do.AskForStacks(1)]
    assert table.passes(0.2) == [do.ReadStacks(1)]
    stack = "The worker does not answer, its threads are in\n    app.py:88 report"
    assert without_words(table.happens(on.StacksRead(1, DUMP))) == [do.RecordStack(1, 9, stack)]
    assert table.said().endswith(stack)
    assert table.passes(1) == []
    table.happens(answered())
    assert table.said() == ""  # too late to say it twice


@pytest.mark.parametrize("text", ["", "rubbish"])
def test_a_dump_that_says_nothing_is_called_that(text: str) -> None:
    table = Table.serving()
    table.happens(overdue())
    table.passes(1)
    table.passes(0.2)
    table.happens(on.StacksRead(1, text))
    assert table.said().endswith("\n    (no code of the app)")


def test_a_client_cannot_forge_a_line_by_its_path() -> None:
    table = Table.serving()
    table.happens(overdue(path="/a\n12:00:00 all is well"), answered())
    assert "GET /a\\n12:00:00 all is well (request" in table.said()


# Replacement


def test_the_successor_loads_first_and_the_stuck_worker_drains_then() -> None:
    table = Table.serving()
    table.happens(overdue(), answered())
    assert without_words(table.happens(stuck())) == [do.StartWorker(3, 0, 1)]
    assert table.said() == (
        "GET /report (request id 01a2) does not let go of worker 1 0.0 s after it was "
        "interrupted: its thread waits; the worker is replaced"
    )
    assert table.happens(on.WorkerLoaded(3, LOADED)) == [
        do.AddWorker(3, "wsgi"),
        told(control.DrainWorker(worker=1)),
    ]
    # Nothing is left on it but what is stuck: a stop in good order would wait for that.
    assert table.happens(on.WorkerDrained(1)) == [do.KillWorker(1)]
    assert table.happens(on.WorkerExited(1, KILLED)) == []


def test_a_silent_worker_gets_nothing_more_and_goes_when_its_successor_serves() -> None:
    table = Table.serving()
    table.happens(overdue())
    assert without_words(table.happens(stuck())) == [
        do.StartWorker(3, 0, 1),
        told(control.DrainWorker(worker=1)),
    ]
    assert "no thread of it gets the interpreter lock" in table.said()
    assert table.happens(on.WorkerLoaded(3, LOADED)) == [
        do.AddWorker(3, "wsgi"),
        do.KillWorker(1),
    ]


def test_several_stuck_requests_bring_one_successor() -> None:
    table = Table.serving()
    table.happens(overdue(), answered(), overdue(request=10))
    started = [
        each for each in table.happens(stuck(), stuck(10)) if isinstance(each, do.StartWorker)
    ]
    assert started == [do.StartWorker(3, 0, 1)]


def test_a_stuck_worker_that_dies_is_followed_at_once() -> None:
    table = Table.serving()
    table.happens(overdue(), answered(), stuck())
    died = control.WorkerDied(worker=1, reason="SIGKILL")
    assert without_words(table.happens(on.WorkerExited(1, KILLED))) == [told(died)]
    assert table.happens(on.WorkerLoaded(3, LOADED)) == [do.AddWorker(3, "wsgi")]
    assert table.passes(60) == []


def test_a_successor_that_cannot_load_leaves_the_stuck_worker_in_service() -> None:
    table = Table.serving()
    table.happens(overdue(), answered(), stuck())
    table.happens(on.WorkerFailed(3, FAILURE))
    assert "worker 1 goes on, though a request is stuck on it" in table.said()
    # The next one that is stuck is the next try.
    table.happens(on.WorkerExited(3, KILLED), overdue(request=11))
    assert do.StartWorker(4, 0, 1) in table.happens(stuck(11))


def test_a_successor_that_cannot_load_ends_a_silent_worker_and_is_tried_again() -> None:
    table = Table.serving()
    table.happens(overdue(), stuck())
    assert do.KillWorker(1) in table.happens(on.WorkerFailed(3, FAILURE))
    table.happens(on.WorkerExited(3, KILLED), on.WorkerExited(1, KILLED))
    assert do.StartWorker(4, 0, 1) in table.passes(60)


def test_a_reload_takes_the_place_of_a_successor() -> None:
    table = Table.serving(workers=1)
    table.happens(overdue(), answered(), stuck())
    table.happens(on.ReloadAsked("SIGHUP"))
    actions = table.happens(on.WorkerLoaded(3, LOADED))
    assert do.StopWorker(2) in actions
    assert told(control.DrainWorker(worker=1)) in actions
    assert do.AddWorker(3, "wsgi") in actions


def test_a_stop_does_not_wait_for_a_stuck_worker() -> None:
    table = Table.serving(workers=1)
    table.happens(overdue(), answered(), stuck())
    table.happens(on.StopAsked(15))
    assert do.KillWorker(1) in table.happens(on.EdgeExited(KILLED))
