"""Leader and followers: who runs what while others wait."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.e2e.apps import serving
from tests.e2e.apps.gates import Gates
from tests.e2e.apps.journal import Journal
from tests.e2e.stand import Answer, Stand, read_to_end
from tests.waiting import wait_until

LARGE = "GET /large?name={} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return Journal(tmp_path_factory.mktemp("threads") / "journal")


@pytest.fixture(scope="module")
def gates(journal: Journal) -> Gates:
    return Gates(journal.folder)


@pytest.fixture(scope="module")
def one_process(journal: Journal) -> Iterator[Stand]:
    """One worker with two threads, and no room for answers that nobody reads."""
    room = {"TRIVET_BUFFERS_RESPONSE_MEMORY": "16k", "TRIVET_BUFFERS_RESPONSE_FILE": "0"}
    arguments = ["--workers", "1", "--threads", "2"]
    with serving("gates:app", *arguments, env=journal.env | room) as stand:
        yield stand


@pytest.fixture(scope="module")
def two_processes(journal: Journal) -> Iterator[Stand]:
    """Two workers with one thread each, that hold up to four requests."""
    arguments = ["--workers", "2", "--threads", "1"]
    with serving("gates:app", *arguments, env=journal.env | {"TRIVET_WINDOW": "4"}) as stand:
        yield stand


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(30) as pool:
        yield pool


def wait_at(journal: Journal, name: str) -> int:
    """Wait until a view waits at a gate, and return its process's id."""
    start = f"waiting {name} "

    def pid() -> int | None:
        found = [line for line in journal.lines() if line.startswith(start)]
        return int(found[0].removeprefix(start)) if found else None

    return wait_until(pid, lambda: f"{name}: {journal.lines()}")


@pytest.mark.parametrize("view", ["gate", "compute"])
def test_a_fast_request_does_not_wait_behind_a_slow_one_of_another_thread(
    one_process: Stand, journal: Journal, gates: Gates, clients: ThreadPoolExecutor, view: str
) -> None:
    slow = clients.submit(one_process.get, f"/{view}?name=behind-{view}")
    wait_at(journal, f"behind-{view}")
    for _ in range(20):
        assert one_process.get("/fast").status == 200
    assert not slow.done()
    gates.open(f"behind-{view}")
    assert slow.result().status == 200


def test_what_waits_behind_a_full_process_is_answered_in_the_end(
    one_process: Stand, journal: Journal, gates: Gates, clients: ThreadPoolExecutor
) -> None:
    slow = [clients.submit(one_process.get, f"/gate?name=full-{n}") for n in range(2)]
    for number in range(2):
        wait_at(journal, f"full-{number}")
    fast = [clients.submit(one_process.get, "/fast") for _ in range(10)]
    gates.open("full-0")
    assert [answer.result().status for answer in fast] == [200] * 10
    gates.open("full-1")
    assert [answer.result().status for answer in slow] == [200, 200]


@pytest.mark.parametrize("first", [0, 1])
def test_what_lies_behind_a_slow_request_is_recalled_for_an_idle_process(
    two_processes: Stand,
    journal: Journal,
    gates: Gates,
    clients: ThreadPoolExecutor,
    first: int,
) -> None:
    names = [f"recalled-{first}-{number}" for number in range(2)]
    slow = [clients.submit(two_processes.get, f"/gate?name={name}") for name in names]
    assert len({wait_at(journal, name) for name in names}) == 2
    fast = [clients.submit(two_processes.get, "/fast") for _ in range(6)]
    wait_until(lambda: all(future.running() for future in fast), lambda: "not sent")
    gates.open(names[first])
    freed = f"fast by {wait_at(journal, names[first])}"
    assert [answer.result().text for answer in fast] == [freed] * 6
    gates.open(names[1 - first])
    assert [answer.result().status for answer in slow] == [200, 200]


def test_as_many_views_as_there_are_threads_run_at_once(
    journal: Journal, clients: ThreadPoolExecutor
) -> None:
    with serving("gates:app", "--workers", "1", "--threads", "8", env=journal.env) as stand:
        meeting = [clients.submit(stand.get, "/meet") for _ in range(8)]
        assert [answer.result().status for answer in meeting] == [200] * 8


