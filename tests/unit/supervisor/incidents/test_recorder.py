"""What edge, kernel and worker tell becomes one incident, in whatever order it comes."""

from typing import Any

import pytest
from trivet.supervisor.deaths import Death
from trivet.supervisor.incidents import recorder
from trivet.supervisor.incidents.recorder import Recorder, Who
from trivet.wire import control
from trivet.wire.incident import Incident

from tests.unit.supervisor.incidents.made import request

RAISED = control.Raised(error="KeyError: 'a'", place="app.py:3 in view", trace="Traceback")
SEGFAULT = Death(77, "SIGSEGV", 5 << 20)


class Desk:
    """A recorder, and what it has made."""

    def __init__(self) -> None:
        self.kept: list[Incident] = []
        self.recorder = Recorder(self.kept.append)

    def fails(self, wanted: str, *, worker: int = 2, raised: bool = False, **more: Any) -> None:
        dropped = more.pop("dropped", 0)
        message = control.RequestFailed(
            worker=worker,
            request=request(wanted, **more),
            raised=RAISED if raised else None,
            dropped=dropped,
        )
        self.recorder.on_request_failed(message, who("serving"), 100.0)

    def overdue(self, wanted: str, number: int = 9, **more: Any) -> None:
        parts: dict[str, Any] = {
            "worker": 2,
            "request": number,
            "cause": control.Overdue.TIMEOUT,
            "running_ms": 450,
            "method": "GET",
            "path": "/",
            "id": wanted,
            "failed": request(wanted, status=504),
            "dropped": 0,
        }
        message = control.RequestOverdue(**parts | more)
        self.recorder.on_request_overdue(message, who("serving"), 100.0)

    def lost(self, *, broke_contract: bool = False) -> None:
        message = control.WorkerLost(
            worker=2, reason="EOF", started=1, retried=0, broke_contract=broke_contract
        )
        self.recorder.on_worker_lost(message, 100.0)

    def exits(self, state: str = "serving", death: Death = SEGFAULT, stack: str = "") -> None:
        self.recorder.on_worker_exited(who(state), death, stack, 100.0)


def who(state: str) -> Who:
    return Who(
        worker=2,
        app="shop",
        pid=77,
        generation=3,
        state=state,
        memory_before_bytes=1 << 20,
        memory_now_bytes=2 << 20,
    )


def test_what_the_app_raised_is_whole_at_once() -> None:
    desk = Desk()
    desk.fails("one", raised=True)
    (made,) = desk.kept
    assert (made.id, made.kind, made.summary) == ("one", "exception", "KeyError: 'a'")
    assert (made.app, made.worker, made.pid, made.generation) == ("shop", 2, 77, 3)
    assert (made.memory_before_bytes, made.memory_after_bytes) == (1 << 20, 2 << 20)
    assert made.time == 1_700_000_000.5


@pytest.mark.parametrize("edge_first", [True, False])
def test_both_halves_of_a_death_are_joined_in_either_order(*, edge_first: bool) -> None:
    desk = Desk()
    if edge_first:
        desk.fails("one")
        desk.lost()
        assert desk.kept == []
        desk.exits(stack="Fatal")
    else:
        desk.exits(stack="Fatal")
        assert desk.kept == []
        desk.fails("one")
        desk.lost()
    (made,) = desk.kept
    assert (made.id, made.kind, made.signal, made.stack) == ("one", "crash", "SIGSEGV", "Fatal")
    assert [each.id for each in made.requests] == ["one"]
    assert made.summary == "worker 2 (pid 77) was killed by SIGSEGV"
    assert made.memory_after_bytes == 5 << 20
    assert desk.recorder.next_deadline() is None


def test_one_half_waits_only_so_long_for_the_other() -> None:
    desk = Desk()
    desk.exits()
    assert desk.recorder.next_deadline() == 100.0 + recorder.JOIN_S
    desk.recorder.tick(100.0 + recorder.JOIN_S)
    (made,) = desk.kept
    assert (made.kind, made.requests) == ("crash", ())
    assert len(made.id) == 36
    assert made.id[14] == "7"


def test_the_edge_alone_is_enough_if_requests_were_lost() -> None:
    desk = Desk()
    desk.fails("one")
    desk.lost()
    desk.recorder.flush()
    assert [(each.id, each.kind, each.summary) for each in desk.kept] == [
        ("one", "lost", "worker 2 was lost: EOF")
    ]


@pytest.mark.parametrize(
    ("reason", "out_of_memory", "kind", "code"),
    [
        ("SIGSEGV", False, "crash", None),
        ("SIGKILL", False, "kill", None),
        ("SIGKILL", True, "out_of_memory", None),
        ("exit 7", False, "exit", 7),
    ],
)
def test_the_kind_follows_from_the_end(
    reason: str,
    out_of_memory: bool,  # noqa: FBT001 - a parameter
    kind: str,
    code: int | None,
) -> None:
    desk = Desk()
    desk.exits("loading", Death(77, reason, 0, out_of_memory))
    (made,) = desk.kept
    assert (made.kind, made.exit_code, made.is_out_of_memory) == (kind, code, out_of_memory)


