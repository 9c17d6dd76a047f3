"""Apps that break PEP 3333 or the ASGI specification: who is told what, and what lives on."""

import http.client
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from tests.e2e.apps import APPS, serving
from tests.e2e.stand import Stand, read_answer, read_to_end
from tests.waiting import wait_until


class Case(NamedTuple):
    """A path of the app, and what the log says about it."""

    name: str
    error: str
    blamed: str = ""
    """The mark of the line to be blamed, if not its own."""


WSGI_BEFORE_THE_HEAD = [
    Case("bad-status", 'ValueError: start_response: status must look like "200 OK", not "OK"'),
    Case(
        "status-out-of-range",
        "ValueError: start_response: status 799 is not from 200 to 599 (RFC 9110 section 15)",
    ),
    Case(
        "header-of-bytes",
        "TypeError: start_response: each header must be a tuple of two str, not (b'X-A', '1')",
    ),
    Case("header-with-cr", "ValueError: start_response: header X-A has a control character"),
    Case("header-with-lf", "ValueError: start_response: header X-A has a control character"),
    Case("header-with-nul", "ValueError: start_response: header X-A has a control character"),
    Case(
        "twice",
        "AssertionError: start_response was called a second time without exc_info (PEP 3333)",
    ),
    Case("written-text", "TypeError: the app's iterable must yield bytes, not str (PEP 3333)"),
    Case(
        "written-beyond",
        "RuntimeError: the app promised 2 bytes by Content-Length and sent more (PEP 3333)",
    ),
    Case("yields-text", "TypeError: the app's iterable must yield bytes, not str (PEP 3333)"),
    Case(
        "without-a-start",
        "AssertionError: the app sent content before it called start_response (PEP 3333)",
    ),
    Case("asynchronous", "TypeError: the app is asynchronous, which needs `interface = "),
    Case(
        "nothing",
        "TypeError: the app must return an iterable of bytes, not NoneType (PEP 3333)",
        "app",
    ),
    Case("text", "TypeError: the app must return an iterable of bytes, not str (PEP 3333)", "app"),
    Case(
        "text-in-a-list",
        "TypeError: the app's iterable must yield bytes, not str (PEP 3333)",
        "app",
    ),
    Case(
        "too-short",
        "RuntimeError: the app promised 10 bytes by Content-Length and sent 4 (PEP 3333)",
        "app",
    ),
    Case(
        "too-long",
        "RuntimeError: the app promised 2 bytes by Content-Length and sent more (PEP 3333)",
        "app",
    ),
    Case(
        "never-started",
        "AssertionError: the app sent content before it called start_response (PEP 3333)",
        "app",
    ),
]
WSGI_AFTER_THE_HEAD = [
    Case("yields-number-later", "TypeError: the app's iterable must yield bytes, not int (PEP"),
    Case(
        "too-long-later",
        "RuntimeError: the app promised 7 bytes by Content-Length and sent more (PEP 3333)",
    ),
]

HEADER = "http.response.start: each header must be a pair of byte strings, not"
CONTROL = "http.response.start: header x-a has a control character in its value"
LENGTH = "the app promised {} bytes by content-length and sent {} (ASGI, HTTP)"

