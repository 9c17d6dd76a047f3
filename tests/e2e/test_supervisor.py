"""The supervisor from outside: output, deaths, signals, the service manager, the end."""

import os
import re
import signal
import socket
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.load import Load
from tests.e2e.program import MARK, marked
from tests.e2e.stand import Stand
from tests.waiting import wait_until

APP = """
import os, signal, sys, threading

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/print":
        print("one\\ntwo")
        print("three", file=sys.stderr)
    if path.endswith("/boom"):
        raise ValueError("as asked")
    if path == "/last-words":
        for number in range(10000):
            print(f"line {number}")
        print("no line end", end="")
        sys.stdout.flush()
        os._exit(7)
    if path == "/die":
        os.kill(os.getpid(), signal.SIGSEGV)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


# What workers print


def test_lines_of_workers_are_prefixed(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1", "--log-format", "text")
    stand.get("/print")
    stand.wait_for_text("[worker 1] three\n")
    stand.wait_for_text("[worker 1] one\n[worker 1] two\n")
    assert "[worker 1] two\n" in stand.out.text()
    assert "[worker 1] three\n" in stand.err.text()


def test_lines_of_workers_are_objects_in_json(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1")
    stand.get("/print")
    wait_until(lambda: len(printed(stand)) >= 3, stand.describe)
    assert {(each["event"], each["level"], each["worker"]) for each in printed(stand)} == {
        ("one", "info", 1),
        ("two", "info", 1),
        ("three", "error", 1),
    }


def printed(stand: Stand) -> list[dict[str, Any]]:
    return [line for line in stand.log() if "worker" in line and line["event"] != "request"]


def test_a_traceback_is_one_event_with_its_request(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1")
    assert stand.get("/boom").status == 500
    wait_until(lambda: printed(stand), stand.describe)
    [event] = printed(stand)
    request = stand.wait_for_request(lambda line: line["path"] == "/boom")
    assert event["event"] == f"GET /boom failed, request id {request['request_id']}"
    assert event["request_id"] == request["request_id"]
    assert event["exception"].splitlines()[-1] == "ValueError: as asked"


def test_a_path_cannot_forge_a_line(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1", "--log-format", "text")
    assert stand.get("/a%0aFORGED%0d%1b[31m/boom").status == 500
    stand.wait_for_text("ValueError: as asked")
    lines = stand.err.lines() + stand.out.lines()
    assert not [line for line in lines if line.startswith(("FORGED", "[worker 1] FORGED"))]
    assert "\x1b" not in stand.err.text()


def test_no_line_of_a_dying_worker_is_lost(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1", "--log-format", "text")
    assert stand.request("POST", "/last-words").status == 502
    stand.wait_for_text("exited with code 7")
    wanted = [*(f"[worker 1] line {number}" for number in range(10000)), "[worker 1] no line end"]
    wait_until(
        lambda: [line for line in stand.out.lines() if line.startswith("[worker 1]")] == wanted,
        lambda: f"{len(stand.out.lines())} lines",
    )


# Deaths


def test_a_worker_that_dies_again_and_again_is_replaced_ever_later(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1", "--log-format", "text")
    for death in range(1, 4):
        stand.request("POST", "/die")
        wait_for_deaths(stand, death)
    assert waits(stand) == ["0.1", "0.2", "0.4"]
    assert stand.get("/").text == "ok"
    assert "killed by SIGSEGV" in stand.err.text()


def wait_for_deaths(stand: Stand, deaths: int) -> None:
    wait_until(lambda: len(waits(stand)) == deaths, stand.describe)


def waits(stand: Stand) -> list[str]:
    return re.findall(r"another starts in (\d+\.\d) s", stand.err.text())


# Signals


def test_ttin_and_ttou_change_the_number_of_workers(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1", "--no-access-log")
    with Load(stand.port, [("GET", "/"), ("POST", "/")], clients=2) as load:
        stand.signal(signal.SIGTTIN)
        wait_until(lambda: len(stand.children("worker")) == 2, stand.describe)
        load.wait_for_more(10)
        stand.signal(signal.SIGTTOU)
        wait_until(lambda: len(stand.children("worker")) == 1, stand.describe)
        stand.signal(signal.SIGTTOU)  # the last one stays
        load.wait_for_more(10)
    assert load.failures == []
    assert len(stand.children("worker")) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_a_stop_while_the_app_loads_waits_for_nobody(serve: Serve, number: signal.Signals) -> None:
    source = "import pathlib, threading\npathlib.Path('loading').touch()\nthreading.Event().wait()"
    stand = serve(source, "app:app", "--workers", "1", ready=False)
    folder = Path(f"/proc/{stand.process.pid}/cwd").resolve()
    wait_until((folder / "loading").exists, stand.describe)
    stand.signal(number)
    assert stand.wait() == 0


# The service manager


def test_the_service_manager_is_told_of_start_reload_and_stop(serve: Serve, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        stand = serve(APP, "--workers", "1", env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        said = [manager.recv(4096).decode()]
        stand.signal(signal.SIGHUP)
        said += [manager.recv(4096).decode(), manager.recv(4096).decode()]
        assert stand.stop() == 0
        said.append(manager.recv(4096).decode())
    pid = stand.process.pid
    assert [each.splitlines()[0] for each in said] == [
        "READY=1",
        "RELOADING=1",
        "READY=1",
        "STOPPING=1",
    ]
    assert f"MAINPID={pid}" in said[0]
    assert "MONOTONIC_USEC=" in said[1]


# A slow start


def test_a_slow_import_is_told_with_its_place(serve: Serve, tmp_path: Path) -> None:
    source = """
        import pathlib, threading

        def connect():
            while not pathlib.Path("release").exists():
                threading.Event().wait(0.01)

        connect()
        def app(environ, start_response): ...
    """
    # Ten seconds are too long for a test, so the worker is made to find a tenth of one slow.
    hasten = "import trivet.worker.process\ntrivet.worker.process.SLOW_IMPORT_S = 0.1\n"
    (tmp_path / "sitecustomize.py").write_text(hasten)
    stand = serve(
        source, "app:app", "--workers", "1", ready=False, env={"PYTHONPATH": str(tmp_path)}
    )
    stand.wait_for_text("waiting for `app:app` to load")
    assert re.search(r"now in app\.py:\d+ in connect", stand.describe())
    (tmp_path / "app/release").touch()
    stand.wait_for_text("ready in")


# As PID 1

ORPHANS = """
import os, time

