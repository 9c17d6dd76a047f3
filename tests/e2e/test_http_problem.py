"""Answers that the edge gives by itself: honest, small, with the request's id."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.e2e.http1 import Client, connect, line_of, request, running
from tests.e2e.stand import Stand

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("problem")
    with running(folder, "--workers", "1", "--threads", "1") as stand:
        yield stand


@pytest.fixture
def client(stand: Stand) -> Iterator[Client]:
    with connect(stand) as client:
        yield client


@pytest.mark.parametrize("accept", [None, "*/*", BROWSER, "text/html", "image/png", "nonsense;;"])
def test_people_get_a_page(client: Client, accept: str | None) -> None:
    fields = [f"Accept: {accept}"] if accept else []
    answer = client.get("/do/raise?early=1", *fields)
    assert (answer.status, answer.field("content-type")) == (500, "text/html; charset=utf-8")
    assert b"<h1>500 Internal Server Error</h1>" in answer.body


@pytest.mark.parametrize(
    "accept", ["application/json", "application/problem+json", "application/json, */*"]
)
def test_programs_get_problem_details(client: Client, accept: str) -> None:
    answer = client.get("/do/raise?early=1", f"Accept: {accept}")
    assert answer.field("content-type") == "application/problem+json"
    assert {name: answer.json()[name] for name in ("status", "title", "code")} == {
        "status": 500,
        "title": "Internal Server Error",
        "code": "app.failed",
    }


def test_a_problem_tells_the_id_that_the_log_has(stand: Stand, client: Client) -> None:
    page = client.get("/do/raise?early=1")
    request_id = page.field("x-request-id")
    assert request_id
    assert request_id.encode() in page.body
    details = client.get("/do/raise?early=1", "Accept: application/json")
    assert details.json()["instance"] == details.field("x-request-id") != request_id
    line = stand.wait_for_request(lambda line: line["request_id"] == request_id)
    assert line["error"].startswith("ZeroDivisionError: the secret")


def test_a_problem_shows_nothing_of_the_inside(client: Client) -> None:
    for accept in (BROWSER, "application/json"):
        answer = client.get("/do/raise?early=1", f"Accept: {accept}")
        for secret in (b"secret", b"ZeroDivision", b"app.py", b"Traceback", b"worker"):
            assert secret not in answer.body


def test_a_problem_is_never_stored(client: Client) -> None:
    assert client.get("/do/raise?early=1").field("cache-control") == "no-store"


def test_a_connection_outlives_a_problem_of_the_app(client: Client) -> None:
    for _ in range(3):
        assert client.get("/do/raise?early=1").status == 500
        assert client.get("/").status == 200


def test_an_answer_that_breaks_http_is_500_and_named_in_the_log(
    stand: Stand, client: Client
) -> None:
    answer = client.get("/do/fields?Bad%20Name=x")
    assert answer.status == 500
    assert b"Bad Name" not in answer.body
    assert line_of(stand, client)["error"]


def test_an_app_cannot_split_its_answer(client: Client) -> None:
    answer = client.get("/do/fields?X=a%0d%0aSet-Cookie:%20b=c")
    assert (answer.status, answer.field("set-cookie")) == (500, None)
    assert client.get("/").status == 200


# The fields of the request before once chose the format.
def test_a_malformed_request_gets_nothing_of_the_one_before(client: Client) -> None:
    assert client.get("/", "Accept: application/json").status == 200
    client.send(b"GET / HTTP/1.1\nHost: a\r\nAccept: application/json\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.field("content-type")) == (400, "text/html; charset=utf-8")


def test_a_refusal_says_why(client: Client) -> None:
    client.send(request("GET", "/", "Accept: application/json", "Host: b"))
    details = json.loads(client.answer().body)
    assert details["detail"] == "The request has more than one Host."
    assert re.fullmatch(r"[0-9a-f-]{36}", details["instance"])
