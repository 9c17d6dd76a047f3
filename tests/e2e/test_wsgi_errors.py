"""An app that raises: the client gets a page, the log the traceback, and both the same id."""

import http.client
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.apps import serving
from tests.e2e.stand import Answer, Stand
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with serving("failing:app", "--workers", "1", "--threads", "2") as stand:
        pid = stand.children("worker")
        yield stand
        assert stand.get("/ok").text == "ok"
        assert stand.children("worker") == pid


def trace_of(stand: Stand, request_id: str, last: str) -> list[str]:
    """Wait for the worker's lines about a request, up to one that starts with `last`."""

    def lines() -> list[str]:
        told = [line for line in stand.log() if line.get("worker") and line["event"] != "request"]
        # A traceback is one event, with all its lines in `exception`.
        texts = [str(line.get("exception", line["event"])) for line in told]
        events = [part for text in texts for part in text.splitlines()]
        first = next((at for at, text in enumerate(events) if request_id in text), None)
        rest = events[first:] if first is not None else []
        end = next((at for at, text in enumerate(rest) if text.startswith(last)), None)
        return rest[: end + 1] if end is not None else []

    return wait_until(lines, lambda: f"no trace with {request_id} and {last}:\n{stand.describe()}")


def line_of(stand: Stand, answer: Answer) -> dict[str, Any]:
    request_id = answer.headers["x-request-id"]
    return stand.wait_for_request(lambda line: line["request_id"] == request_id)


def test_the_page_has_the_requests_id_and_no_more_of_the_app(stand: Stand) -> None:
    answer = stand.get("/boom")
    assert answer.status == 500
    assert answer.headers["x-request-id"] in answer.text
    assert "ZeroDivisionError" not in answer.text
    assert "failing.py" not in answer.text


def test_a_program_gets_json(stand: Stand) -> None:
    answer = stand.get("/boom", {"Accept": "application/json"})
    assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.headers["x-request-id"] in answer.text
    answer.json()


def test_the_traceback_stands_below_the_requests_id_without_our_frames(stand: Stand) -> None:
    request_id = stand.get("/boom").headers["x-request-id"]
    lines = trace_of(stand, request_id, "ZeroDivisionError")
    assert lines[0] == f"GET /boom failed, request id {request_id}"
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ZeroDivisionError: division by zero"
    files = [line.split('"')[1] for line in lines if line.startswith("  File ")]
    assert [name.rpartition("/")[2] for name in files] == ["failing.py", "failing.py"]


def test_the_access_log_has_the_exception_and_the_innermost_frame_of_the_app(
    stand: Stand,
) -> None:
    line = line_of(stand, stand.get("/boom"))
    assert line["status"] == 500
    assert line["error"] == ("ZeroDivisionError: division by zero at failing.py:14 in innermost")


def test_a_librarys_error_is_placed_in_the_app(stand: Stand) -> None:
    error = line_of(stand, stand.get("/library"))["error"]
    assert error.startswith("JSONDecodeError: ")
    assert " at failing.py:" in error
    assert error.endswith(" in library")


def test_causes_are_in_the_traceback(stand: Stand) -> None:
    request_id = stand.get("/chained").headers["x-request-id"]
    text = "\n".join(trace_of(stand, request_id, "LookupError"))
    assert "ZeroDivisionError: division by zero" in text
    assert "direct cause of the following exception" in text


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/exhausted", "StopIteration at failing.py"),
        ("/generator-left", "GeneratorExit at failing.py"),
        ("/interrupted", "KeyboardInterrupt at failing.py"),
        ("/large", "ValueError: xxxx"),
        ("/leaving", "SystemExit: 3 at failing.py"),
        ("/odd", "OddError"),
        ("/recurse", "RecursionError: maximum recursion depth exceeded"),
        ("/unicode", "ValueError: naïve "),
        ("/not-there", "KeyError: '/not-there' at failing.py"),
    ],
)
def test_whatever_is_raised_gives_a_page_and_the_worker_lives_on(
    stand: Stand, path: str, error: str
) -> None:
    before = stand.children("worker")
    answer = stand.get(path)
    assert answer.status == 500
    assert line_of(stand, answer)["error"].startswith(error)
    assert stand.get("/ok").text == "ok"
    assert stand.children("worker") == before


@pytest.mark.parametrize("path", ["/boom", "/leaving", "/interrupted", "/odd", "/exhausted"])
def test_whatever_is_raised_after_the_head_cuts_the_answer(stand: Stand, path: str) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        stand.get(f"{path}/later")
    assert cut.value.partial == b"begun"
    line = stand.wait_for_request(lambda line: line["path"] == f"{path}/later")
    lines = trace_of(stand, line["request_id"], "Traceback")
    assert lines[0] == f"GET {path}/later broke off after its head, request id {line['request_id']}"
    assert line["error"]
    assert stand.get("/ok").text == "ok"


def test_no_error_leaves_a_traceback_out(stand: Stand) -> None:
    for path, last in [("/odd", "tests.e2e.apps"), ("/unicode", "ValueError"), ("/large", "Val")]:
        request_id = stand.get(path).headers["x-request-id"]
        lines = trace_of(stand, request_id, "Traceback")
        assert len(lines) == 2, last


def test_a_client_cannot_forge_a_line_by_its_path(stand: Stand) -> None:
    answer = stand.get("/boom%0Aforged%20line")
    lines = trace_of(stand, answer.headers["x-request-id"], "KeyError")
    assert lines[0].startswith("GET /boom\\nforged line failed, request id ")
