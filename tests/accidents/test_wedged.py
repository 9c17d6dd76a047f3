"""Requests that do not end: their clients, their threads, their processes and their neighbours."""

import os
import re
import shutil
import signal
import threading
from pathlib import Path

import pytest

from tests.accidents.conftest import Serve
from tests.e2e.program import Project
from tests.e2e.stand import Stand
from tests.waiting import wait_until

TIMEOUTS = '[timeouts]\nrequest = "600ms"\ninterrupt_grace = "1s"\n'
REPLACED = "the worker is replaced"


@pytest.fixture
def wedge(serve: Serve, project: Project, root: Path) -> Serve:
    """Start stands with the apps of the wedges: the WSGI one, or another by its name."""
    for name in ("wedge", "wedge_asgi"):
        shutil.copy(root / f"tests/accidents/apps/{name}.py", project.folder)

    def begin(app: str = "wedge", timeouts: str = TIMEOUTS, workers: int = 2) -> Stand:
        (project.folder / "trivet.toml").write_text(timeouts)
        return serve("--log-format", "text", app=f"{app}:app", workers=workers)

    return begin


def wait_for_one_replacement(stand: Stand, before: list[int]) -> None:
    """Wait until exactly one worker has gone, and exactly one has come."""
    stand.wait_for_text(REPLACED)

    def is_done() -> bool:
        now = stand.children("worker")
        return len(now) == len(before) and len(set(now) - set(before)) == 1

    wait_until(is_done, stand.describe)
    assert stand.err.text().count(REPLACED) == 1


# What lets go


@pytest.mark.parametrize("way", ["short_sleeps", "computes", "retries"])
def test_a_thread_that_runs_python_is_interrupted_and_its_process_lives_on(
    wedge: Serve, way: str
) -> None:
    stand = wedge()
    before = stand.children("worker")
    answer = stand.get(f"/{way}")
    assert answer.status == 504
    assert answer.headers["x-request-id"] in answer.text
    stand.wait_for_text("has let go of worker")
    said = stand.err.text()
    assert re.search(rf"GET /{way} \(request id \S+\) has run for 0\.[67]", said), said
    assert re.search(rf"\n    wedge\.py:\d+ app -> wedge\.py:\d+ {way}\n", said), said
    stand.wait_for_text("app.timeout")
    assert "Traceback" not in said
    assert stand.children("worker") == before
    assert stand.get("/pid").status == 200


def test_the_next_requests_on_the_thread_are_not_hit(wedge: Serve) -> None:
    stand = wedge(workers=1)
    for _ in range(3):
        assert stand.get("/short_sleeps").status == 504
        assert [stand.get("/pid").status for _ in range(20)] == [200] * 20
    wait_until(lambda: stand.err.text().count("has let go of") == 3, stand.describe)


def test_the_apps_finally_runs_when_it_is_interrupted(wedge: Serve, project: Project) -> None:
    stand = wedge()
    assert stand.get("/short_sleeps/mark").status == 504
    wait_until((project.folder / "mark.over").exists, stand.describe)


# What does not


@pytest.mark.parametrize(
    ("way", "does"),
    [
        ("long_sleep", "its thread waits"),
        ("deadlock", "its thread waits"),
        ("swallows", "its thread waits"),
    ],
)
def test_a_thread_that_does_not_let_go_costs_its_process_and_no_other(
    wedge: Serve, way: str, does: str
) -> None:
    stand = wedge()
    before = stand.children("worker")
    assert stand.get(f"/{way}").status == 504
    wait_for_one_replacement(stand, before)
    said = stand.err.text()
    assert re.search(rf"\n    wedge\.py:\d+ app -> wedge\.py:\d+ {way}\n", said), said
    assert f"after it was interrupted: {does}; {REPLACED}" in said
    assert stand.get("/pid").status == 200


