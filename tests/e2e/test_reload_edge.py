"""A reload changes the edge while it runs: whole, at once, and for no request that has begun."""

import json
import os
import signal
from typing import Any

from tests.e2e.conftest import Serve
from tests.e2e.http1 import connect, request
from tests.e2e.load import Load
from tests.e2e.program import Project
from tests.e2e.stand import Stand
from tests.waiting import wait_until

APP = """
def app(environ, start_response):
    content = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    name = environ["SCRIPT_NAME"] or "-"
    return [f"{name} {len(content)} {environ['REMOTE_ADDR']}".encode()]
"""
ONE_WORKER = "[server]\nworkers = 1\n"


def begin(serve: Serve, project: Project, config: str = "") -> Stand:
    project.write({"app.py": APP, "trivet.toml": ONE_WORKER + config})
    return serve(project.folder)


def reload(project: Project, config: str, code: int = 0) -> str:
    """Reload with another configuration, and return what the command said."""
    project.write({"trivet.toml": ONE_WORKER + config})
    ended = project.run("reload")
    assert ended.code == code, ended
    return ended.out + ended.err


def lines(project: Project, name: str) -> list[dict[str, Any]]:
    path = project.folder / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_limit_changes_for_the_next_request_and_the_edge_stays(
    serve: Serve, project: Project
) -> None:
    stand = begin(serve, project, "[limits]\nrequest_body = '1 KiB'\n")
    edge = stand.children("edge")
    with connect(stand) as client:
        client.send(request("POST", "/", body=b"x" * 1000))
        assert client.answer().body == b"- 1000 127.0.0.1"
        reload(project, "[limits]\nrequest_body = '2 KiB'\nrequest_target = '256B'\n")
        client.send(request("POST", "/", body=b"x" * 2000))
        assert client.answer().body == b"- 2000 127.0.0.1"
        assert client.get("/" + 300 * "a").status == 414
    assert stand.children("edge") == edge
    assert "configuration: limits.request_target, limits.request_body changed" in stand.err.text()


def test_a_request_that_has_begun_keeps_its_settings(serve: Serve, project: Project) -> None:
    stand = begin(serve, project)
    chunked = request("POST", "/", "Transfer-Encoding: chunked") + b"3e8\r\n" + b"x" * 500
    with connect(stand) as client:
        client.send(chunked)
        # The answer to another request shows that the edge has come past this one.
        assert stand.get("/").status == 200
        reload(project, "[limits]\nrequest_body = '600B'\n")
        client.send(b"x" * 500 + b"\r\n0\r\n\r\n")
        assert client.answer().body == b"- 1000 127.0.0.1"
        client.send(chunked, b"x" * 500, "\r\n0\r\n\r\n")
        assert client.answer().status == 413


def test_what_the_edge_refuses_changes_nothing(serve: Serve, project: Project) -> None:
    stand = begin(serve, project)
    workers, edge = stand.children("worker"), stand.children("edge")
    broken = "[limits]\nrequest_body = '1B'\n[log]\naccess_file = 'nowhere/access.log'\n"
    said = reload(project, broken, code=2)
    assert "error[config.edge_refused]" in said
    assert "cannot open the access log" in said
    assert "all goes on as it was" in said
    assert "config.edge_refused" in stand.err.text()
    assert "changed" not in stand.err.text()
    assert (stand.children("worker"), stand.children("edge")) == (workers, edge)
    assert stand.request("POST", "/", b"xx").status == 200
    reload(project, "[limits]\nrequest_body = '1B'\n")
    assert stand.request("POST", "/", b"xx").status == 413


def test_an_app_that_does_not_load_leaves_the_edge_as_it_was(
    serve: Serve, project: Project
) -> None:
    stand = begin(serve, project)
    project.write({"app.py": "1 / 0\n"})
    reload(project, "[limits]\nrequest_body = '1B'\n", code=3)
    assert stand.request("POST", "/", b"xx").status == 200
    assert "the edge keeps its settings, for not every app was reloaded" in stand.err.text()
    project.write({"app.py": APP})
    reload(project, "[limits]\nrequest_body = '1B'\n")
    assert stand.request("POST", "/", b"xx").status == 413