ASGI_BEFORE_THE_HEAD = [
    Case("status-of-text", "TypeError: http.response.start: `status` must be an int, not str"),
    Case("status-of-bool", "TypeError: http.response.start: `status` must be an int, not bool"),
    Case("status-interim", "ValueError: http.response.start: status 100 is not from 200 to 599"),
    Case("status-missing", "ValueError: http.response.start: `status` is missing (ASGI, HTTP)"),
    Case("headers-of-none", "TypeError: http.response.start: `headers` must be an iterable, not"),
    Case("header-of-text", f"TypeError: {HEADER} ('x-a', '1') (ASGI, HTTP)"),
    Case("header-of-three", f"TypeError: {HEADER} (b'x-a', b'1', b'2') (ASGI, HTTP)"),
    Case("header-of-number", f"TypeError: {HEADER} 7 (ASGI, HTTP)"),
    Case("header-with-cr", f'ValueError: {CONTROL} "1\\rx-b: 2" (RFC 9110 section 5.5)'),
    Case("header-with-lf", f'ValueError: {CONTROL} "1\\nx-b: 2" (RFC 9110 section 5.5)'),
    Case("header-with-nul", f'ValueError: {CONTROL} "1\\0" (RFC 9110 section 5.5)'),
    Case("header-without-name", 'ValueError: http.response.start: "" is not a header name (RFC'),
    Case("headers-too-large", "ValueError: http.response.start: headers are larger than 262144"),
    Case("length-of-text", 'ValueError: http.response.start: content-length "many" is not a num'),
    Case("length-huge", 'ValueError: http.response.start: content-length "99999999999999'),
    Case("lengths-that-differ", "ValueError: http.response.start: two different content-length"),
    Case(
        "body-of-text",
        "TypeError: http.response.body: `body` must be a byte string, not str (ASGI, HTTP)",
    ),
    Case(
        "body-first",
        "RuntimeError: the app sent `http.response.body`, but `http.response.start` must come "
        "first (ASGI, HTTP)",
    ),
    Case(
        "start-twice",
        "RuntimeError: the app sent `http.response.start`, but the response has been started",
    ),
    Case("of-no-dict", "TypeError: the app sent str, but a message is a dict (ASGI, Events)"),
    Case("of-none", "TypeError: the app sent NoneType, but a message is a dict (ASGI, Events)"),
    Case("without-type", "ValueError: the app sent a message without `type` (ASGI, Events)"),
    Case(
        "of-unknown-type",
        "RuntimeError: the app sent `http.response.stat`, but `http.response.start` must come",
    ),
    Case(
        "of-a-websocket",
        "RuntimeError: the app sent `websocket.accept`, but it is no message of an HTTP response",
    ),
    Case("too-short", f"RuntimeError: {LENGTH.format(10, 5)}"),
    Case("too-long", f"RuntimeError: {LENGTH.format(2, 'more')}"),
    Case("file-of-other-length", f"RuntimeError: {LENGTH.format(7, 'more')}"),
    Case("file-without-path", "ValueError: http.response.pathsend: `path` is missing (ASGI, HTTP)"),
    Case("file-that-is-a-folder", "ValueError: http.response.pathsend: `"),
    Case("file-that-is-missing", "FileNotFoundError: [Errno 2] No such file or directory: '/none'"),
    Case("silent", "RuntimeError: the app returned without a response (ASGI, HTTP)", "app"),
    Case(
        "only-started",
        "RuntimeError: the app returned before its response was complete (ASGI, HTTP)",
        "app",
    ),
]
ASGI_AFTER_THE_HEAD = [
    Case("body-of-text-later", "TypeError: http.response.body: `body` must be a byte string, not"),
    Case("start-later", "RuntimeError: the app sent `http.response.start`, but the response has"),
    Case("too-short-later", f"RuntimeError: {LENGTH.format(20, 10)}"),
    Case("too-long-later", f"RuntimeError: {LENGTH.format(7, 'more')}"),
    Case(
        "unfinished",
        "RuntimeError: the app returned before its response was complete (ASGI, HTTP)",
        "app",
    ),
]
ASGI_AFTER_THE_END = [
    Case("body-after-the-end", "RuntimeError: the app sent `http.response.body`, but the response"),
    Case("start-after-the-end", "RuntimeError: the app sent `http.response.start`, but the respon"),
    Case("raises-after-the-end", "LookupError: in a background task"),
]


def line_to_blame(module: str, mark: str) -> str:
    """Return `file.py:12` for the line that has the mark."""
    lines = (APPS / f"{module}.py").read_text().splitlines()
    [number] = [
        at for at, line in enumerate(lines, start=1) if re.search(rf"# blame: {mark}$", line)
    ]
    return f"{module}.py:{number}"


def told(stand: Stand, path: str) -> dict[str, Any]:
    return stand.wait_for_request(lambda line: line["path"] == path)


def exception_of(stand: Stand, path: str) -> str:
    """Wait for the event with the traceback of the request."""

    def found() -> str | None:
        events = (line for line in stand.log() if line["event"].startswith(f"GET {path} "))
        return next((line["exception"] for line in events if "exception" in line), None)

    return wait_until(found, stand.describe)


@pytest.fixture(scope="module")
def wsgi() -> Iterator[Stand]:
    with serving("bad_wsgi:app", "--workers", "1", "--threads", "2") as stand:
        yield from alive(stand)


@pytest.fixture(scope="module")
def asgi() -> Iterator[Stand]:
    with serving("bad_asgi:app", "--workers", "1") as stand:
        yield from alive(stand)


def alive(stand: Stand) -> Iterator[Stand]:
    """Hold that one worker lives through all of the cases."""
    workers = stand.children("worker")
    yield stand
    assert stand.get("/ok").text == "ok"
    assert stand.children("worker") == workers


def is_refused_by_name(stand: Stand, module: str, case: Case) -> None:
    path = f"/{case.name}"
    with closing(stand.connect()) as connection:
        connection.request("GET", path)
        answer = read_answer(connection.getresponse())
        # Nothing is in doubt about where the answer ended: the connection serves the next one.
        connection.request("GET", "/ok")
        assert connection.getresponse().read() == b"ok"
    assert answer.status == 500
    assert answer.headers["x-request-id"] in answer.text
    has_the_line(stand, module, case)


def is_cut(stand: Stand, module: str, case: Case) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        stand.get(f"/{case.name}")
    assert cut.value.partial == b"begun"
    has_the_line(stand, module, case)


def has_the_line(stand: Stand, module: str, case: Case) -> None:
    """Hold that access log and traceback name the rule, and the line of the app."""
    error, place = case.error, line_to_blame(module, case.blamed or case.name)
    line = told(stand, f"/{case.name}")
    assert line["error"].startswith(error)
    assert f" at {place} in " in line["error"]
    *frames, last = exception_of(stand, f"/{case.name}").splitlines()
    assert last.startswith(error)
    name, _, number = place.partition(":")
    assert any(f'{name}", line {number}, in ' in frame for frame in frames)


