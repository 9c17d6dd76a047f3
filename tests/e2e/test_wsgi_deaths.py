"""A worker that dies in the middle of a request: who notices what."""

import http.client
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.apps import serving
from tests.e2e.apps.gates import Gates
from tests.e2e.apps.journal import Journal
from tests.e2e.stand import Stand
from tests.e2e.test_wsgi_threads import wait_at
from tests.waiting import wait_until


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def gates(journal: Journal) -> Gates:
    return Gates(journal.folder)


@pytest.fixture
def stand(journal: Journal) -> Iterator[Stand]:
    arguments = ["--workers", "2", "--threads", "1"]
    with serving("gates:app", *arguments, env=journal.env) as stand:
        yield stand


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def starts(journal: Journal, what: str) -> int:
    return journal.lines().count(f"started {what}")


def wait_for_workers(stand: Stand, count: int, gone: set[int]) -> None:
    """Wait until so many workers run and none of those is left, and are ready for requests."""
    wait_until(
        lambda: len(stand.children("worker")) == count and not gone & set(stand.children("worker")),
        stand.describe,
    )


def test_a_get_whose_worker_is_killed_is_answered_by_another(
    stand: Stand, journal: Journal, gates: Gates, clients: ThreadPoolExecutor
) -> None:
    answer = clients.submit(stand.get, "/gate?name=killed")
    os.kill(wait_at(journal, "killed"), signal.SIGKILL)
    gates.open("killed")
    assert answer.result().status == 200
    assert starts(journal, "GET gate killed") == 2


def test_a_post_whose_worker_is_killed_is_not_repeated(
    stand: Stand, journal: Journal, clients: ThreadPoolExecutor
) -> None:
    answer = clients.submit(stand.request, "POST", "/gate?name=posted", b"x")
    os.kill(wait_at(journal, "posted"), signal.SIGKILL)
    page = answer.result()
    assert page.status == 502
    assert page.headers["x-request-id"] in page.text
    assert starts(journal, "POST gate posted") == 1
    line = stand.wait_for_request(lambda line: line["path"] == "/gate")
    assert (line["status"], line["request_id"]) == (502, page.headers["x-request-id"])


def test_a_post_that_no_app_has_seen_is_answered_by_another(
    journal: Journal, gates: Gates, clients: ThreadPoolExecutor
) -> None:
    env = journal.env | {"TRIVET_WINDOW": "4"}
    with serving("gates:app", "--workers", "1", "--threads", "1", env=env) as stand:
        slow = clients.submit(stand.get, "/gate?name=before")
        pid = wait_at(journal, "before")
        unseen = clients.submit(stand.request, "POST", "/fast", b"x" * 100_000)
        wait_until(unseen.running, stand.describe)
        os.kill(pid, signal.SIGKILL)
        gates.open("before")
        assert (slow.result().status, unseen.result().status) == (200, 200)
        assert starts(journal, "POST fast") == 1


@pytest.mark.parametrize("how", ["exit", "segfault", "kill"])
def test_a_request_that_kills_two_workers_gets_no_third(
    stand: Stand, journal: Journal, how: str
) -> None:
    before = set(stand.children("worker"))
    page = stand.get(f"/crash?how={how}")
    assert page.status == 500
    assert page.headers["x-request-id"] in page.text
    assert starts(journal, "GET crash") == 2
    wait_for_workers(stand, 2, gone=before)
    assert [stand.get("/fast").status for _ in range(5)] == [200] * 5


@pytest.mark.parametrize("how", ["exit", "segfault", "kill"])
def test_a_get_that_kills_one_worker_is_answered_by_another(stand: Stand, how: str) -> None:
    assert stand.get(f"/crash-once?how={how}&name=once").status == 200


def test_a_client_gets_no_clean_end_from_a_worker_that_dies(stand: Stand) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        stand.get("/crash-later?how=kill")
    assert cut.value.partial == b"begun"
    line = stand.wait_for_request(lambda line: line["path"] == "/crash-later")
    assert (line["status"], line["error"] != "") == (200, True)


def test_others_do_not_notice_a_workers_death(
    stand: Stand, journal: Journal, gates: Gates, clients: ThreadPoolExecutor
) -> None:
    slow = clients.submit(stand.get, "/gate?name=other")
    pid = wait_at(journal, "other")
    assert stand.get("/crash-once?how=kill&name=neighbour").status == 200
    assert pid in stand.children("worker")
    gates.open("other")
    assert slow.result().text == f"gate by {pid}"


def test_a_segfault_leaves_its_python_stack_in_the_log(stand: Stand) -> None:
    stand.get("/crash-once?how=segfault&name=stack")
    stand.wait_for_text("gates.py")
    stand.wait_for_text("in crash")