def test_an_edge_that_dies_is_started_with_what_the_reload_brought(
    serve: Serve, project: Project
) -> None:
    stand = begin(serve, project)
    reload(project, "[limits]\nrequest_body = '1B'\n")
    (edge,) = stand.children("edge")
    os.kill(edge, signal.SIGKILL)
    wait_until(lambda: stand.children("edge") not in ([], [edge]), stand.describe)
    wait_until(lambda: "the edge is back" in stand.err.text(), stand.describe)
    wait_until(lambda: stand.get("/").status == 200, stand.describe)
    assert stand.request("POST", "/", b"xx").status == 413


def test_an_access_log_moves_with_the_requests_that_begin_then(
    serve: Serve, project: Project
) -> None:
    stand = begin(serve, project, "[log]\naccess_file = 'one.log'\n")
    held = request("POST", "/held", "Content-Length: 1")
    with connect(stand) as client:
        client.send(held)
        assert stand.get("/first").status == 200
        reload(project, "[log]\naccess_file = 'two.log'\nformat = 'json'\n")
        assert stand.get("/second").status == 200
        client.send(b"x")
        assert client.answer().status == 200
    wait_until(lambda: len(lines(project, "one.log")) == 2, stand.describe)
    wait_until(lambda: len(lines(project, "two.log")) == 1, stand.describe)
    assert [line["path"] for line in lines(project, "one.log")] == ["/first", "/held"]
    assert [line["path"] for line in lines(project, "two.log")] == ["/second"]
    reload(project, "[log]\naccess = false\n")
    assert stand.get("/third").status == 200
    stand.stop()
    assert len(lines(project, "two.log")) == 1
    assert stand.requests() == []


def test_an_idle_connection_takes_the_new_patience(serve: Serve, project: Project) -> None:
    stand = begin(serve, project)
    with connect(stand) as client:
        assert client.get("/").status == 200
        reload(project, "[timeouts]\nkeep_alive = '1s'\n")
        assert client.is_ended()
    assert all(line["status"] == 200 for line in stand.requests())


def test_apps_change_places(serve: Serve, project: Project) -> None:
    def tables(one: str, other: str) -> str:
        return "".join(
            f"[app.{name}]\ntarget = 'app:app'\npath = '{path}'\nworkers = 1\n"
            for name, path in (("one", one), ("other", other))
        )

    project.write({"app.py": APP, "trivet.toml": tables("/a", "/b")})
    stand = serve(project.folder)
    assert stand.get("/a/x").text == "/a 0 127.0.0.1"
    project.write({"trivet.toml": tables("/c", "/a")})
    assert project.run("reload").code == 0
    answers = [stand.get(path).status for path in ("/a/x", "/b/x", "/c/x")]
    assert answers == [200, 404, 200]
    told = json.loads(project.run("status", "--json").out)
    assert [app["mount"] for app in told["apps"]] == ["/c", "/a"]


def test_probes_routes_and_trusted_proxies_follow(serve: Serve, project: Project) -> None:
    stand = begin(serve, project)
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    reload(
        project,
        "[health]\nready = '/up'\n[proxy]\ntrusted = []\n"
        "[[route]]\npath = '/small'\nrequest_body = '1B'\n",
    )
    assert stand.get("/up").json()["status"] == "ok"
    assert stand.request("POST", "/small", b"xx").status == 413
    assert stand.get("/", forwarded).text == "- 0 127.0.0.1"
    reload(project, "[proxy]\ntrusted = ['127.0.0.1']\n")
    assert stand.get("/", forwarded).text == "- 0 203.0.113.9"
    assert stand.request("POST", "/small", b"xx").status == 200


def test_lines_follow_the_format_that_holds(serve: Serve, project: Project) -> None:
    stand = begin(serve, project, "[log]\nformat = 'text'\n")
    reload(project, "[log]\nformat = 'json'\n")
    stand.get("/there")
    assert stand.wait_for_request(lambda line: line["path"] == "/there")["status"] == 200
    reload(project, "[log]\nformat = 'json'\nlevel = 'error'\n")
    said = len(stand.err.text())
    reload(project, "[log]\nformat = 'json'\nlevel = 'error'\n")
    assert stand.err.text()[said:] == ""


def test_settings_that_change_under_load_lose_no_request(serve: Serve, project: Project) -> None:
    stand = begin(serve, project)
    with Load(stand.port, [("GET", "/"), ("POST", "/a")], clients=3) as load:
        for number in range(4):
            reload(
                project,
                f"[limits]\nqueue = {500 + number}\n[timeouts]\nkeep_alive = '{60 + number}s'\n",
            )
        load.wait_for_more(6)
    assert load.failures == []
