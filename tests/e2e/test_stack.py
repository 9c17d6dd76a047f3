"""`trivet stack`: where each worker is, also when it can say nothing any more."""

import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.program import Project
from tests.e2e.stand import Stand
from tests.waiting import wait_until

QUIET = ("--log-format", "text", "--no-access-log")
ASGI = """
import time, pathlib

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["path"] == "/blocks":
        blocks()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})

def blocks():
    pathlib.Path("mark").touch()
    while not pathlib.Path("release").exists():
        time.sleep(0.01)  # slow on purpose
"""


@pytest.fixture
def wedge(serve: Serve, project: Project, root: Path) -> Stand:
    """Start the app of the accidents, with two workers and without a deadline."""
    source = (root / "tests/accidents/apps/wedge.py").read_text()
    project.write({"app.py": source, "trivet.toml": '[timeouts]\nrequest = "off"\n'})
    return serve(project.folder, "--workers", "2", *QUIET)


def stacks(project: Project, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    ended = project.run("stack", "--json", *arguments)
    assert ended.code == code, ended
    workers: list[dict[str, Any]] = json.loads(ended.out)["workers"]
    return workers


def held(stand: Stand, project: Project, path: str) -> threading.Thread:
    """Begin a request that is not tried again, and wait until the app has it."""
    head = f"POST {path} HTTP/1.0\r\nContent-Length: 0\r\n\r\n"
    asks = threading.Thread(target=lambda: stand.raw(head.encode()))
    asks.start()
    wait_until((project.folder / "mark").exists, stand.describe)
    return asks


def test_every_worker_is_shown_with_what_it_runs(wedge: Stand, project: Project) -> None:
    asks = held(wedge, project, "/held/mark")
    told = stacks(project)
    assert [each["worker"] for each in told] == [1, 2]
    assert sorted(each["pid"] for each in told) == wedge.children("worker")
    assert {(each["state"], each["problem"], each["is_cut"]) for each in told} == {
        ("serving", "", False)
    }
    assert all("most recent call first" in each["stacks"] for each in told)
    (busy,) = [each for each in told if "app.py" in each["stacks"]]
    assert re.search(r"app\.py\", line \d+ in held\n.*app\.py\", line \d+ in app\n", busy["stacks"])
    one = project.run("stack", str(busy["worker"]))
    assert one.code == 0
    lines = one.out.splitlines()
    assert lines[0] == f"worker {busy['worker']}, pid {busy['pid']}, serving"
    assert any(re.search(r"^    File .*app\.py\", line \d+ in held$", line) for line in lines)
    assert f"worker {3 - busy['worker']}" not in one.out
    (project.folder / "release").touch()
    asks.join()


# No thread of the process runs Python any more: nothing that has to be asked would help.
@pytest.mark.parametrize("way", ["spins_in_c", "sleeps_with_the_lock"])
def test_a_worker_whose_interpreter_lock_is_held_is_shown(
    wedge: Stand, project: Project, way: str
) -> None:
    asks = held(wedge, project, f"/{way}/mark")

    def found() -> list[int]:
        return [each["pid"] for each in stacks(project) if f"in {way}\n" in each["stacks"]]

    (blocked,) = wait_until(found, wedge.describe)
    os.kill(blocked, signal.SIGKILL)
    asks.join()


def test_a_blocked_event_loop_is_shown(serve: Serve, project: Project) -> None:
    stand = serve(ASGI, "--workers", "1", *QUIET)
    asks = held(stand, project, "/blocks")
    (told,) = stacks(project)
    assert "in blocks\n" in told["stacks"]
    (project.folder / "release").touch()
    asks.join()


def test_a_stopped_worker_is_called_that_and_the_others_are_shown(
    wedge: Stand, project: Project
) -> None:
    stopped, going = stacks(project)
    os.kill(stopped["pid"], signal.SIGSTOP)
    try:
        wait_until(lambda: state(stopped["pid"]) == "T", wedge.describe)
        wait_until(lambda: stacks(project)[0]["stacks"] == "", wedge.describe)
        one, other = stacks(project)
        assert one["problem"] == (
            "it has written nothing for 2 s: the process is stopped, by a signal or a debugger"
        )
        assert (other["worker"], other["problem"]) == (going["worker"], "")
        ended = project.run("stack", str(stopped["worker"]))
        assert (ended.code, "  no stacks: it has written nothing" in ended.out) == (1, True)
    finally:
        os.kill(stopped["pid"], signal.SIGCONT)
    wait_until(lambda: "most recent" in stacks(project)[0]["stacks"], wedge.describe)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_worker_that_still_loads_is_called_that(serve: Serve, project: Project) -> None:
    slow = "import os, pathlib\nwhile not pathlib.Path('go').exists(): os.sched_yield()\n"
    (project.folder / "go").touch()
    stand = serve(slow + "def app(e, s):\n    s('200 OK', [])\n    return []\n", *QUIET)
    (project.folder / "go").unlink()
    assert project.run("scale", "+1").code == 0
    newest = stacks(project)[-1]
    assert (newest["state"], newest["stacks"]) == ("loading", "")
    assert newest["problem"] == "it still loads the app"
    (project.folder / "go").touch()
    stand.wait_for_text("from now on")


def test_a_number_that_no_worker_has_is_an_error(wedge: Stand, project: Project) -> None:
    ended = project.run("stack", "77")
    assert ended.code == 1, wedge.describe()
    assert "error[control.no_worker]: the stand has no worker 77" in ended.err
    assert "its workers are 1, 2" in ended.err


@pytest.mark.parametrize("word", ["one", "-1", "4294967296"])
def test_what_is_no_number_is_an_error(project: Project, word: str) -> None:
    ended = project.run("stack", "--", word)
    assert ended.code == 2
    assert "error[usage.bad_argument]" in ended.err
