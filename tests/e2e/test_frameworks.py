"""Frameworks as they are: what they use of a server works."""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.apps import APPS, serving
from tests.e2e.apps.forms import CONTENT_TYPE, form
from tests.e2e.apps.gates import Gates
from tests.e2e.stand import Stand, read_to_end

LARGE = random.Random(1).randbytes(6_000_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frameworks")
    (folder / "large.bin").write_bytes(LARGE)
    return folder


@pytest.fixture(scope="module")
def flask(folder: Path) -> Iterator[Stand]:
    with serving("framework:app", "--workers", "2", env={"FOLDER": str(folder)}) as stand:
        yield stand


@pytest.fixture(scope="module")
def django(folder: Path) -> Iterator[Stand]:
    """Found by its `manage.py`, after its migrations."""
    site = APPS / "django_site"
    environment = os.environ | {"FOLDER": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=site, env=environment, check=True)
    with serving("--workers", "2", cwd=site, env={"FOLDER": str(folder)}) as stand:
        yield stand


# Flask ---------------------------------------------------------------------------------


def test_flask_sends_a_large_file_whole(flask: Stand) -> None:
    answer = flask.get("/file")
    assert answer.headers["content-length"] == str(len(LARGE))
    assert answer.body == LARGE


def test_flask_answers_a_range(flask: Stand) -> None:
    answer = flask.get("/file?conditional", {"Range": "bytes=1000000-1999999"})
    assert answer.status == 206
    assert answer.headers["content-range"] == "bytes 1000000-1999999/6000000"
    assert answer.body == LARGE[1_000_000:2_000_000]


def test_flask_validates_a_file_that_the_client_has(flask: Stand) -> None:
    tag = flask.get("/file?conditional").headers["etag"]
    answer = flask.get("/file?conditional", {"If-None-Match": tag})
    assert (answer.status, answer.body) == (304, b"")


def test_flask_answers_head_and_options(flask: Stand) -> None:
    answer = flask.request("HEAD", "/file")
    assert (answer.status, answer.headers["content-length"]) == (200, str(len(LARGE)))
    answer = flask.request("HEAD", "/")
    assert (answer.status, answer.body) == (200, b"")
    assert set(flask.request("OPTIONS", "/").headers["allow"].split(", ")) == {
        "GET",
        "HEAD",
        "OPTIONS",
    }


def test_flask_streams_with_the_request_at_hand(flask: Stand) -> None:
    answer = flask.get("/stream?name=line")
    assert answer.text == "line 0\nline 1\nline 2\n"
    assert answer.headers["transfer-encoding"] == "chunked"


def test_an_event_leaves_before_the_next_is_made(flask: Stand, folder: Path) -> None:
    with flask.socket() as connected:
        connected.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = b""
        while b"data: first\n\n" not in received:
            received += connected.recv(1000)
        Gates(folder).open("live")
        assert b"data: second\n\n" in read_to_end(connected)


def test_flask_runs_async_views(flask: Stand) -> None:
    assert flask.get("/later").text == "from an async view"


def test_flask_keeps_a_session_across_processes(flask: Stand) -> None:
    cookie = ""
    for expected in range(1, 8):
        answer = flask.get("/count", {"Cookie": cookie})
        assert answer.json() == {"count": expected}
        cookie = answer.headers["set-cookie"].split(";")[0]


@pytest.mark.parametrize("content", [b"", b"small\n", LARGE], ids=["empty", "small", "large"])
def test_flask_receives_an_upload_intact(flask: Stand, content: bytes) -> None:
    body = form({"note": "naïve €"}, "a file.bin", content)
    answer = flask.request("POST", "/upload", body, {"Content-Type": CONTENT_TYPE})
    assert answer.json() == {
        "name": "a file.bin",
        "note": "naïve €",
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_flask_reads_json_in_chunks_without_a_length(flask: Stand) -> None:
    sent = {"text": "naïve €", "numbers": list(range(30_000))}
    data = json.dumps(sent).encode()
    parts = (data[at : at + 10_000] for at in range(0, len(data), 10_000))
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    assert flask.request("POST", "/json", parts, headers).json() == sent


def test_flask_makes_links_to_the_host_that_was_asked(flask: Stand) -> None:
    assert flask.get("/url", {"Host": "shop.example:8443"}).text == "http://shop.example:8443/"


def test_flask_decodes_a_path_in_utf8(flask: Stand) -> None:
    assert flask.get("/unicode/caf%C3%A9%20%E2%82%AC").text == "café €"


def test_flask_answers_an_unknown_path_and_a_wrong_method(flask: Stand) -> None:
    assert flask.get("/nowhere").status == 404
    assert flask.request("DELETE", "/").status == 405


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("framework:create_app()", "made by a factory"),
        ("framework:create_app('with a word')", "with a word"),
        ("framework:app", "made at import"),
    ],
)
def test_an_app_is_made_by_its_factory(name: str, text: str) -> None:
    with serving(name, "--workers", "1") as stand:
        assert stand.get("/").text == text


def test_a_factory_may_be_told_apart_by_a_flag() -> None:
    with serving("framework:create_app", "--factory", "--workers", "1") as stand:
        assert stand.get("/").text == "made by a factory"


# Django --------------------------------------------------------------------------------


def test_django_is_found_and_answers(django: Stand) -> None:
    assert django.get("/?a=%20b").text == "GET /?a=%20b"
    assert django.request("HEAD", "/").status == 200


def test_django_keeps_a_session_in_its_database(django: Stand) -> None:
    cookie = ""
    for expected in range(1, 6):
        answer = django.get("/count", {"Cookie": cookie})
        assert answer.json() == {"count": expected}
        cookie = answer.headers.get("set-cookie", cookie).split(";")[0]


def test_django_sends_a_large_file_whole(django: Stand) -> None:
    answer = django.get("/file")
    assert answer.headers["content-length"] == str(len(LARGE))
    assert answer.body == LARGE


def test_django_streams(django: Stand) -> None:
    assert django.get("/stream").text == "0\n1\n2\n"


def test_django_receives_an_upload_intact(django: Stand) -> None:
    body = form({"note": "naïve €"}, "a.bin", LARGE)
    answer = django.request("POST", "/upload", body, {"Content-Type": CONTENT_TYPE})
    assert answer.json() == {"name": "a.bin", "size": len(LARGE), "note": "naïve €"}


def test_django_answers_for_its_own_errors(django: Stand) -> None:
    assert django.get("/boom").status == 500
    assert django.get("/nowhere").status == 404
    assert django.get("/", {"Host": "evil.example"}).status == 400
    assert django.get("/").status == 200


# Plain callables -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain:partial", "a partial /x"),
        ("plain:instance", "an instance /x"),
        ("plain:method", "a method /x"),
        ("plain:Iterated", "a class /x"),
        ("plain:lambda_", "a lambda /x"),
    ],
)
def test_any_callable_of_two_arguments_is_an_app(name: str, text: str) -> None:
    with serving(name, "--workers", "1") as stand:
        assert stand.get("/x").text == text