@pytest.mark.parametrize(
    ("way", "does"), [("spins_in_c", "computes"), ("sleeps_with_the_lock", "waits")]
)
def test_who_holds_the_interpreter_lock_is_seen_without_being_asked(
    wedge: Serve, way: str, does: str
) -> None:
    stand = wedge()
    before = stand.children("worker")
    assert stand.get(f"/{way}").status == 504
    wait_for_one_replacement(stand, before)
    said = stand.err.text()
    assert f"the process {does}, and no thread of it gets the interpreter lock" in said
    assert "The worker does not answer, its threads are in\n" in said
    assert re.search(rf"\n    wedge\.py:\d+ app -> wedge\.py:\d+ {way}\n", said), said


def test_a_stopped_process_is_called_that(wedge: Serve, project: Project) -> None:
    stand = wedge(workers=1)
    answers: list[int] = []
    asks = threading.Thread(target=lambda: answers.append(stand.get("/held/mark").status))
    asks.start()
    wait_until((project.folder / "mark").exists, stand.describe)
    [worker] = before = stand.children("worker")
    os.kill(worker, signal.SIGSTOP)
    wait_for_one_replacement(stand, before)
    asks.join()
    assert answers == [504]
    assert "the process is stopped, by a signal or a debugger" in stand.err.text()


# Neighbours


def test_neighbours_in_the_same_process_are_answered(wedge: Serve, project: Project) -> None:
    stand = wedge(timeouts=TIMEOUTS + '[[route]]\npath = "/held/*"\ntimeout = "off"\n', workers=1)
    before = stand.children("worker")
    answers: list[int] = []
    beside = threading.Thread(target=lambda: answers.append(stand.get("/held/mark").status))
    beside.start()
    wait_until((project.folder / "mark").exists, stand.describe)
    assert stand.get("/deadlock").status == 504
    # The replacement serves while the old process waits for the neighbour alone.
    stand.wait_for_text(REPLACED)
    wait_until(lambda: stand.get("/pid").text not in map(str, before), stand.describe)
    assert set(before) <= set(stand.children("worker"))
    (project.folder / "release").touch()
    beside.join()
    assert answers == [200]
    wait_for_one_replacement(stand, before)


