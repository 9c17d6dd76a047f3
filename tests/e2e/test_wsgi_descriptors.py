"""What a worker and the edge hold open after many requests is what they held before."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.apps import serving
from tests.e2e.apps.journal import Journal
from tests.e2e.stand import Stand, read_answer
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    folder = tmp_path_factory.mktemp("descriptors")
    (folder / "file").write_bytes(b"x" * 100_000)
    return Journal(folder / "journal")


@pytest.fixture(scope="module")
def gates(journal: Journal) -> Iterator[Stand]:
    with serving("gates:app", "--workers", "1", "--threads", "2", env=journal.env) as stand:
        yield stand


@pytest.fixture(scope="module")
def responses(journal: Journal) -> Iterator[Stand]:
    with serving("responses:app", "--workers", "1", "--threads", "2", env=journal.env) as stand:
        yield stand


def open_descriptors(stand: Stand) -> list[int]:
    pids = stand.children("edge") + stand.children("worker")
    return [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids]


def wait_until_as_before(stand: Stand, before: list[int]) -> None:
    wait_until(
        lambda: open_descriptors(stand) == before,
        lambda: f"{before} descriptors before, {open_descriptors(stand)} now",
    )


def test_a_thousand_spooled_uploads_leave_nothing_open(gates: Stand) -> None:
    gates.request("POST", "/echo", b"x" * 70_000, {"X-Tag": "t"})
    before = open_descriptors(gates)
    with closing(gates.connect()) as connection:
        for number in range(1000):
            target = "/echo" if number % 2 else "/fast"  # read, and left unread
            connection.request("POST", target, b"x" * 70_000, {"X-Tag": "t"})
            assert read_answer(connection.getresponse()).status == 200
    wait_until_as_before(gates, before)


def test_files_that_were_sent_are_closed(responses: Stand) -> None:
    responses.get("/file?plain")
    before = open_descriptors(responses)
    with closing(responses.connect()) as connection:
        for number in range(300):
            connection.request("HEAD" if number % 3 == 0 else "GET", "/file?plain")
            assert len(read_answer(connection.getresponse()).body) in {0, 99_997}
    wait_until_as_before(responses, before)


def test_clients_that_leave_leave_nothing_open(responses: Stand) -> None:
    before = open_descriptors(responses)
    request = b"GET /file?plain HTTP/1.1\r\nHost: a\r\n\r\n"
    upload = b"POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n" + b"x" * 70_000
    for number in range(200):
        with responses.socket() as connected:
            connected.sendall(upload if number % 2 else request)
    assert responses.get("/ok").text == "ok"
    wait_until_as_before(responses, before)
