"""How many new workers a reload starts at a time, and that nobody notices either way."""

import json
import signal

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.load import Load
from tests.e2e.program import Project
from tests.e2e.stand import Stand
from tests.e2e.test_reload import QUIET, REQUESTS, wait_for_reloads
from tests.waiting import wait_until

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"old"]
"""
SLOW_TO_LOAD = """
import os, pathlib
pathlib.Path(f"loading-{os.getpid()}").touch()
while not pathlib.Path("go").exists():
    os.sched_yield()

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"new"]
"""


def begin(serve: Serve, project: Project, *arguments: str) -> Stand:
    project.write({"app.py": APP})
    stand = serve(project.folder, "--workers", "3", *QUIET, *arguments)
    # The first one serves before the others have read the app, which is about to be changed.
    wait_until(lambda: serving(project) == 3, stand.describe)
    return stand


def serving(project: Project) -> int:
    told = json.loads(project.run("status", "--json").out)
    return sum(each["state"] == "serving" for each in told["workers"])


def loading(project: Project) -> int:
    return len(list(project.folder.glob("loading-*")))


@pytest.mark.parametrize(
    ("arguments", "at_once"),
    [((), 1), (("--reload-surge", "2"), 2), (("--reload-surge", "all"), 3)],
)
def test_so_many_load_at_a_time(
    serve: Serve, project: Project, arguments: tuple[str, ...], at_once: int
) -> None:
    stand = begin(serve, project, *arguments)
    old = stand.children("worker")
    project.write({"app.py": SLOW_TO_LOAD})
    stand.signal(signal.SIGHUP)
    wait_until(lambda: loading(project) == at_once, stand.describe)
    # All of the old ones serve meanwhile, and no further one is started.
    assert [stand.get("/").text for _ in range(20)] == ["old"] * 20
    assert (loading(project), set(old) <= set(stand.children("worker"))) == (at_once, True)
    project.write({"go": ""})
    wait_for_reloads(stand, 1)
    assert loading(project) == 3
    assert [stand.get("/").text for _ in range(20)] == ["new"] * 20
    wait_until(lambda: len(stand.children("worker")) == 3, stand.describe)


def test_a_first_one_that_does_not_load_leaves_all_as_it_was(
    serve: Serve, project: Project
) -> None:
    stand = begin(serve, project)
    old = stand.children("worker")
    project.write({"app.py": "1 / 0\n"})
    assert project.run("reload").code == 3
    wait_until(lambda: stand.children("worker") == old, stand.describe)
    assert stand.get("/").text == "old"


def test_a_later_one_that_does_not_load_is_told_and_the_next_reload_mends_it(
    serve: Serve, project: Project
) -> None:
    stand = begin(serve, project)
    once = (
        "import pathlib\n"
        "if pathlib.Path('seen').exists():\n    1 / 0\n"
        "pathlib.Path('seen').touch()\n"
    )
    project.write({"app.py": once + APP.replace("old", "new")})
    ended = project.run("reload")
    assert (ended.code, "2 workers of 3 could not be replaced" in ended.err) == (3, True), ended
    assert {stand.get("/").text for _ in range(60)} <= {"old", "new"}
    project.write({"app.py": APP.replace("old", "newer")})
    assert project.run("reload").code == 0
    assert [stand.get("/").text for _ in range(20)] == ["newer"] * 20


@pytest.mark.parametrize("surge", ["1", "all"])
def test_no_request_fails_either_way(serve: Serve, project: Project, surge: str) -> None:
    stand = begin(serve, project, "--reload-surge", surge)
    with Load(stand.port, REQUESTS, clients=3) as load:
        for _ in range(3):
            assert project.run("reload").code == 0
        load.wait_for_more(6)
    assert load.failures == []