def test_several_stuck_requests_on_a_process_make_one_replacement(wedge: Serve) -> None:
    stand = wedge(workers=1)
    before = stand.children("worker")
    asking = [threading.Thread(target=stand.get, args=["/deadlock"]) for _ in range(3)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    wait_for_one_replacement(stand, before)


# In the queue


def test_a_request_whose_time_passes_in_the_queue_never_runs(
    wedge: Serve, project: Project
) -> None:
    stand = wedge(
        timeouts=TIMEOUTS + '[server]\nthreads = 1\n[[route]]\npath = "/held/*"\ntimeout = "off"\n',
        workers=1,
    )
    before = stand.children("worker")
    answers: list[int] = []
    busy = threading.Thread(target=lambda: answers.append(stand.get("/held/first").status))
    busy.start()
    wait_until((project.folder / "first").exists, stand.describe)
    late = stand.get("/pid/second")
    assert late.status == 504
    assert late.headers["retry-after"] == "1"
    stand.wait_for_text("app.queue_deadline")
    (project.folder / "release").touch()
    busy.join()
    assert stand.get("/pid/third").status == 200
    assert answers == [200]
    assert (project.folder / "third").exists()
    assert not (project.folder / "second").exists()
    assert stand.children("worker") == before


# Clients that leave


def test_a_client_that_leaves_interrupts_where_its_route_says_so(
    wedge: Serve, project: Project
) -> None:
    route = '[[route]]\npath = "/short_sleeps/*"\ntimeout = "off"\ncancel_on_disconnect = true\n'
    stand = wedge(timeouts=route)
    before = stand.children("worker")
    with stand.socket() as client:
        client.sendall(b"GET /short_sleeps/mark HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until((project.folder / "mark").exists, stand.describe)
    wait_until((project.folder / "mark.over").exists, stand.describe)
    stand.wait_for_text("is interrupted: its client has left. It is in\n")
    stand.wait_for_text("has let go of worker")
    assert stand.children("worker") == before


def test_a_request_whose_client_has_left_still_has_its_deadline(
    wedge: Serve, project: Project
) -> None:
    stand = wedge()
    before = stand.children("worker")
    with stand.socket() as client:
        client.sendall(b"GET /deadlock/mark HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until((project.folder / "mark").exists, stand.describe)
    wait_for_one_replacement(stand, before)


# What the app is told


def test_the_app_knows_its_deadline(wedge: Serve) -> None:
    route = '[[route]]\npath = "/deadline"\ntimeout = "1h"\n'
    assert 3500 < float(wedge(timeouts=route).get("/deadline").text) <= 3600


@pytest.mark.parametrize("app", ["wedge", "wedge_asgi"])
def test_without_a_timeout_there_is_none(wedge: Serve, app: str) -> None:
    assert wedge(app, timeouts='[timeouts]\nrequest = "off"\n').get("/deadline").text == "none"


# ASGI


def test_a_task_is_told_and_then_cancelled(wedge: Serve, project: Project) -> None:
    stand = wedge("wedge_asgi")
    before = stand.children("worker")
    assert stand.get("/sleeps/mark").status == 504
    wait_until((project.folder / "mark.over").exists, stand.describe)
    stand.wait_for_text("has let go of worker")
    said = stand.err.text()
    assert re.search(r"\n    wedge_asgi\.py:\d+ app -> .*wedge_asgi\.py:\d+ sleeps", said), said
    assert "Traceback" not in said
    assert stand.children("worker") == before
    assert 0 < float(stand.get("/deadline").text) <= 0.6


def test_a_task_that_listens_for_the_disconnect_is_not_cancelled(
    wedge: Serve, project: Project
) -> None:
    stand = wedge("wedge_asgi")
    assert stand.get("/listens/mark").status == 504
    wait_until((project.folder / "mark.over").exists, stand.describe)
    assert (project.folder / "mark.over").read_text() == "http.disconnect"
    assert stand.get("/deadline").status == 200
    assert REPLACED not in stand.err.text()


def test_a_task_that_ignores_its_cancellation_costs_its_process(wedge: Serve) -> None:
    stand = wedge("wedge_asgi")
    before = stand.children("worker")
    assert stand.get("/swallows").status == 504
    wait_for_one_replacement(stand, before)
    assert "its task goes on, though it was cancelled" in stand.err.text()


def test_a_call_that_blocks_the_event_loop_is_named_and_interrupted_last(wedge: Serve) -> None:
    stand = wedge("wedge_asgi")
    before = stand.children("worker")
    assert stand.get("/blocks_in_python").status == 504
    stand.wait_for_text("The event loop is blocked in\n")
    stand.wait_for_text("has let go of worker")
    assert re.search(r"\n    wedge_asgi\.py:\d+ .*blocks_in_python", stand.err.text())
    assert stand.children("worker") == before


def test_an_event_loop_that_stays_blocked_costs_its_process(wedge: Serve) -> None:
    stand = wedge("wedge_asgi")
    before = stand.children("worker")
    assert stand.get("/blocks").status == 504
    wait_for_one_replacement(stand, before)
    assert "the event loop waits" in stand.err.text()
    assert stand.get("/deadline").status == 200


def test_a_response_that_has_begun_has_no_deadline_but_may_not_stall(wedge: Serve) -> None:
    stand = wedge("wedge_asgi", timeouts=TIMEOUTS + 'response_stall = "1s"\n')
    answer = stand.raw(b"GET /streams HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"tick") == 12  # a second and more, each a tenth after the one before
    assert not answer.endswith(b"0\r\n\r\n")
    stand.wait_for_text("is interrupted: its response stalled.")
    stand.wait_for_text("has let go of worker")
