"""A worker as a process: told what to load, and how it ends."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from trivet.wire import worker_control
from trivet.wire.line_socket import LineSocket

from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.slow

APP = """
import sys
print("loaded by", sys.argv)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/boom":
        1 / 0
    if environ["PATH_INFO"] == "/half":
        start_response("200 OK", [])
        raise ValueError("late")
    start_response("200 OK", [])
    return [b"hello"]
"""


class WorkerProcess:
    """The test is its supervisor and its edge."""

    def __init__(self, folder: Path, root: Path, *, check: bool = False) -> None:
        self.folder = folder
        ours, theirs = socket.socketpair()
        self.control = LineSocket(ours)
        self.link, self.link_end = socket.socketpair()
        self.link.settimeout(DEADLINE_S)
        self.claim = os.memfd_create("claim")
        self.doorbell = os.eventfd(0)
        fds = [theirs.fileno(), self.link_end.fileno(), self.claim, self.doorbell]
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.unit.run_worker"),
                *(["--check"] if check else []),
                *("--control-fd", str(theirs.fileno())),
            ],
            pass_fds=fds,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            },
        )
        theirs.close()

    def start(self) -> None:
        message = worker_control.Start(
            worker=1,
            app=worker_control.AppTarget(
                name="app:app",
                module="app",
                expression="app",
                factory=False,
                directory=str(self.folder),
                interface="auto",
                async_views="shared",
            ),
            hooks=worker_control.NO_HOOKS,
            threads=2,
            multiprocess=False,
            mount="",
            link_fd=self.link_end.fileno(),
            claim_fd=self.claim,
            doorbell_fd=self.doorbell,
        )
        self.control.send(worker_control.encode(message))

    def answer(self) -> worker_control.FromWorker:
        select.select([self.control], [], [], DEADLINE_S)
        lines = self.control.receive()
        assert lines, self.process.communicate()
        self.link_end.close()
        return worker_control.decode_from_worker(lines[0])

    def ask(self, line: str) -> str:
        self.link.sendall(line.encode())
        return self.link.recv(4096).decode()

    def end(self) -> tuple[int, str, str]:
        stdout, stderr = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, stdout, stderr

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.control.close()
        self.link.close()
        self.link_end.close()
        os.close(self.claim)
        os.close(self.doorbell)


Start = Callable[..., WorkerProcess]


@pytest.fixture
def start_worker(tmp_path: Path, root: Path) -> Iterator[Start]:
    workers: list[WorkerProcess] = []

    def start(source: str = APP, *, check: bool = False) -> WorkerProcess:
        (tmp_path / "app.py").write_text(source)
        workers.append(WorkerProcess(tmp_path, root, check=check))
        workers[-1].start()
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


def test_it_reports_what_it_has_loaded_and_serves(start_worker: Start) -> None:
    worker = start_worker()
    answer = worker.answer()
    assert isinstance(answer, worker_control.Loaded)
    assert (answer.interface, answer.framework) == ("wsgi", "")
    assert worker.ask("GET /\n") == "200 OK hello\n"


def test_an_app_does_not_see_the_arguments_of_trivet(start_worker: Start) -> None:
    worker = start_worker()
    worker.answer()
    worker.link.close()
    code, stdout, _ = worker.end()
    assert (code, stdout.count("--control-fd")) == (0, 0)


def test_it_leaves_when_the_link_ends(start_worker: Start) -> None:
    worker = start_worker()
    worker.answer()
    worker.link.close()
    assert worker.end()[0] == 0


@pytest.mark.parametrize("how", ["message", "signal", "supervisor gone"])
def test_it_leaves_when_it_is_told_to(start_worker: Start, how: str) -> None:
    worker = start_worker()
    worker.answer()
    worker.ask("GET /\n")
    if how == "message":
        worker.control.send(worker_control.encode(worker_control.StopWorker()))
    elif how == "signal":
        worker.process.send_signal(signal.SIGTERM)
    else:
        worker.control.close()
    assert worker.end()[0] == 0


def test_ctrl_c_is_not_for_it(start_worker: Start) -> None:
    worker = start_worker()
    worker.answer()
    worker.process.send_signal(signal.SIGINT)
    assert worker.ask("GET /\n") == "200 OK hello\n"


def test_an_exception_is_logged_in_one_piece_with_the_request_id(start_worker: Start) -> None:
    worker = start_worker()
    worker.answer()
    answer = worker.ask("GET /boom\n")
    assert answer == "500 ZeroDivisionError: division by zero | app.py:7 in app\n"
    worker.link.close()
    stderr = worker.end()[2]
    assert stderr.startswith("GET /boom failed, request id id-1\nTraceback (most recent")
    assert stderr.rstrip().endswith("ZeroDivisionError: division by zero")
    assert "fake_native" in stderr  # the loop is native: only its stand-in has a frame
    assert "trivet/worker" not in stderr


def test_an_exception_after_the_head_is_told_apart(start_worker: Start) -> None:
    worker = start_worker()
    worker.answer()
    worker.ask("GET /half\n")
    worker.link.close()
    assert "GET /half broke off after its head, request id id-1\n" in worker.end()[2]


def test_a_failure_to_load_is_reported_and_exits_3(start_worker: Start) -> None:
    worker = start_worker("app = None\nimport nothing_like_this\n")
    answer = worker.answer()
    assert isinstance(answer, worker_control.LoadFailed)
    assert answer.failure.code == "app.missing_module"
    assert worker.end()[0] == 3


def test_a_check_loads_and_leaves(start_worker: Start) -> None:
    worker = start_worker(check=True)
    assert isinstance(worker.answer(), worker_control.Loaded)
    assert worker.end()[0] == 0


def test_a_worker_without_a_supervisor_leaves(tmp_path: Path, root: Path) -> None:
    worker = WorkerProcess(tmp_path, root)
    worker.control.close()
    assert worker.end()[0] == 0
    worker.close()
