"""Apps that do the worst to their own process: who notices, and what lives on."""

import os
import re
import shutil
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.program import MARK, marked
from tests.e2e.stand import Stand, start
from tests.waiting import wait_until

Serve = Callable[..., Stand]
BOTH = pytest.mark.parametrize("name", ["app", "asgi"])


@pytest.fixture
def serve(tmp_path: Path, root: Path) -> Iterator[Serve]:
    """Start stands with a fatal app; none of their processes may outlive the test."""
    shutil.copy(root / "tests/accidents/apps/fatal.py", tmp_path / "fatal.py")
    mark = uuid.uuid4().hex
    stands: list[Stand] = []

    def begin(*arguments: str, name: str = "app", workers: int = 1, **more: str) -> Stand:
        command = [f"fatal:{name}", "--workers", str(workers), "--graceful-timeout", "1s"]
        env = {MARK: mark, "FOLDER": str(tmp_path), **more}
        stands.append(start(*command, *arguments, cwd=tmp_path, env=env))
        return stands[-1]

    yield begin
    (tmp_path / "release").touch()
    for stand in stands:
        if stand.process.poll() is None:
            assert stand.stop() == 0, stand.describe()
    wait_until(lambda: not marked(mark), lambda: f"left: {marked(mark)}")


def ask_in_background(stand: Stand, path: str) -> threading.Thread:
    """Ask for what is not answered; the thread ends with the stand."""

    def ask() -> None:
        with stand.socket() as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            client.settimeout(None)
            try:
                client.recv(1)
            except ConnectionResetError:
                return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def wait_for_others(stand: Stand, count: int, gone: set[int]) -> None:
    """Wait until so many workers are there, and none of those."""
    wait_until(
        lambda: len(stand.children("worker")) == count and not gone & set(stand.children("worker")),
        stand.describe,
    )


# Forks


@BOTH
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/fork", "from the parent, child 0"),
        ("/fork-and-raise", "from the parent"),
        ("/process", "its work"),
    ],
)
def test_a_forked_child_never_answers_for_its_parent(
    serve: Serve, name: str, path: str, text: str
) -> None:
    stand = serve(name=name)
    workers = stand.children("worker")
    for _ in range(5):
        assert stand.get(path).text == text
        assert stand.get("/ok").text == "ok"
    assert stand.children("worker") == workers


@BOTH
def test_a_child_that_stays_does_not_hide_its_parents_death(serve: Serve, name: str) -> None:
    stand = serve(name=name)
    parent = int(stand.get("/fork-and-stay").text)
    os.kill(parent, signal.SIGKILL)
    wait_for_others(stand, 1, gone={parent})
    assert stand.get("/ok").text == "ok"


# Ends


@pytest.mark.parametrize(
    ("path", "words"),
    [("/leave", "exited with code 7"), ("/segfault", "was killed by SIGSEGV")],
)
@BOTH
def test_a_request_that_ends_two_workers_is_not_tried_a_third_time(
    serve: Serve, name: str, path: str, words: str
) -> None:
    stand = serve(name=name, workers=2)
    before = set(stand.children("worker"))
    answer = stand.get(path)
    assert answer.status == 500
    line = stand.wait_for_request(lambda line: line["path"] == path)
    assert line["error"] == "app.quarantined"
    wait_until(lambda: stand.err.text().count(words) == 2, stand.describe)
    wait_for_others(stand, 2, gone=before)
    assert stand.get("/ok").text == "ok"


def test_an_app_whose_view_ends_it_each_time_comes_back_ever_later(serve: Serve) -> None:
    stand = serve()
    for wait in ("0.1", "0.2", "0.4"):
        assert stand.request("POST", "/leave").status == 502
        stand.wait_for_text(f"another starts in {wait} s")
        wait_until(lambda: stand.get("/ok").status == 200, stand.describe)
    assert stand.err.text().count("exited with code 7") == 3


