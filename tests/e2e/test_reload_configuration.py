"""A reload reads the configuration again: what it takes, names, refuses, and never breaks."""

import json
import os
import signal

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.load import Load
from tests.e2e.program import Project
from tests.e2e.stand import Stand
from tests.e2e.test_reload import QUIET, REQUESTS, wait_for_reloads
from tests.waiting import wait_until

APP = """
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [os.environ.get("GREETING", "none").encode()]
"""
KEPT = "all goes on as it was"


def config(greeting: str, more: str = "", workers: int = 1) -> dict[str, str]:
    text = f"env = {{ GREETING = '{greeting}' }}\n[server]\nworkers = {workers}\n{more}\n"
    return {"trivet.toml": text}


def wait_for_workers(stand: Stand, number: int) -> None:
    wait_until(lambda: len(stand.children("worker")) == number, stand.describe)


def begin(serve: Serve, project: Project, *arguments: str, more: str = "") -> Stand:
    project.write({"app.py": APP, **config("one", more)})
    stand = serve(project.folder, *QUIET, *arguments)
    assert stand.get("/").text == "one"
    return stand


@pytest.mark.parametrize("how", [[], ["--preload"]], ids=["alone", "preload"])
def test_a_changed_variable_is_seen_after_sighup(
    serve: Serve, project: Project, how: list[str]
) -> None:
    stand = begin(serve, project, *how)
    project.write(config("two"))
    stand.signal(signal.SIGHUP)
    wait_for_reloads(stand, 1)
    assert stand.get("/").text == "two"
    assert "configuration: env changed" in stand.err.text()


def test_trivet_reload_takes_an_environment_file(serve: Serve, project: Project) -> None:
    project.write({"app.py": APP, "app.env": "GREETING=one\n"})
    stand = serve(project.folder, *QUIET, "--workers", "1", "--env-file", "app.env")
    assert stand.get("/").text == "one"
    project.write({"app.env": "GREETING=two\n"})
    assert project.run("reload").code == 0
    assert stand.get("/").text == "two"


def test_the_number_of_workers_follows(serve: Serve, project: Project) -> None:
    stand = begin(serve, project)
    for number in (3, 1):
        project.write(config("two", workers=number))
        assert project.run("reload").code == 0
        wait_for_workers(stand, number)
    assert "3 workers from now on" in stand.err.text()


def test_a_scaled_stand_stays_scaled_when_the_file_says_the_same(
    serve: Serve, project: Project
) -> None:
    stand = begin(serve, project)
    assert project.run("scale", "2").code == 0
    wait_until(lambda: len(stand.children("worker")) == 2, stand.describe)
    project.write(config("two"))
    assert project.run("reload").code == 0
    wait_until(lambda: len(stand.children("worker")) == 2, stand.describe)
    told = json.loads(project.run("status", "--json").out)
    assert told["apps"][0]["wanted"] == 2


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("[server]\nworkers = 'many'", "error[config.bad_value]"),
        ("[server]\nworkerz = 2\nport = -1", "error[config.unknown_option]"),
        ("[[[", "error[config.bad_toml]"),
    ],
)
def test_a_broken_file_is_told_and_everything_goes_on(
    serve: Serve, project: Project, broken: str, told: str
) -> None:
    stand = begin(serve, project)
    (worker,) = stand.children("worker")
    project.write({"trivet.toml": broken})
    ended = project.run("reload")
    assert (ended.code, told in ended.err, KEPT in ended.err) == (2, True, True), ended
    assert told in stand.err.text()
    assert (stand.children("worker"), stand.get("/").text) == ([worker], "one")
    answer = project.run("reload", "--json")
    assert (answer.code, json.loads(answer.out)["problems"] != []) == (2, True)
    project.write(config("two"))
    assert project.run("reload").code == 0
    assert stand.get("/").text == "two"


def test_an_app_that_is_not_there_is_3(serve: Serve, project: Project) -> None:
    stand = begin(serve, project)
    project.write({"trivet.toml": "app = 'elsewhere:app'\n"})
    ended = project.run("reload")
    assert (ended.code, "error[app.no_module]" in ended.err) == (3, True), ended
    assert stand.get("/").text == "one"


