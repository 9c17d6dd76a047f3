"""What is said about `StackAsked`, of workers that write at once, late, never, or too much."""

import os
from typing import Any

import pytest
from trivet.supervisor.control.snapshot import FleetFacts, Snapshot, WorkerFacts
from trivet.supervisor.control.stacks import LOOK_S, NAMED_WORKERS, PATIENCE_S, StackDesk
from trivet.wire import stand_control as wire

DUMP = 'Thread 0x01 (most recent call first):\n  File "/srv/app.py", line 3 in view\n'


class FakeCall:
    """A call that keeps what it is answered."""

    def __init__(self) -> None:
        self.replies: list[Any] = []

    def answer(self, reply: wire.Reply) -> None:
        self.replies.append(reply)

    def refuse(self, code: str, message: str, hint: str = "") -> None:
        self.replies.append((code, message, hint))


class FakeView:
    """Workers by number; what each has written, `None` for one that has ended."""

    def __init__(self, written: dict[int, str | None], loading: tuple[int, ...] = ()) -> None:
        self.written = written
        self.loading = loading
        self.asked: list[int] = []

    def snapshot(self) -> Snapshot:
        workers = [
            WorkerFacts(
                number=number,
                state="loading" if number in self.loading else "serving",
                generation=1,
                age_s=1.0,
                interface="wsgi",
            )
            for number in self.written
        ]
        app = FleetFacts(name="shop", wanted=len(workers), workers=tuple(workers))
        return Snapshot(state="serving", uptime_s=1, edge_is_ready=True, apps=(app,), tasks=())

    def worker_pid(self, number: int) -> int | None:
        return None if self.written[number] is None else os.getpid()

    def ask_for_stacks(self, number: int) -> bool:
        self.asked.append(number)
        return number not in self.loading and self.written[number] is not None

    def read_stacks(self, number: int) -> str | None:
        return self.written[number]


class Inquiry:
    """A desk with one call, and its clock."""

    def __init__(self, view: FakeView, worker: int | None = None) -> None:
        self.now = 100.0
        self.call = FakeCall()
        self.desk = StackDesk(view)
        asked = wire.StackAsked(version=1, worker=worker)
        self.desk.take(self.call, asked, self.now)  # type: ignore[arg-type]

    def looks(self, times: int = 1) -> None:
        for _ in range(times):
            due = self.desk.next_deadline()
            assert due is not None
            self.now = due
            self.desk.tick(self.now)

    def told(self) -> tuple[wire.WorkerStacks, ...]:
        (reply,) = self.call.replies
        assert isinstance(reply, wire.Stacks)
        assert self.desk.next_deadline() is None
        return reply.workers


def test_a_dump_is_taken_when_two_looks_have_found_the_same() -> None:
    view = FakeView({1: ""})
    inquiry = Inquiry(view)
    inquiry.looks()
    view.written[1] = DUMP[:20]
    inquiry.looks()
    view.written[1] = DUMP
    inquiry.looks()
    assert inquiry.call.replies == []
    inquiry.looks()
    (told,) = inquiry.told()
    assert (told.worker, told.pid, told.app, told.state) == (1, os.getpid(), "shop", "serving")
    assert (told.stacks, told.is_cut, told.problem) == (DUMP, False, "")
    assert view.asked == [1]


def test_nobody_looks_before_it_is_time() -> None:
    inquiry = Inquiry(FakeView({1: DUMP}))
    for _ in range(5):
        inquiry.desk.tick(inquiry.now + LOOK_S / 2)
    assert inquiry.call.replies == []


def test_only_the_worker_that_is_meant_is_asked() -> None:
    view = FakeView({1: DUMP, 2: DUMP})
    inquiry = Inquiry(view, worker=2)
    inquiry.looks(2)
    assert [each.worker for each in inquiry.told()] == [2]
    assert view.asked == [2]


def test_one_that_writes_nothing_does_not_keep_the_others_stacks() -> None:
    inquiry = Inquiry(FakeView({1: "", 2: DUMP}))
    while not inquiry.call.replies:
        inquiry.looks()
    assert inquiry.now < 100 + PATIENCE_S + 2 * LOOK_S
    silent, other = inquiry.told()
    assert silent.problem.startswith("it has written nothing for 2 s: the process ")
    assert (other.stacks, other.problem) == (DUMP, "")


def test_one_that_still_loads_or_ends_meanwhile_is_called_that() -> None:
    view = FakeView({1: "", 2: "", 3: ""}, loading=(1,))
    inquiry = Inquiry(view)
    view.written[2] = None
    view.written[3] = DUMP
    inquiry.looks(2)
    assert [each.problem for each in inquiry.told()] == [
        "it still loads the app",
        "it has ended",
        "",
    ]


def test_where_none_can_say_it_the_answer_comes_at_once() -> None:
    assert [each.problem for each in Inquiry(FakeView({1: ""}, loading=(1,))).told()] == [
        "it still loads the app"
    ]
    assert Inquiry(FakeView({})).told() == ()


@pytest.mark.parametrize("count", [2, NAMED_WORKERS + 5])
def test_a_number_that_no_worker_has_is_refused(count: int) -> None:
    inquiry = Inquiry(FakeView(dict.fromkeys(range(1, count + 1), DUMP)), worker=999)
    ((code, message, hint),) = inquiry.call.replies
    assert (code, message) == ("control.no_worker", "the stand has no worker 999")
    assert hint.startswith("its workers are 1, 2")
    assert hint.endswith(", …") == (count > NAMED_WORKERS)
    assert len(hint) < 200


def test_a_reply_is_never_longer_than_it_may_be() -> None:
    line = 'File "' + "\x01" * 100 + '"\n'  # six bytes each in JSON
    text = line * 10_000
    inquiry = Inquiry(FakeView(dict.fromkeys(range(1, 41), text)))
    inquiry.looks(2)
    told = inquiry.told()
    assert all(each.is_cut for each in told)
    assert told[0].stacks
    assert text.startswith(told[0].stacks + "\n")
    reply = wire.Stacks(version=1, workers=told)
    assert len(wire.encode(reply)) < wire.MAX_REPLY_BYTES
