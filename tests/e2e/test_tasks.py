"""Background tasks: one process per stand, kept alive, renewed by reloads, gone with the stand."""

import contextlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.http1 import make_fifo, release
from tests.e2e.stand import TRIVET, Stand, clean_environment
from tests.waiting import wait_until

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"VERSION 1"]
"""

# A task that notices when another process of it is there, and tells when it ends.
JOBS = """
import os, pathlib, signal

def main():
    here = os.open("running", os.O_CREAT | os.O_EXCL)
    try:
        with open("pids", "a") as pids:
            print(os.getpid(), "VERSION 1", file=pids)
        signal.pause()
    finally:
        os.unlink("running")

async def once():
    print("said once", flush=True)

def boom():
    raise ValueError("as asked")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "jobs.py").write_text(JOBS)
    task(folder, 'run = "jobs:main"')
    return folder


def task(folder: Path, *lines: str) -> None:
    (folder / "trivet.toml").write_text("\n".join(["[task.jobs]", *lines, ""]))


def runs(folder: Path) -> list[tuple[int, str]]:
    """Who has run, in order: process and version."""
    with contextlib.suppress(FileNotFoundError):
        lines = (folder / "pids").read_text().splitlines()
        return [(int(line.split()[0]), line.partition(" ")[2]) for line in lines]
    return []


def wait_for_runs(stand: Stand, folder: Path, count: int) -> list[tuple[int, str]]:
    wait_until(lambda: len(runs(folder)) >= count, stand.describe)
    assert len(runs(folder)) == count
    return runs(folder)


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_a_task_is_one_process_however_many_workers_there_are(serve: Serve, folder: Path) -> None:
    stand = serve(APP, "--workers", "3")
    [(pid, _)] = wait_for_runs(stand, folder, 1)
    assert len(stand.children("worker")) == 3
    assert stand.children("task") == [pid]
    stand.stop()
    assert not lives(pid)
    assert not (folder / "running").exists()
    assert len(runs(folder)) == 1


def test_a_task_that_is_killed_is_started_again(serve: Serve, folder: Path) -> None:
    task(folder, "command = ['sh', '-c', 'echo $$ VERSION 1 >> pids; exec sleep 1000']")
    stand = serve(APP, "--workers", "2", "--log-format", "text")
    [(pid, _)] = wait_for_runs(stand, folder, 1)
    os.kill(pid, signal.SIGKILL)
    wait_for_runs(stand, folder, 2)
    assert f"task jobs (pid {pid}) was killed by SIGKILL" in stand.err.text()
    assert "it starts again in 0.1 s" in stand.err.text()


def test_a_task_that_dies_at_each_start_is_started_ever_later(serve: Serve, folder: Path) -> None:
    task(folder, 'run = "jobs:boom"')
    stand = serve(APP, "--workers", "1", "--log-format", "text")
    wait_until(lambda: len(waits(stand)) >= 4, stand.describe)
    assert waits(stand)[:4] == ["0.1", "0.2", "0.4", "0.8"]
    assert "(the 3rd time in a row)" in stand.err.text()
    assert "[task jobs] ValueError: as asked" in stand.err.text()
    assert stand.get("/").text == "VERSION 1"


def waits(stand: Stand) -> list[str]:
    return re.findall(r"it starts again in (\d+\.\d) s", stand.err.text())


def test_a_command_that_is_not_there_is_named(serve: Serve, folder: Path) -> None:
    task(folder, 'command = "no-such-program --x"', 'restart = "never"')
    stand = serve(APP, "--workers", "1", "--log-format", "text")
    stand.wait_for_text("[task jobs] `no-such-program` cannot be run: No such file or directory")
    stand.wait_for_text("exited with code 127, and is not started again")


# Output and surroundings


def test_what_a_task_prints_has_its_name(serve: Serve, folder: Path) -> None:
    script = "import sys; print('to out'); print('to err', file=sys.stderr)"
    task(folder, f"command = ['python', '-c', {json.dumps(script)}]", 'restart = "never"')
    stand = serve(APP, "--workers", "1", "--log-format", "text")
    stand.wait_for_text("exited with code 0, and is not started again")
    wait_until(lambda: "to out" in stand.out.text(), stand.describe)
    assert "[task jobs] to out\n" in stand.out.text()
    assert "[task jobs] to err\n" in stand.err.text()
    assert "tasks    jobs" in stand.err.text()


def test_in_json_a_line_names_the_task(serve: Serve, folder: Path) -> None:
    task(folder, 'run = "jobs:once"', 'restart = "on_failure"')
    stand = serve(APP, "--workers", "1")
    wait_until(lambda: [each for each in stand.log() if "task" in each], stand.describe)
    (line,) = [each for each in stand.log() if "task" in each]
    assert (line["event"], line["task"], line["level"]) == ("said once", "jobs", "info")


