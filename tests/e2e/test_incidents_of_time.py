"""The black box, for requests that do not end: what is known of timeouts and stalled responses."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.program import Project
from tests.e2e.stand import Stand
from tests.waiting import wait_until

TIMEOUTS = '[timeouts]\nrequest = "600ms"\ninterrupt_grace = "1s"\nresponse_stall = "1s"\n'
REPLACED = "the worker is replaced"

Wedge = Callable[..., Stand]


@pytest.fixture
def wedge(serve: Serve, project: Project, root: Path) -> Wedge:
    """Start a stand with an app of the accidents."""

    def begin(app: str = "wedge", more: str = "", workers: int = 1) -> Stand:
        source = (root / f"tests/accidents/apps/{app}.py").read_text()
        project.write({"app.py": source, "trivet.toml": TIMEOUTS + more})
        return serve(project.folder, "--workers", str(workers))

    return begin


def listed(project: Project) -> list[dict[str, Any]]:
    ended = project.run("incidents", "--json")
    assert ended.code == 0, ended
    rows: list[dict[str, Any]] = json.loads(ended.out)["incidents"]
    return rows


def the_incident(project: Project, stand: Stand) -> dict[str, Any]:
    """Wait for the only incident, and return all of it."""
    wait_until(lambda: listed(project), stand.describe)
    (row,) = listed(project)
    (found,) = json.loads(project.run("incidents", "--json", row["id"]).out)["incidents"]
    assert isinstance(found, dict)
    return found


def test_a_timeout_is_found_by_the_id_on_the_page_and_in_the_log(
    wedge: Wedge, project: Project
) -> None:
    stand = wedge(more='[[route]]\npath = "/deadlock*"\ntimeout = "300ms"\n')
    answer = stand.get("/deadlock?token=abc")
    logged = stand.wait_for_request(lambda line: line["status"] == 504)
    found = the_incident(project, stand)
    assert answer.status == 504
    assert found["id"] == answer.headers["x-request-id"] == logged["request_id"]
    assert found["id"] in answer.text
    assert found["kind"] == "timeout"
    assert re.fullmatch(r"no response after \d+(\.\d+)? s", found["summary"])
    assert re.fullmatch(r"It is in\n    app\.py:\d+ app -> app\.py:\d+ deadlock", found["stack"]), (
        found["stack"]
    )
    assert (found["worker"], found["generation"]) == (1, 1)
    assert found["memory_before_bytes"] > 1 << 20
    (request,) = found["requests"]
    assert (request["method"], request["target"]) == ("GET", "/deadlock?token=***")
    assert (request["mount"], request["route"]) == ("", "route 1 (/deadlock*)")
    assert (request["outcome"], request["status"]) == ("answered", 504)
    assert 0 <= request["handed_out_us"] <= request["started_us"] < request["failed_us"]
    assert request["failed_us"] >= 300_000
    # Its worker is killed for it: that is told in the log, and no second incident.
    stand.wait_for_text(REPLACED)
    wait_until(lambda: stand.get("/pid").text != str(found["pid"]), stand.describe)
    wait_until(lambda: found["pid"] not in stand.children("worker"), stand.describe)
    assert [each["id"] for each in listed(project)] == [found["id"]]


def test_a_person_reads_a_timeout_with_stack_and_time_line(wedge: Wedge, project: Project) -> None:
    stand = wedge()
    wanted = stand.get("/short_sleeps").headers["x-request-id"]
    the_incident(project, stand)
    lines = project.run("incidents", wanted).out.splitlines()
    assert lines[0] == f"incident {wanted}"
    assert any(line.startswith("what       timeout: no response after ") for line in lines)
    steps = [line.split("  ")[-1] for line in lines if " µs  " in line]
    assert steps == ["received", "handed to the worker", "started", "failed: answered 504"]
    assert lines[-2] == "It is in"
    assert re.fullmatch(r"    app\.py:\d+ app -> app\.py:\d+ short_sleeps", lines[-1])
    (row,) = listed(project)
    assert (row["kind"], row["method"], row["target"], row["status"]) == (
        "timeout",
        "GET",
        "/short_sleeps",
        504,
    )


def test_who_holds_the_interpreter_lock_is_in_the_incident(wedge: Wedge, project: Project) -> None:
    stand = wedge()
    assert stand.get("/spins_in_c").status == 504
    found = the_incident(project, stand)
    assert found["kind"] == "timeout"
    assert found["stack"].startswith("The worker does not answer, its threads are in\n")
    assert re.search(r"\n    app\.py:\d+ app -> app\.py:\d+ spins_in_c", found["stack"])


def test_a_task_of_an_event_loop_is_in_the_incident(wedge: Wedge, project: Project) -> None:
    stand = wedge("wedge_asgi")
    assert stand.get("/sleeps").status == 504
    found = the_incident(project, stand)
    assert found["kind"] == "timeout"
    assert re.search(r"^It is in\n    app\.py:\d+ app -> .*app\.py:\d+ sleeps", found["stack"])


def test_a_stalled_response_is_an_incident(wedge: Wedge, project: Project) -> None:
    stand = wedge("wedge_asgi")
    answer = stand.raw(b"GET /streams HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    found = the_incident(project, stand)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert found["kind"] == "stall"
    assert "the response stalled, " in found["summary"]
    assert "streams" in found["stack"]
    (request,) = found["requests"]
    assert found["id"].encode() in answer
    assert (request["target"], request["outcome"], request["status"]) == ("/streams", "cut", 0)
    assert request["answered_us"] < request["failed_us"]
    steps = project.run("incidents", found["id"]).out
    assert "first byte of the answer" in steps
    assert "failed: cut off, a part of the answer was out" in steps


# Whether its thread still runs when the edge looks again is a matter of chance.
def test_a_request_that_ends_just_behind_its_504_is_one_incident(
    serve: Serve, project: Project
) -> None:
    source = """
