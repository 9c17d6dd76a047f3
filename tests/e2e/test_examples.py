"""`examples/hello`, page by page."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.apps import ROOT, serving
from tests.e2e.apps.forms import CONTENT_TYPE, form
from tests.e2e.stand import Stand, read_to_end

HELLO = ROOT / "examples" / "hello"


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with serving("--workers", "1", cwd=HELLO) as stand:
        yield stand


def test_the_first_view_of_everybody(stand: Stand) -> None:
    answer = stand.get("/")
    assert (answer.status, answer.text) == (200, "Hello, Word")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-length"] == "11"


def test_its_own_server_at_the_end_does_no_harm(stand: Stand) -> None:
    source = (HELLO / "app.py").read_text()
    assert "app.run(host='0.0.0.0', port='8000')" in source
    assert "Running on" not in stand.describe()
    assert "Serving Flask app" not in stand.describe()


@pytest.mark.parametrize("path", ["/tour", "/form", "/upload", "/live"])
def test_every_page_is_there(stand: Stand, path: str) -> None:
    answer = stand.get(path)
    assert answer.status == 200
    assert "</html>" in answer.text
    head = stand.request("HEAD", path)
    assert (head.status, head.headers["content-length"]) == (200, str(len(answer.body)))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("hello.css", "text/css; charset=utf-8"),
        ("live.js", "text/javascript; charset=utf-8"),
        ("trivet.svg", "image/svg+xml; charset=utf-8"),
    ],
)
def test_static_files_are_sent_as_they_are(stand: Stand, name: str, kind: str) -> None:
    answer = stand.get(f"/static/{name}")
    assert answer.body == (HELLO / "static" / name).read_bytes()
    assert answer.headers["content-type"] == kind
    again = stand.get(f"/static/{name}", {"If-None-Match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_a_form_comes_back_escaped(stand: Stand) -> None:
    answer = stand.request(
        "POST",
        "/form",
        b"name=Zo%C3%AB&message=%3Cb%3Ebold%3C%2Fb%3E",
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert "Zoë" in answer.text
    assert "&lt;b&gt;bold&lt;/b&gt;" in answer.text


@pytest.mark.parametrize("size", [0, 10, 70_000, 3_000_000])
def test_an_upload_arrives_whole(stand: Stand, size: int) -> None:
    content = b"0123456789" * (size // 10)
    body = form({}, "numbers.txt", content)
    answer = stand.request("POST", "/upload", body, {"Content-Type": CONTENT_TYPE})
    assert answer.status == 200
    assert "numbers.txt" in answer.text
    assert f"{size} bytes" in answer.text
    assert hashlib.sha256(content).hexdigest() in answer.text


def test_the_slow_view_answers(stand: Stand) -> None:
    assert "That took two seconds" in stand.get("/slow").text


def test_lines_of_the_stream_leave_as_they_are_yielded(stand: Stand) -> None:
    with stand.socket() as connected:
        connected.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = b""
        while b"line 1 of 8" not in received:
            received += connected.recv(1000)
        assert b"line 8 of 8" not in received
        received += read_to_end(connected)
    assert [b"line %d of 8" % number in received for number in range(1, 9)] == [True] * 8


def test_a_bug_gives_a_page_and_its_traceback_in_the_log(stand: Stand) -> None:
    answer = stand.get("/boom")
    assert answer.status == 500
    stand.wait_for_text("ZeroDivisionError: division by zero")
    stand.wait_for_text("return 1 / 0")


def test_its_folder_has_nothing_that_a_first_app_would_not_have() -> None:
    names = {path.name for path in Path(HELLO).iterdir()} - {"__pycache__"}
    assert names == {"README.md", "app.py", "requirements.txt", "static", "templates"}