def test_a_task_has_a_folder_and_variables_of_its_own(serve: Serve, folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "jobs.env").write_text("FILE=from the file\n")
    script = "import os; print(os.getcwd(), os.environ['FILE'], os.environ['OWN'], os.environ['A'])"
    task(
        folder,
        f"command = ['python', '-c', {json.dumps(script)}]",
        'restart = "never"',
        'chdir = "data"',
        'env_file = "jobs.env"',
        'env = {OWN = "its own"}',
    )
    stand = serve(APP, "--workers", "1", "--env", "A=the app's", "--log-format", "text")
    stand.wait_for_text(f"[task jobs] {folder}/data from the file its own the app's\n")


# Reloads


def test_a_reload_brings_new_code_and_never_two_at_once(serve: Serve, folder: Path) -> None:
    stand = serve(APP, "--workers", "2")
    [(old, _)] = wait_for_runs(stand, folder, 1)
    (folder / "jobs.py").write_text(JOBS.replace("VERSION 1", "VERSION 2"))
    stand.signal(signal.SIGHUP)
    [_, (new, version)] = wait_for_runs(stand, folder, 2)
    assert (version, lives(old), lives(new)) == ("VERSION 2", False, True)
    # It would have died at the file `running` if the old one had still been there.
    assert "FileExistsError" not in stand.err.text()
    assert "reloaded in" in stand.err.text()


def test_a_reload_that_fails_leaves_the_task_alone(serve: Serve, folder: Path) -> None:
    stand = serve(APP, "app:app", "--workers", "1")
    [(pid, _)] = wait_for_runs(stand, folder, 1)
    (folder / "app.py").write_text("raise ValueError('broken')\n")
    stand.signal(signal.SIGHUP)
    stand.wait_for_text("still serving the version of")
    assert stand.get("/").text == "VERSION 1"
    assert lives(pid)
    assert runs(folder) == [(pid, "VERSION 1")]


def test_an_app_that_does_not_load_starts_no_task(serve: Serve, folder: Path) -> None:
    stand = serve("raise ValueError('broken')\n", "app:app", "--workers", "1", ready=False)
    assert stand.wait() == 3
    assert runs(folder) == []


# The end


def test_a_stop_leaves_nothing_of_a_task(serve: Serve, folder: Path) -> None:
    task(folder, "command = ['sh', '-c', 'sleep 1000 & echo $! child >> pids; wait']")
    stand = serve(APP, "--workers", "1")
    [(child, _)] = wait_for_runs(stand, folder, 1)
    assert lives(child)
    assert stand.stop() == 0
    wait_until(lambda: not lives(child), "the task's own child lives on")


def test_a_task_that_does_not_end_is_killed(serve: Serve, folder: Path) -> None:
    script = "trap '' TERM; echo $$ deaf >> pids; while true; do read x; done"
    fifo = make_fifo(folder)
    task(folder, f"command = ['sh', '-c', {json.dumps(script + f' <> {fifo}')}]")
    stand = serve(APP, "--workers", "1", "--graceful-timeout", "500ms", "--log-format", "text")
    [(pid, _)] = wait_for_runs(stand, folder, 1)
    assert stand.stop() == 0
    assert not lives(pid)
    assert "task jobs has not ended after 0.5 s: killed" in stand.err.text()


def test_a_task_ends_with_a_supervisor_that_is_killed(serve: Serve, folder: Path) -> None:
    stand = serve(APP, "--workers", "1")
    [(pid, _)] = wait_for_runs(stand, folder, 1)
    stand.kill()
    wait_until(lambda: not lives(pid), "it lives on")


# Every so often


def test_a_run_that_goes_on_lets_the_next_one_fall_out(serve: Serve, folder: Path) -> None:
    fifo = make_fifo(folder)
    script = f"echo $$ run >> pids; read x < {fifo}"
    task(folder, f"command = ['sh', '-c', {json.dumps(script)}]", 'every = "1s"')
    stand = serve(APP, "--workers", "1", "--log-format", "text")
    wait_for_runs(stand, folder, 1)
    stand.wait_for_text("task jobs still runs after 1 s, so this run falls out")
    assert len(runs(folder)) == 1
    release(fifo)
    wait_for_runs(stand, folder, 2)


# What is told


def test_status_shows_tasks(serve: Serve, folder: Path) -> None:
    stand = serve(APP, "--workers", "1")
    [(pid, _)] = wait_for_runs(stand, folder, 1)
    (line,) = status(stand)["tasks"]
    assert (line["name"], line["pid"], line["state"], line["runs"]) == ("jobs", pid, "running", 1)
    assert line["rss_bytes"] > 1 << 20
    shown = status_text(stand, [])
    assert re.search(rf"^ *task .*\n *jobs +{pid} +running +1 ", shown, re.MULTILINE), shown


def status(stand: Stand) -> Any:
    return json.loads(status_text(stand, ["--json"]))


def status_text(stand: Stand, arguments: list[str]) -> str:
    command = [str(TRIVET), "status", "--pid", str(stand.process.pid), *arguments]
    return subprocess.run(
        command, env=clean_environment(), capture_output=True, text=True, check=True
    ).stdout