import time

def app(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"] or 0))  # slow on purpose
    start_response("200 OK", [])
    return [b"slept"]
"""
    project.write({"app.py": source, "trivet.toml": TIMEOUTS})
    stand = serve(project.folder, "--workers", "1")
    answers = [stand.get(f"/?{seconds}") for seconds in (0.66, 0.7, 0.74, 0.78, 0.9)]
    late = {each.headers["x-request-id"] for each in answers if each.status == 504}
    assert late
    wait_until(lambda: len(listed(project)) == len(late), stand.describe)
    assert {each["id"] for each in listed(project)} == late
    assert {each["kind"] for each in listed(project)} == {"timeout"}


def test_a_client_that_leaves_is_no_incident(wedge: Wedge, project: Project) -> None:
    route = '[[route]]\npath = "/short_sleeps/*"\ntimeout = "off"\ncancel_on_disconnect = true\n'
    stand = wedge(more=route)
    with stand.socket() as client:
        client.sendall(b"GET /short_sleeps/mark HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until((project.folder / "mark").exists, stand.describe)
    stand.wait_for_text("has let go of worker")
    assert listed(project) == []


def test_a_request_whose_client_has_left_and_whose_time_is_over_is_one(
    wedge: Wedge, project: Project
) -> None:
    stand = wedge()
    with stand.socket() as client:
        client.sendall(b"GET /short_sleeps/mark HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until((project.folder / "mark").exists, stand.describe)
    found = the_incident(project, stand)
    assert found["kind"] == "timeout"
    assert [each["outcome"] for each in found["requests"]] == ["gone"]


def test_an_incident_says_which_app_and_route_it_was(serve: Serve, project: Project) -> None:
    source = "def app(environ, start_response):\n    raise ValueError('no good')\n"
    settings = """
[app.shop]
target = "shop:app"
path = "/shop"

[app.blog]
target = "blog:app"
path = "/"

[[route]]
path = "/shop/cart"
timeout = "5s"
"""
    project.write({"shop.py": source, "blog.py": source, "trivet.toml": settings})
    stand = serve(project.folder, "--workers", "1")
    wanted = [stand.get(path).headers["x-request-id"] for path in ("/shop/cart", "/shop/a", "/b")]
    wait_until(lambda: len(listed(project)) == len(wanted), stand.describe)
    told = [
        json.loads(project.run("incidents", "--json", each).out)["incidents"][0] for each in wanted
    ]
    assert [(each["app"], each["requests"][0]["mount"]) for each in told] == [
        ("shop", "/shop"),
        ("shop", "/shop"),
        ("blog", ""),
    ]
    assert [each["requests"][0]["route"] for each in told] == ["route 1 (/shop/cart)", None, None]
    shown = project.run("incidents", wanted[0]).out
    assert "\n  app at /shop\n  by route 1 (/shop/cart)\n" in shown
