"""The black box: what is known of exceptions, crashes and kills, and that nothing secret is."""

import json
import os
import signal
from typing import Any

from tests.e2e.conftest import Serve
from tests.e2e.program import Project
from tests.waiting import wait_until

APP = """
import ctypes, os, signal, threading

def boom():
    hidden = "local-value"
    raise ValueError("no good " + str(len(hidden)))

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/boom":
        boom()
    if path == "/segv":
        ctypes.string_at(0)
    if path == "/exit":
        os._exit(7)
    if path == "/kill":
        os.kill(os.getpid(), signal.SIGKILL)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/cut":
        return late()
    if path == "/close":
        return Closing()
    return [b"hello"]

class Closing(list):
    def __init__(self):
        super().__init__([b"all of it"])
    def close(self):
        raise RuntimeError("not closed")

def late():
    yield b"first"
    raise RuntimeError("too late")
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["path"] == "/boom":
        raise ValueError("no good")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
    if scope["path"] == "/background":
        raise KeyError("job")
"""
QUIET = ("--workers", "1")


def incidents(project: Project, count: int, *more: str) -> list[dict[str, Any]]:
    """Wait for so many, and return the list."""

    def listed() -> list[dict[str, Any]] | None:
        ended = project.run("incidents", "--json", *more)
        assert ended.code == 0, ended
        found: list[dict[str, Any]] = json.loads(ended.out)["incidents"]
        return found if len(found) >= count else None

    return wait_until(listed, "the incidents are not listed")


def shown(project: Project, wanted: str) -> dict[str, Any]:
    ended = project.run("incidents", "--json", wanted)
    assert ended.code == 0, ended
    (found,) = json.loads(ended.out)["incidents"]
    assert isinstance(found, dict)
    return found


def test_an_exception_is_found_by_the_id_that_the_client_and_the_log_have(
    serve: Serve, project: Project
) -> None:
    stand = serve(APP, *QUIET)
    answer = stand.request("POST", "/boom?token=abc&page=2", b"private")
    logged = stand.wait_for_request(lambda line: line["status"] == 500)
    (row,) = incidents(project, 1)
    assert answer.status == 500
    assert row["id"] == answer.headers["x-request-id"] == logged["request_id"]
    assert row["id"] in answer.text
    assert (row["kind"], row["summary"]) == ("exception", "ValueError: no good 11")
    assert (row["method"], row["target"], row["status"]) == ("POST", "/boom?token=***&page=2", 500)
    found = shown(project, row["id"])
    assert [found["worker"], found["generation"]] == [1, 1]
    assert [found["pid"]] == stand.children("worker")
    assert found["place"] == "app.py:6 in boom"
    assert found["stack"].startswith("Traceback (most recent call last):\n")
    assert found["stack"].rstrip().endswith("ValueError: no good 11")
    assert found["memory_after_bytes"] > 1 << 20
    (request,) = found["requests"]
    assert (request["client"], request["outcome"], request["attempts"]) == (
        "127.0.0.1",
        "answered",
        1,
    )
    assert 0 <= request["handed_out_us"] <= request["started_us"] <= request["failed_us"]


def test_an_exception_of_an_asgi_app_is_one_too(serve: Serve, project: Project) -> None:
    stand = serve(ASGI, *QUIET)
    answer = stand.get("/boom")
    found = shown(project, incidents(project, 1)[0]["id"])
    assert found["id"] == answer.headers["x-request-id"]
    assert (found["kind"], found["summary"]) == ("exception", "ValueError: no good")
    assert "app.py" in found["stack"]