def test_a_reader_that_goes_back_to_its_view_leaves_nobody_unread(
    one_process: Stand, journal: Journal, gates: Gates, clients: ThreadPoolExecutor
) -> None:
    # A thread that waits for room to send reads the connection meanwhile. When it went back to
    # its view nobody read, and the edge, which had set it aside before, rang for nobody.
    with one_process.socket() as slow_reader:
        slow_reader.sendall(LARGE.format("unread").encode())
        wait_at(journal, "before-unread")
        assert one_process.get("/fast").status == 200  # sets the other request aside
        gates.open("before-unread")
        assert slow_reader.recv(12) == b"HTTP/1.1 200"
        other = clients.submit(one_process.get, "/gate?name=other-thread")
        wait_at(journal, "other-thread")
        gates.open("other-thread")
        assert other.result().status == 200
        content = bytearray()
        while len(content) < 64 << 20:
            content += slow_reader.recv(1 << 20)
        wait_at(journal, "unread")
        assert one_process.get("/fast").status == 200
        gates.open("unread")
        content += read_to_end(slow_reader)
    assert content.endswith(b"the end\r\n0\r\n\r\n")


def test_a_process_with_a_slow_reader_on_each_thread_goes_on_when_they_read(
    one_process: Stand, gates: Gates
) -> None:
    for gate in ["before-readers", "readers"]:
        gates.open(gate)
    readers = [one_process.socket() for _ in range(2)]
    for reader in readers:
        reader.sendall(LARGE.format("readers").encode())
        assert reader.recv(12) == b"HTTP/1.1 200"
    for reader in readers:
        with reader:
            assert read_to_end(reader).endswith(b"the end\r\n0\r\n\r\n")
    assert one_process.get("/fast").status == 200


def wait_for_abort(stand: Stand, query: str) -> None:
    line = stand.wait_for_request(lambda line: line.get("query") == query)
    assert line["aborted"] is True


def test_a_client_that_leaves_before_the_head_holds_no_thread(
    one_process: Stand, journal: Journal, gates: Gates
) -> None:
    # The worker learned nothing from a `Cancel` that came before its answer had begun, and its
    # thread waited for ever for room to send.
    for number in range(4):  # twice as many as there are threads
        name = f"left-{number}"
        with one_process.socket() as connected:
            connected.sendall(LARGE.format(name).encode())
            wait_at(journal, f"before-{name}")
        wait_for_abort(one_process, f"name={name}")
        gates.open(f"before-{name}")
    for _ in range(10):
        assert one_process.get("/fast").status == 200


def echo(stand: Stand, number: int) -> tuple[Answer, bytes, str]:
    """One of many different requests: small and large, buffered and streamed, list and stream."""
    size = [0, 1, 1000, 65_536, 100_001, 300_000][number % 6]
    content = f"{number},".encode() * (size // 4)
    target = ["/echo", "/streamed/echo"][number // 6 % 2]
    tag = f"tag-{number}"
    if number % 5 == 0:
        parts = (content[at : at + 30_000] for at in range(0, len(content), 30_000))
        headers = {"X-Tag": tag, "Transfer-Encoding": "chunked"}
        return stand.request("POST", target, parts, headers), content, tag
    return stand.request("PUT", target, content, {"X-Tag": tag}), content, tag


@pytest.mark.parametrize("process", ["one_process", "two_processes"])
def test_no_answers_are_crossed_among_many(
    request: pytest.FixtureRequest, process: str, clients: ThreadPoolExecutor
) -> None:
    stand: Stand = request.getfixturevalue(process)
    answers: list[Future[tuple[Answer, bytes, str]]] = [
        clients.submit(echo, stand, number) for number in range(400)
    ]
    for future in answers:
        answer, content, tag = future.result()
        assert answer.status == 200, stand.describe()
        assert answer.headers["x-tag"] == tag
        assert answer.body == content