def test_another_app_takes_over(serve: Serve, project: Project) -> None:
    stand = begin(serve, project)
    project.write({"other.py": APP.replace("none", "other"), "trivet.toml": "app = 'other:app'\n"})
    assert project.run("reload").code == 0
    assert stand.get("/").text == "other"
    told = json.loads(project.run("status", "--json").out)
    assert [app["target"] for app in told["apps"]] == ["other:app"]


def test_what_needs_a_new_start_is_named_and_the_rest_taken(serve: Serve, project: Project) -> None:
    stand = begin(serve, project)
    project.write(config("two", "edge_threads = 2\nbacklog = 77\n"))
    ended = project.run("reload")
    line = "changed, and needs a new start: server.edge_threads, server.backlog"
    assert (ended.code, ended.out.splitlines()[-1]) == (0, line)
    assert f"configuration: {line}" in stand.err.text()
    assert stand.get("/").text == "two"


def test_a_changed_listener_is_named_and_the_old_one_serves(serve: Serve, project: Project) -> None:
    project.write({"app.py": APP, "trivet.toml": "[server]\nbind = ['unix:one.sock']\n"})
    stand = serve(project.folder, *QUIET, "--workers", "1", bind=False)
    project.write({"trivet.toml": "[server]\nbind = ['unix:two.sock']\n"})
    ended = project.run("reload")
    assert (ended.code, "needs a new start: server.bind" in ended.out) == (0, True), ended
    names = sorted(path.name for path in project.folder.glob("*.sock"))
    assert names == ["one.sock"], stand.describe()


def test_a_new_generation_that_fails_leaves_the_old_environment(
    serve: Serve, project: Project
) -> None:
    stand = begin(serve, project)
    (worker,) = stand.children("worker")
    project.write({"app.py": "1 / 0\n", **config("two")})
    assert project.run("reload").code == 3
    project.write({"app.py": APP})
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: stand.children("worker") not in ([], [worker]), stand.describe)
    wait_until(lambda: stand.get("/").text == "one", stand.describe)


def test_one_of_several_apps_is_renewed_by_its_table(serve: Serve, project: Project) -> None:
    def tables(greeting: str) -> dict[str, str]:
        shop = "[app.shop]\ntarget = 'app:app'\npath = '/shop'\nworkers = 1\n"
        blog = (
            f"[app.blog]\ntarget = 'app:app'\npath = '/blog'\nenv = {{ GREETING = '{greeting}' }}"
        )
        return {"trivet.toml": f"{shop}{blog}\nworkers = 1\n"}

    project.write({"app.py": APP, **tables("one")})
    stand = serve(project.folder, *QUIET)
    project.write(tables("two"))
    assert project.run("reload").code == 0
    assert (stand.get("/shop").text, stand.get("/blog").text) == ("none", "two")
    assert "configuration: app.blog.env changed" in stand.err.text()


def test_reloads_that_change_something_lose_no_request(serve: Serve, project: Project) -> None:
    stand = begin(serve, project)
    with Load(stand.port, REQUESTS, clients=3) as load:
        for number in range(1, 5):
            project.write(config(f"g{number}", workers=1 + number % 2))
            assert project.run("reload").code == 0
        load.wait_for_more(6)
    assert load.failures == []
    assert set(load.bodies) <= {"one", "g1", "g2", "g3", "g4"}


def test_touching_a_file_reloads(serve: Serve, project: Project) -> None:
    stand = begin(serve, project, "--touch-reload", "again")
    project.write(config("two"))
    (project.folder / "again").touch()
    wait_for_reloads(stand, 1)
    assert stand.get("/").text == "two"
    project.write(config("three"))
    os.utime(project.folder / "again", (1, 1))
    wait_for_reloads(stand, 2)
    assert (stand.get("/").text, "again touched: reloaded" in stand.err.text()) == ("three", True)


def test_a_file_to_touch_that_the_reload_brings_counts(serve: Serve, project: Project) -> None:
    stand = begin(serve, project)
    project.write(config("two", "[reload]\ntouch = 'again'\n"))
    assert project.run("reload").code == 0
    project.write({**config("three", "[reload]\ntouch = 'again'\n"), "again": ""})
    wait_for_reloads(stand, 2)
    assert stand.get("/").text == "three"