def test_an_answer_that_broke_off_is_told_as_that(serve: Serve, project: Project) -> None:
    stand = serve(APP, *QUIET)
    stand.raw(b"GET /cut HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    found = shown(project, incidents(project, 1)[0]["id"])
    assert found["summary"] == "RuntimeError: too late"
    assert [each["outcome"] for each in found["requests"]] == ["cut"]


def test_what_is_raised_behind_a_whole_answer_is_an_incident(
    serve: Serve, project: Project
) -> None:
    stand = serve(APP, *QUIET)
    answer = stand.get("/close?page=2")
    assert (answer.status, answer.text) == (200, "all of it")
    found = shown(project, incidents(project, 1)[0]["id"])
    assert found["id"] == answer.headers["x-request-id"]
    assert (found["kind"], found["summary"]) == ("exception", "RuntimeError: not closed")
    assert found["place"].endswith(" in close")
    (request,) = found["requests"]
    assert (request["target"], request["outcome"], request["status"]) == (
        "/close?page=2",
        "whole",
        0,
    )
    assert request["started_us"] <= request["failed_us"]
    steps = project.run("incidents", found["id"]).out
    assert "failed: the client had the whole answer" in steps


def test_a_background_job_of_an_asgi_app_that_fails_is_an_incident(
    serve: Serve, project: Project
) -> None:
    stand = serve(ASGI, *QUIET)
    answer = stand.get("/background")
    assert (answer.status, answer.text) == (200, "hello")
    (row,) = incidents(project, 1)
    assert row["id"] == answer.headers["x-request-id"]
    found = shown(project, row["id"])
    assert (found["kind"], found["summary"]) == ("exception", "KeyError: 'job'")
    assert [each["outcome"] for each in found["requests"]] == ["whole"]
    assert stand.get("/").status == 200


def test_nothing_secret_is_kept(serve: Serve, project: Project) -> None:
    stand = serve(APP, *QUIET)
    fields = {
        "Cookie": "session=cookie-value",
        "Authorization": "Bearer authorization-value",
        "X-Own": "own-value",
    }
    stand.request("POST", "/boom?password=query-value", b"body-value", headers=fields)
    found = json.dumps(shown(project, incidents(project, 1)[0]["id"]))
    for word in ("cookie", "authorization", "own", "query", "body", "local"):
        assert f"{word}-value" not in found.replace('hidden = \\"local-value\\"', "")


def test_a_segfault_has_signal_process_request_and_stack(serve: Serve, project: Project) -> None:
    stand = serve(APP, *QUIET)
    (pid,) = stand.children("worker")
    answer = stand.request("POST", "/segv")
    assert answer.status == 502
    (row,) = incidents(project, 1)
    assert row["id"] == answer.headers["x-request-id"]
    found = shown(project, row["id"])
    assert (found["kind"], found["signal"], found["pid"]) == ("crash", "SIGSEGV", pid)
    assert found["exit_code"] is None
    assert found["stack"].startswith("Fatal Python error: Segmentation fault")
    assert "in app" in found["stack"]
    (request,) = found["requests"]
    assert (request["method"], request["target"]) == ("POST", "/segv")
    assert (request["outcome"], request["status"]) == ("answered", 502)
    assert found["memory_after_bytes"] >= found["memory_before_bytes"] // 2


def test_a_request_that_kills_its_workers_is_in_the_incident_of_each(
    serve: Serve, project: Project
) -> None:
    stand = serve(APP, "--workers", "2")
    answer = stand.get("/kill")
    assert answer.status >= 500
    wanted = answer.headers["x-request-id"]
    assert [row["kind"] for row in incidents(project, 2)] == ["kill", "kill"]
    ended = project.run("incidents", "--json", wanted)
    newest, oldest = json.loads(ended.out)["incidents"]
    assert [each["requests"][0]["outcome"] for each in (oldest, newest)] == ["retried", "answered"]
    assert newest["requests"][0]["attempts"] == 2
    assert newest["signal"] == oldest["signal"] == "SIGKILL"


def test_a_worker_that_leaves_says_its_code(serve: Serve, project: Project) -> None:
    stand = serve(APP, *QUIET)
    stand.request("POST", "/exit")
    found = shown(project, incidents(project, 1)[0]["id"])
    assert (found["kind"], found["exit_code"], found["signal"]) == ("exit", 7, None)


def test_a_death_with_no_request_in_flight_is_an_incident(serve: Serve, project: Project) -> None:
    stand = serve(APP, *QUIET)
    (pid,) = stand.children("worker")
    os.kill(pid, signal.SIGKILL)
    (row,) = incidents(project, 1)
    assert (row["kind"], row["method"], row["status"]) == ("kill", "", 0)
    found = shown(project, row["id"])
    assert (found["pid"], found["requests"]) == (pid, [])
    (edge,) = stand.children("edge")
    os.kill(edge, signal.SIGKILL)
    newest = incidents(project, 2)[0]
    assert (newest["kind"], newest["worker"]) == ("kill", None)
    stand.kill()


def test_a_reload_and_a_stop_are_no_incidents(serve: Serve, project: Project) -> None:
    serve(APP, *QUIET)
    assert project.run("reload").code == 0
    assert project.run("scale", "2").code == 0
    assert project.run("scale", "1").code == 0
    ended = project.run("incidents")
    assert (ended.code, ended.out) == (0, "no incident since the start\n")


def test_an_app_that_fails_all_the_time_is_counted(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "1", "--no-access-log", "--log-format", "text")
    with stand.socket() as client:
        client.sendall(b"GET /boom HTTP/1.1\r\nHost: a\r\n\r\n" * 400)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while client.recv(65536):
            pass

    def all_counted() -> bool:
        # One more failure tells how many there were too many by now.
        stand.get("/boom")
        told = json.loads(project.run("incidents", "--json").out)
        return bool(told["dropped"] >= 1 and told["total"] + told["dropped"] >= 401)

    wait_until(all_counted, stand.describe)
    told = project.run("incidents")
    assert "further exceptions were too many at once to be recorded" in told.out
    assert len(told.out.splitlines()) <= 24


def test_a_person_reads_an_incident_with_its_time_line(serve: Serve, project: Project) -> None:
    stand = serve(APP, *QUIET)
    answer = stand.get("/boom?a=\x1b[31m".replace("\x1b", "%1b"))
    wanted = answer.headers["x-request-id"]
    incidents(project, 1)
    head, row = project.run("incidents").out.splitlines()
    assert head.split() == ["time", "what", "worker", "status", "request", "summary", "id"]
    assert row.endswith(wanted)
    lines = project.run("incidents", wanted[-12:]).out.splitlines()
    assert lines[0] == f"incident {wanted}"
    assert "what       exception: ValueError: no good 11" in lines
    assert f"GET /boom?a=%1b[31m from 127.0.0.1, id {wanted}" in lines
    steps = [line.split("  ")[-1] for line in lines if " µs  " in line]
    assert steps == ["received", "handed to the worker", "started", "failed: answered 500"]
    assert lines[-1] == "ValueError: no good 11"


def test_an_id_that_nobody_has_is_said(serve: Serve, project: Project) -> None:
    serve(APP, *QUIET)
    ended = project.run("incidents", "no-such")
    assert (ended.code, "error[control.no_incident]" in ended.err) == (1, True)


def test_a_folder_keeps_incidents_over_a_restart(serve: Serve, project: Project) -> None:
    kept = project.folder / "kept"
    kept.mkdir()
    project.write({"trivet.toml": '[incidents]\nkeep = 3\ndirectory = "kept"\n', "app.py": APP})
    stand = serve(project.folder, *QUIET)
    answers = [stand.get("/boom") for _ in range(5)]
    wait_until(lambda: len(incidents(project, 3)) == 3, stand.describe)
    assert stand.stop() == 0
    assert len(list(kept.iterdir())) == 3
    assert {each.stat().st_mode & 0o777 for each in kept.iterdir()} == {0o600}
    (kept / "00000000000000000000-0.incident.json").write_text("{")
    again = serve(project.folder, *QUIET)
    found = incidents(project, 3)
    assert [each["id"] for each in found] == [
        each.headers["x-request-id"] for each in reversed(answers[2:])
    ]
    assert json.loads(project.run("incidents", "--json").out)["total"] == 0
    assert again.stop() == 0


def test_an_id_from_a_proxy_is_no_name_of_a_file(serve: Serve, project: Project) -> None:
    kept = project.folder / "kept"
    kept.mkdir()
    settings = '[proxy]\ntrusted = ["127.0.0.1"]\n[incidents]\ndirectory = "kept"\n'
    project.write({"trivet.toml": settings, "app.py": APP})
    stand = serve(project.folder, *QUIET)
    for _ in range(2):
        stand.get("/boom", headers={"X-Request-ID": "../../evil"})
    wait_until(lambda: len(list(kept.iterdir())) == 2, stand.describe)
    ended = project.run("incidents", "--json", "../../evil")
    assert len(json.loads(ended.out)["incidents"]) == 2
    assert stand.stop() == 0


def test_a_folder_that_cannot_be_written_is_said_once(serve: Serve, project: Project) -> None:
    kept = project.folder / "kept"
    kept.mkdir()
    project.write({"trivet.toml": '[incidents]\ndirectory = "kept"\n', "app.py": APP})
    stand = serve(project.folder, "--workers", "1", "--log-format", "text")
    kept.rmdir()
    for _ in range(3):
        stand.get("/boom")
    stand.wait_for_text("incidents cannot be written to")
    assert len(incidents(project, 3)) == 3
    assert stand.stop() == 0
    assert stand.err.text().count("incidents cannot be written to") == 1