def test_a_broken_contract_is_called_that_though_the_supervisor_kills() -> None:
    desk = Desk()
    desk.lost(broke_contract=True)
    desk.exits("stopping", Death(77, "SIGKILL", 0))
    assert [(each.kind, each.summary) for each in desk.kept] == [
        ("contract", "worker 2 was lost: EOF")
    ]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("stopping", "exit 0"),
        ("stopping", "SIGKILL"),
        ("draining", "exit 0"),
        ("loading", "exit 3"),
    ],
)
def test_an_end_that_was_asked_for_is_no_incident(state: str, reason: str) -> None:
    desk = Desk()
    desk.exits(state, Death(77, reason, 0))
    assert desk.kept == []
    assert desk.recorder.next_deadline() is None


def test_an_end_that_was_asked_for_is_one_if_it_cost_a_request() -> None:
    desk = Desk()
    desk.fails("one")
    desk.lost()
    desk.exits("stopping", Death(77, "SIGKILL", 0))
    assert [(each.id, each.kind) for each in desk.kept] == [("one", "cut_off")]


def test_of_many_requests_the_first_are_kept_and_the_rest_counted() -> None:
    desk = Desk()
    for number in range(recorder.MOST_REQUESTS + 5):
        desk.fails(f"id{number}")
    desk.lost()
    desk.exits()
    (made,) = desk.kept
    assert (len(made.requests), made.more_requests) == (recorder.MOST_REQUESTS, 5)


def test_a_request_whose_time_is_over_waits_for_its_stack() -> None:
    desk = Desk()
    desk.overdue("one")
    assert desk.kept == []
    desk.recorder.on_stack(2, 9, "It is in\n    app.py:3 view")
    (made,) = desk.kept
    assert (made.id, made.kind, made.summary) == ("one", "timeout", "no response after 0.5 s")
    assert made.stack == "It is in\n    app.py:3 view"
    assert (made.app, made.worker, made.pid, made.generation) == ("shop", 2, 77, 3)
    assert [each.status for each in made.requests] == [504]
    assert made.time == 1_700_000_000.5
    desk.recorder.on_stack(2, 9, "again")
    assert len(desk.kept) == 1
    assert desk.recorder.next_deadline() is None


def test_a_stalled_response_is_called_that() -> None:
    desk = Desk()
    desk.overdue("one", cause=control.Overdue.STALL)
    desk.recorder.on_stack(2, 9, "")
    assert [(each.kind, each.summary) for each in desk.kept] == [
        ("stall", "the response stalled, 0.5 s after the request had come")
    ]


@pytest.mark.parametrize("end", ["time", "exit", "flush"])
def test_an_overdue_request_without_a_stack_is_an_incident_all_the_same(end: str) -> None:
    desk = Desk()
    desk.overdue("one")
    assert desk.recorder.next_deadline() == 100.0 + recorder.STACK_S
    desk.recorder.tick(99.0 + recorder.STACK_S)
    assert desk.kept == []
    if end == "time":
        desk.recorder.tick(100.0 + recorder.STACK_S)
    elif end == "exit":
        desk.exits("stopping", Death(77, "SIGKILL", 0))
    else:
        desk.recorder.flush()
    assert [(each.id, each.kind, each.stack) for each in desk.kept] == [("one", "timeout", "")]


def test_the_stack_of_another_request_is_not_taken() -> None:
    desk = Desk()
    desk.overdue("one")
    desk.recorder.on_stack(2, 8, "It is in")
    desk.recorder.on_stack(1, 9, "It is in")
    assert desk.kept == []


def test_an_overdue_request_that_the_edge_does_not_record_is_only_counted() -> None:
    desk = Desk()
    desk.overdue("one", failed=None, dropped=4)
    desk.recorder.on_stack(2, 9, "It is in")
    desk.recorder.flush()
    assert (desk.kept, desk.recorder.dropped) == ([], 4)


def test_what_was_dropped_is_summed_over_edges() -> None:
    desk = Desk()
    for dropped in (0, 7, 9, 2):  # the last is another edge, which counts from 0
        desk.fails("x", raised=True, dropped=dropped)
    assert desk.recorder.dropped == 11


def test_the_death_of_an_edge_is_an_incident() -> None:
    desk = Desk()
    desk.recorder.on_edge_exited(SEGFAULT)
    (made,) = desk.kept
    assert (made.process, made.worker, made.summary) == (
        "edge",
        None,
        "edge (pid 77) was killed by SIGSEGV",
    )
