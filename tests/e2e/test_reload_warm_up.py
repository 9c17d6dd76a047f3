"""`reload.warm_up`: what each new worker answers before it takes requests."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.load import Load
from tests.e2e.program import Project
from tests.e2e.stand import Stand
from tests.e2e.test_reload import QUIET
from tests.waiting import wait_until

WSGI = """
import json, os
VERSION = 1
STATUS = "200 OK"
SEEN = []

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/warm"):
        told = {name: environ.get(name) for name in NAMES}
        with open("seen", "a") as file:
            file.write(json.dumps({"pid": os.getpid(), **told}) + "\\n")
        SEEN.append(path)
        start_response(STATUS, [("Content-Type", "text/plain")])
        return [b"x" * 300_000]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{VERSION} {len(SEEN)}".encode()]

NAMES = ["REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR",
         "SERVER_NAME", "HTTP_HOST", "HTTP_USER_AGENT", "wsgi.url_scheme"]
"""
ASGI = """
import os
VERSION = 1
SEEN = []

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"].startswith("/warm"):
        SEEN.append(scope["path"])
    body = f"{VERSION} {len(SEEN)}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
WARM = ("--warm-up", "/warm", "--warm-up", "/warm%20too?a=b")


def seen(project: Project) -> list[dict[str, Any]]:
    path = Path(project.folder / "seen")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def begin(serve: Serve, project: Project, *arguments: str, app: str = WSGI) -> Stand:
    """Start two workers, and wait until both have this code."""
    project.write({"app.py": app})
    stand = serve(project.folder, "--workers", "2", *QUIET, *arguments)

    def all_serve() -> bool:
        told = json.loads(project.run("status", "--json").out)
        states = [each["state"] for each in told["workers"]]
        return states == ["serving"] * told["apps"][0]["wanted"]

    wait_until(all_serve, stand.describe)
    return stand


@pytest.mark.parametrize("app", [WSGI, ASGI], ids=["wsgi", "asgi"])
@pytest.mark.parametrize("how", [(), ("--preload",)], ids=["alone", "preload"])
def test_every_worker_is_warm_before_anybody_is_answered(
    serve: Serve, project: Project, app: str, how: tuple[str, ...]
) -> None:
    stand = begin(serve, project, *WARM, *how, app=app)
    assert {stand.get("/").text for _ in range(20)} == {"1 2"}
    project.write({"app.py": app.replace("VERSION = 1", "VERSION = 2")})
    with Load(stand.port, [("GET", "/")], clients=3) as load:
        assert project.run("reload").code == 0
        load.wait_for_more(6)
    assert (load.failures, set(load.bodies) <= {"1 2", "2 2"}) == ([], True)
    assert {stand.get("/").text for _ in range(20)} == {"2 2"}


def test_what_the_app_sees_of_it(serve: Serve, project: Project) -> None:
    table = "[app.shop]\ntarget = 'app:app'\npath = '/shop'\nworkers = 1\n"
    warm_up = "warm_up = ['/warm%20too?a=b']\nwarm_up_host = 'shop.example'\n"
    project.write({"app.py": WSGI, "trivet.toml": table + warm_up})
    stand = serve(project.folder)
    (told,) = seen(project)
    assert told == {
        "pid": stand.children("worker")[0],
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/shop",
        "PATH_INFO": "/warm too",
        "QUERY_STRING": "a=b",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "shop.example",
        "HTTP_HOST": "shop.example",
        "HTTP_USER_AGENT": "Trivet (warm-up)",
        "wsgi.url_scheme": "http",
    }
    # It is no request of a client's.
    stand.get("/shop/")
    stand.stop()
    assert [line["path"] for line in stand.requests()] == ["/shop/"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('STATUS = "200 OK"', 'STATUS = "503 No"'), "`/warm` was answered with 503"),
        (("SEEN.append(path)", "1 / 0"), "ZeroDivisionError: division by zero"),
        (("SEEN.append(path)", "os._exit(1)"), ""),
    ],
)
def test_new_code_that_loads_but_does_not_work_leaves_the_old_one(
    serve: Serve, project: Project, change: tuple[str, str], told: str
) -> None:
    stand = begin(serve, project, *WARM)
    workers = stand.children("worker")
    project.write({"app.py": WSGI.replace(*change).replace("VERSION = 1", "VERSION = 2")})
    ended = project.run("reload")
    assert (ended.code, told in ended.err, "still serving the version of" in ended.err) == (
        3,
        True,
        True,
    ), ended
    assert {stand.get("/").text for _ in range(20)} == {"1 2"}
    wait_until(lambda: stand.children("worker") == workers, stand.describe)


def test_a_first_start_that_does_not_work_is_3(project: Project) -> None:
    project.write({"app.py": WSGI.replace("200 OK", "500 No", 1)})
    ended = project.run("serve", "--bind", "unix:stand.sock", "--workers", "1", *WARM)
    assert (ended.code, "error[app.warm_up]" in ended.err) == (3, True), ended
    assert "`/warm` was answered with 500" in ended.err


def test_an_app_that_does_not_answer_in_time_is_one_that_does_not_load(
    serve: Serve, project: Project
) -> None:
    stand = begin(serve, project, *WARM)
    config = {"trivet.toml": "[server]\nload_timeout = '1s'\n"}
    project.write({"app.py": WSGI.replace("SEEN.append(path)", ENDLESS), **config})
    ended = project.run("reload")
    assert ended.code == 3, ended
    assert "not all of its paths were answered within 1 s" in ended.err
    assert {stand.get("/").text for _ in range(20)} == {"1 2"}


ENDLESS = "__import__('threading').Event().wait()"


def test_a_404_is_an_answer(serve: Serve, project: Project) -> None:
    stand = begin(serve, project, *WARM, app=WSGI.replace("200 OK", "404 Not Found", 1))
    assert stand.get("/").text == "1 2"


def test_a_worker_that_takes_a_dead_ones_place_is_warm_too(serve: Serve, project: Project) -> None:
    stand = begin(serve, project, *WARM, "--workers", "1")
    assert len(seen(project)) == 2
    (worker,) = stand.children("worker")
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(seen(project)) == 4, stand.describe)
    assert stand.get("/").text == "1 2"


def test_what_is_no_path_is_said_with_its_place(project: Project) -> None:
    project.write({"app.py": WSGI, "trivet.toml": "[reload]\nwarm_up = ['warm']\n"})
    ended = project.run("serve", "--bind", "unix:stand.sock")
    assert (ended.code, "trivet.toml:2" in ended.err) == (2, True), ended
    assert "must be a path such as" in ended.err
