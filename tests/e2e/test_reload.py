"""New code takes over: by SIGHUP and by `--reload`, under load, and never half."""

import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.load import Load
from tests.e2e.program import Project
from tests.e2e.stand import Stand
from tests.waiting import wait_until

APP = """
import os, pathlib
VERSION = 1

def app(environ, start_response):
    body = str(VERSION).encode()
    if environ["PATH_INFO"] == "/held":
        pathlib.Path("arrived").touch()
        while not pathlib.Path("release").exists():
            os.sched_yield()
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield body
"""
QUIET = ("--log-format", "text", "--no-access-log")
REQUESTS = [("GET", "/"), ("POST", "/"), ("PUT", "/a?b=c")]


def wait_for_reloads(stand: Stand, count: int) -> None:
    wait_until(lambda: stand.err.text().count("reloaded in") >= count, stand.describe)


def wait_until_gone(stand: Stand, workers: list[int]) -> None:
    wait_until(lambda: not set(workers) & set(stand.children("worker")), stand.describe)


@pytest.mark.slow
def test_ten_reloads_in_a_row_fail_no_request(serve: Serve) -> None:
    stand = serve(APP, "--workers", "2", *QUIET)
    with Load(stand.port, REQUESTS) as load:
        for count in range(1, 11):
            before = stand.children("worker")
            stand.signal(signal.SIGHUP)
            wait_for_reloads(stand, count)
            wait_until_gone(stand, before)
        load.wait_for_more(12)
    assert load.failures == []
    assert len(stand.children("worker")) == 2


def test_a_signal_during_a_reload_makes_one_more(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    with Load(stand.port, REQUESTS, clients=2) as load:
        stand.signal(signal.SIGHUP)
        wait_until(lambda: len(stand.children("worker")) > 1, stand.describe)
        for _ in range(5):
            stand.signal(signal.SIGHUP)
        wait_for_reloads(stand, 2)
        load.wait_for_more(4)
    assert load.failures == []


def test_new_code_answers_after_a_reload(serve: Serve, project: Project) -> None:
    project.write({"app.py": APP})
    stand = serve(project.folder, "--workers", "2", *QUIET)
    assert stand.get("/").text == "1"
    project.write({"app.py": APP.replace("VERSION = 1", "VERSION = 2")})
    stand.signal(signal.SIGHUP)
    wait_for_reloads(stand, 1)
    assert [stand.get("/").text for _ in range(8)] == ["2"] * 8


def test_a_running_request_is_finished_by_the_code_that_began_it(
    serve: Serve, project: Project
) -> None:
    project.write({"app.py": APP})
    stand = serve(project.folder, "--workers", "1", *QUIET)
    connection = stand.connect()
    connection.request("GET", "/held")
    wait_until((project.folder / "arrived").exists, stand.describe)
    project.write({"app.py": APP.replace("VERSION = 1", "VERSION = 2")})
    stand.signal(signal.SIGHUP)
    wait_for_reloads(stand, 1)
    assert stand.get("/").text == "2"
    (project.folder / "release").touch()
    assert connection.getresponse().read() == b"1"
    connection.close()
    wait_until(lambda: len(stand.children("worker")) == 1, stand.describe)


@pytest.mark.parametrize("broken", ["1 / 0\n", "def (\n", "import no_such\n", "raise SystemExit\n"])
def test_code_that_does_not_load_is_told_and_the_old_serves(
    serve: Serve, project: Project, broken: str
) -> None:
    project.write({"app.py": APP})
    stand = serve(project.folder, "--workers", "2", *QUIET)
    project.write({"app.py": APP + broken})
    with Load(stand.port, REQUESTS, clients=2) as load:
        stand.signal(signal.SIGHUP)
        stand.wait_for_text("not loaded, still serving the version of")
        load.wait_for_more(6)
    assert (load.failures, set(load.bodies)) == ([], {"1"})
    assert stand.err.text().count("error[app.") == 1


@pytest.mark.parametrize("polling", [False, True])
def test_a_saved_file_reloads(serve: Serve, project: Project, polling: bool) -> None:  # noqa: FBT001
    project.write({"app.py": APP, "templates/page.html": "x"})
    env = {"PYTHONPATH": without_watchfiles(project.folder.parent)} if polling else {}
    stand = serve(project.folder, "--workers", "1", *QUIET, "--reload", env=env)
    # Whether the watcher has begun cannot be seen, so the file is saved until it is noticed.
    versions = iter(range(2, 1000))

    def is_noticed() -> bool:
        project.write({"app.py": APP.replace("VERSION = 1", f"VERSION = {next(versions)}")})
        return "app.py changed: reloaded in" in stand.err.text()

    wait_until(is_noticed, stand.describe)
    assert int(stand.get("/").text) > 1


def without_watchfiles(folder: Path) -> str:
    """Make a folder for `PYTHONPATH` that hides watchfiles: looking every second is left."""
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "hidden = {'watchfiles'}\n"
        "importlib.util.find_spec = lambda name: None if name in hidden else found(name)\n"
    )
    return str(hidden)
