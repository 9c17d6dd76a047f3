"""Flask's async views share one event loop: what one has opened, the next one uses."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.apps import serving
from tests.e2e.apps.journal import Journal
from tests.e2e.stand import Stand
from tests.e2e.test_bad_apps import exception_of, told

ONE_WORKER = ("async_flask:app", "--workers", "1", "--threads", "8")


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with serving(*ONE_WORKER) as stand:
        workers = stand.children("worker")
        yield stand
        assert stand.children("worker") == workers


def test_a_connection_of_one_request_serves_the_next(stand: Stand) -> None:
    answers = [stand.get(f"/pool/{text}").json() for text in ("one", "two", "three")]
    assert answers == [{"answer": text, "connects": 1} for text in ("ONE", "TWO", "THREE")]


def test_it_would_not_on_a_loop_of_its_own() -> None:
    """What the option turns off: then asgiref makes a loop for each view, and ends it."""
    env = {"TRIVET_ASYNC_VIEWS": "own", "WITH_ASGIREF": "1"}
    with serving(*ONE_WORKER, env=env) as stand:
        assert stand.get("/pool/one").json() == {"answer": "ONE", "connects": 1}
        assert stand.get("/pool/two").status == 500


def test_hooks_and_views_see_one_request_and_each_others_variables(stand: Stand) -> None:
    answer = stand.get("/context")
    assert answer.json() == {"path": "/context", "one_loop": True}
    assert answer.headers["x-variable"] == "before, view"
    assert answer.headers["x-one-loop"] == "True"
    assert "session=" in answer.headers["set-cookie"]
    assert stand.get("/plain").text == "before"


def test_an_exception_passes_with_the_lines_of_the_app(stand: Stand) -> None:
    assert stand.get("/raises").status == 500
    stand.wait_for_text("LookupError: in an async view")
    assert stand.get("/handled").text == "handled 'missing'"


def test_leaving_by_sys_exit_costs_the_request_alone(stand: Stand) -> None:
    assert stand.get("/leaves").status == 500
    assert told(stand, "/leaves")["error"].startswith("SystemExit: 3 at async_flask.py:")
    frames = exception_of(stand, "/leaves")
    assert "in leaves" in frames
    assert "event_loop" not in frames
    assert stand.get("/plain").text == "before"


def test_views_of_several_threads_run_on_one_loop(stand: Stand) -> None:
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: stand.get("/together").json(), range(4)))
    assert len({answer["loop"] for answer in answers}) == 1
    assert {answer["threads"] for answer in answers} == {1}


def test_a_view_that_would_wait_for_itself_is_told_so(stand: Stand) -> None:
    assert stand.get("/waits-for-itself").status == 500
    stand.wait_for_text("RuntimeError: an async view cannot wait for itself: `await waits_for_")


def test_an_app_with_means_of_its_own_is_left_alone(stand: Stand) -> None:
    assert stand.get("/mounted/").text == f"by its own means: {stand.children('worker')[0]}"


def test_what_is_left_on_the_loop_ends_with_the_worker(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    with serving(*ONE_WORKER, env=journal.env) as stand:
        assert stand.get("/background").text == "started"
    assert sorted(journal.lines()) == ["background cancelled", "generator closed"]