@pytest.mark.parametrize("case", WSGI_BEFORE_THE_HEAD, ids=lambda case: case.name)
def test_a_broken_rule_of_wsgi_is_named_with_the_apps_line(wsgi: Stand, case: Case) -> None:
    is_refused_by_name(wsgi, "bad_wsgi", case)


@pytest.mark.parametrize("case", WSGI_AFTER_THE_HEAD, ids=lambda case: case.name)
def test_a_rule_of_wsgi_broken_after_the_head_cuts_the_answer(wsgi: Stand, case: Case) -> None:
    is_cut(wsgi, "bad_wsgi", case)


@pytest.mark.parametrize("case", ASGI_BEFORE_THE_HEAD, ids=lambda case: case.name)
def test_a_broken_rule_of_asgi_is_named_with_the_apps_line(asgi: Stand, case: Case) -> None:
    is_refused_by_name(asgi, "bad_asgi", case)


@pytest.mark.parametrize("case", ASGI_AFTER_THE_HEAD, ids=lambda case: case.name)
def test_a_rule_of_asgi_broken_after_the_head_cuts_the_answer(asgi: Stand, case: Case) -> None:
    is_cut(asgi, "bad_asgi", case)


@pytest.mark.parametrize("case", ASGI_AFTER_THE_END, ids=lambda case: case.name)
def test_a_whole_answer_stays_whole_and_the_log_tells_what_came_after(
    asgi: Stand, case: Case
) -> None:
    assert asgi.get(f"/{case.name}").text == "whole"
    error = exception_of(asgi, f"/{case.name}").splitlines()[-1]
    assert error.startswith(case.error)
    asgi.wait_for_text(f"GET /{case.name} failed after its response, request id ")


def test_who_writes_to_an_answer_of_before_is_told(wsgi: Stand) -> None:
    assert wsgi.get("/keeps-write").text == "whole"
    case = Case(
        "writes-after-the-end",
        "RuntimeError: the app sent content after its response was complete (PEP 3333)",
    )
    is_refused_by_name(wsgi, "bad_wsgi", case)


@pytest.mark.parametrize(("interface", "left"), [("wsgi", {"connection"}), ("asgi", set())])
def test_fields_of_the_connection_are_left_out(
    interface: str, left: set[str], request: Any
) -> None:
    """All but the app's wish to close, which is its right (RFC 9110 section 7.6.1)."""
    stand: Stand = request.getfixturevalue(interface)
    answer = stand.get("/sets-fields-of-the-connection")
    assert (answer.status, answer.text, answer.headers["x-a"]) == (200, "whole", "kept")
    ours = {"connection", "keep-alive", "te", "transfer-encoding", "upgrade"}
    assert ours & answer.headers.keys() == left
    assert answer.headers.get("connection", "close") == "close"


def test_whatever_holds_bytes_is_content(asgi: Stand) -> None:
    assert asgi.get("/other-kinds-of-bytes").text == "one two"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_content_that_may_not_be_is_left_out(asgi: Stand, method: str) -> None:
    with closing(asgi.connect()) as connection:
        for path, status in (("/content-where-none-may-be", 304), ("/ok", 200)):
            connection.request(method, path)
            response = connection.getresponse()
            expected = b"ok" if (method, path) == ("GET", "/ok") else b""
            assert (response.status, response.read()) == (status, expected)
    line = told(asgi, "/content-where-none-may-be")
    assert "error" not in line


def test_an_endless_answer_to_head_ends(asgi: Stand) -> None:
    answer = asgi.raw(b"HEAD /endless HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    asgi.wait_for_text("endless has ended")
    assert asgi.get("/silent").status == 500  # by then what came before it is in the log
    exception_of(asgi, "/silent")
    assert "HEAD /endless" not in asgi.describe()


def test_an_answer_that_is_cut_has_no_last_chunk(asgi: Stand) -> None:
    with asgi.socket() as client:
        client.sendall(b"GET /unfinished HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_to_end(client).endswith(b"begun\r\n")


@pytest.mark.parametrize(
    ("interface", "name", "rule"),
    [
        ("wsgi", "of_asgi", 'TypeError: the app is asynchronous, which needs `interface = "asgi"'),
        ("asgi", "of_wsgi", "TypeError: the app returned list, which cannot be awaited (ASGI, App"),
    ],
)
def test_an_app_of_the_other_interface_is_told_so(interface: str, name: str, rule: str) -> None:
    with serving(f"mistaken:{name}", "--interface", interface, "--workers", "1") as stand:
        workers = stand.children("worker")
        for _ in range(2):
            assert stand.get("/").status == 500
        error = told(stand, "/")["error"]
        assert error.startswith(rule)
        assert line_to_blame("mistaken", name.replace("_", "-")) in error
        assert stand.children("worker") == workers
        assert "was never awaited" not in stand.describe()