def app(environ, start_response):
    if os.fork() == 0:
        if os.fork() == 0:
            while not os.path.exists("release"):
                time.sleep(0.01)  # slow on purpose
        os._exit(0)
    os.wait()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a PID namespace")
@pytest.mark.parametrize("signals", [1, 2])
def test_as_pid_1_it_reaps_orphans_and_ends_with_its_own_code(
    serve: Serve, tmp_path: Path, signals: int
) -> None:
    prefix = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    stand = serve(ORPHANS, "--workers", "1", prefix=prefix)
    [supervisor] = children_of(stand.process.pid)
    for _ in range(3):
        assert stand.get("/").text == "ok"
    # Edge, worker, and three orphans that have become children of PID 1.
    wait_until(lambda: len(children_of(supervisor)) == 5, stand.describe)
    (tmp_path / "app/release").touch()
    wait_until(lambda: len(children_of(supervisor)) == 2, stand.describe)
    if signals == 2:
        # A worker that does not react, so that the first signal alone ends nothing.
        os.kill(children_of(supervisor)[1], signal.SIGSTOP)
    os.kill(supervisor, signal.SIGTERM)
    if signals == 2:
        stand.wait_for_text("stopping:")
        os.kill(supervisor, signal.SIGTERM)
    assert stand.wait() == (0 if signals == 1 else 128 + signal.SIGTERM)


def children_of(parent: int) -> list[int]:
    """Give the children of a process, zombies too."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in children.split()]


# The end


def test_nothing_is_left_after_the_end(serve: Serve, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    path = tmp_path / "trivet.sock"
    stand = serve(APP, "--workers", "2", "--bind", f"unix:{path}", bind=False, env={MARK: mark})
    assert len(marked(mark)) == 4
    assert path.is_socket()
    assert stand.stop() == 0
    assert marked(mark) == []
    assert not path.exists()


def test_a_worker_that_computes_for_ever_dies_with_its_supervisor(serve: Serve) -> None:
    mark = str(uuid.uuid4())
    stand = serve("app = print\nwhile True: pass\n", ready=False, env={MARK: mark})
    wait_until(lambda: stand.children("worker"), stand.describe)
    stand.signal(signal.SIGKILL)
    stand.wait()
    wait_until(lambda: not marked(mark), lambda: f"still there: {marked(mark)}")