def test_an_app_that_ends_itself_at_each_start_is_tried_again_until_it_is_repaired(
    serve: Serve, tmp_path: Path
) -> None:
    stand = serve(workers=2)
    source = tmp_path / "fatal.py"
    good = source.read_text()
    source.write_text(f"import os\nos._exit(9)\n{good}")
    victim, other = stand.children("worker")
    os.kill(victim, signal.SIGKILL)
    for wait in ("0.2", "0.4", "0.8"):
        stand.wait_for_text(f"the next try is in {wait} s")
    assert "exited with code 9 while it loaded the app" in stand.err.text()
    assert stand.get("/ok").text == "ok"
    assert other in stand.children("worker")
    source.write_text(good)
    wait_for_others(stand, 2, gone={victim})
    tries = len(re.findall("the next try is in", stand.err.text()))
    assert tries < 10


# Memory


@BOTH
def test_more_memory_than_there_is_costs_the_request_alone(serve: Serve, name: str) -> None:
    stand = serve(name=name, LIMIT="1")
    workers = stand.children("worker")
    assert stand.get("/allocate").status == 500
    line = stand.wait_for_request(lambda line: line["path"] == "/allocate")
    assert re.fullmatch(r"MemoryError at fatal\.py:\d+ in allocate", line["error"])
    assert stand.get("/ok").text == "ok"
    assert stand.children("worker") == workers


# Threads that never come back


@BOTH
def test_a_worker_that_holds_the_interpreter_lock_does_not_hold_up_the_others(
    serve: Serve, name: str, tmp_path: Path
) -> None:
    stand = serve("--threads", "4", name=name, workers=2)
    ask_in_background(stand, "/spin")
    wait_until(lambda: list(tmp_path.glob("spinning-*")), stand.describe)
    assert [stand.get("/ok").text for _ in range(30)] == ["ok"] * 30


def test_a_deadlock_costs_its_threads_alone(serve: Serve, tmp_path: Path) -> None:
    stand = serve("--threads", "4")
    for _ in range(3):
        ask_in_background(stand, "/deadlock")
    wait_until((tmp_path / "locked").exists, stand.describe)
    assert [stand.get("/ok").text for _ in range(30)] == ["ok"] * 30


@BOTH
def test_a_thread_that_is_left_does_not_hold_up_the_end(serve: Serve, name: str) -> None:
    stand = serve(name=name)
    assert stand.get("/leave-a-thread").text == "left"
    assert stand.stop() == 0


# What belongs to the whole process


@BOTH
def test_a_worker_that_has_closed_all_its_files_is_replaced(serve: Serve, name: str) -> None:
    stand = serve(name=name, workers=2)
    before = set(stand.children("worker"))
    assert stand.get("/close-all").status == 500
    wait_for_others(stand, 2, gone=before)
    assert stand.get("/ok").text == "ok"


@BOTH
def test_a_worker_without_a_free_descriptor_still_answers(serve: Serve, name: str) -> None:
    stand = serve(name=name, workers=1, FEW_FILES="1")
    assert int(stand.get("/open-all").text) > 0
    assert stand.get("/ok").text == "ok"
    # Spooled content needs one: that worker cannot take it, and makes room for one that can.
    stand.request("POST", "/ok", b"x" * 1_000_000)
    wait_until(lambda: stand.request("POST", "/ok", b"x" * 1_000_000).status == 200, stand.describe)


@BOTH
def test_another_folder_is_the_apps_own_affair(serve: Serve, name: str) -> None:
    stand = serve(name=name)
    assert stand.get("/change-folder").text == "changed"
    assert stand.get("/ok").text == "ok"
    assert stand.get("/no-such-view").status == 500
    line = stand.wait_for_request(lambda line: line["path"] == "/no-such-view")
    assert "fatal.py:" in line["error"]


@BOTH
def test_an_app_that_ignores_sigterm_stops_all_the_same(serve: Serve, name: str) -> None:
    stand = serve(name=name)
    # In a thread of WSGI that raises; the main thread's handler is the worker's in any case.
    assert stand.get("/handle-sigterm").status == (500 if name == "app" else 200)
    assert stand.stop() == 0
    assert "cut off" not in stand.err.text()


@BOTH
def test_ten_megabytes_of_output_hold_up_nobody(serve: Serve, name: str) -> None:
    stand = serve(name=name)
    assert stand.get("/shout").text == "shouted"
    assert stand.get("/ok").text == "ok"
    wait_until(lambda: len(stand.out.text() + stand.err.text()) > 10_000_000, "10 MB of output")
