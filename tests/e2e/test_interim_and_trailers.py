"""What comes before and behind a response: early hints (RFC 8297) and trailer fields."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.stand import Stand, start

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            await send({"type": event + ".complete"})
            if event == "lifespan.shutdown":
                return
    start = {"type": "http.response.start", "status": 200, "headers": []}
    body = {"type": "http.response.body", "body": b"content"}
    path = scope["path"]
    if path == "/extensions":
        await send(start)
        await send(body | {"body": " ".join(sorted(scope["extensions"])).encode()})
    if path == "/hints":
        for link in (b"</a.css>; rel=preload", b"</b.js>; rel=preload"):
            await send({"type": "http.response.early_hint", "links": [link]})
        await send(start)
        await send(body)
    if path == "/late-hints":
        await send(start)
        await send({"type": "http.response.early_hint", "links": [b"</a>"]})
    if path == "/bad-hints":
        await send({"type": "http.response.early_hint", "links": [b"</a>\\r\\nSet-Cookie: x"]})
    if path == "/trailers":
        await send(start | {"trailers": True})
        await send(body | {"more_body": True})
        await send(body)
        first = [(b"server-timing", b"app;dur=7")]
        await send({"type": "http.response.trailers", "headers": first, "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"content-length", b"1")]})
    if path == "/no-trailers":
        await send(start | {"trailers": True})
        await send(body)
    if path == "/unannounced":
        await send(start)
        await send(body | {"more_body": True})
        await send({"type": "http.response.trailers", "headers": []})
"""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(ASGI)
    running = start("--workers", "1", cwd=folder)
    yield running
    assert running.stop() == 0, running.describe()


def ask(stand: Stand, path: str, *fields: str, version: str = "1.1") -> bytes:
    lines = "".join(f"{field}\r\n" for field in ("Host: a", "Connection: close", *fields))
    return stand.raw(f"GET {path} HTTP/{version}\r\n{lines}\r\n".encode())


def test_what_is_supported_is_said(stand: Stand) -> None:
    said = stand.get("/extensions").text.split()
    assert {"http.response.early_hint", "http.response.trailers"} <= set(said)


def test_early_hints_come_before_the_answer(stand: Stand) -> None:
    answer = ask(stand, "/hints")
    first, second, final = answer.split(b"\r\n\r\n", 2)
    assert first == b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload"
    assert second == b"HTTP/1.1 103 Early Hints\r\nlink: </b.js>; rel=preload"
    assert final.startswith(b"HTTP/1.1 200 OK\r\n")
    assert final.endswith(b"\r\n\r\ncontent")


def test_an_http10_client_gets_no_early_hints(stand: Stand) -> None:
    assert ask(stand, "/hints", version="1.0").startswith(b"HTTP/1.1 200 OK\r\n")


def test_early_hints_behind_the_head_are_an_error(stand: Stand) -> None:
    assert stand.get("/late-hints").status == 500
    stand.wait_for_text("the app sent `http.response.early_hint`")


def test_early_hints_cannot_split_the_answer(stand: Stand) -> None:
    assert ask(stand, "/bad-hints").startswith(b"HTTP/1.1 500 ")
    stand.wait_for_text("http.response.early_hint: header link has a control character")


def test_trailers_go_to_clients_that_take_them(stand: Stand) -> None:
    answer = ask(stand, "/trailers", "TE: trailers")
    assert answer.endswith(b"7\r\ncontent\r\n0\r\nserver-timing: app;dur=7\r\n\r\n")


def test_trailers_are_left_out_for_others(stand: Stand) -> None:
    assert ask(stand, "/trailers").endswith(b"7\r\ncontent\r\n0\r\n\r\n")
    assert ask(stand, "/trailers", version="1.0").endswith(b"\r\n\r\ncontentcontent")


def test_announced_trailers_that_never_come_cut_the_answer(stand: Stand) -> None:
    assert not ask(stand, "/no-trailers").endswith(b"0\r\n\r\n")
    stand.wait_for_text("the app returned before its response was complete")


def test_unannounced_trailers_are_an_error(stand: Stand) -> None:
    ask(stand, "/unannounced")
    stand.wait_for_text("the app sent `http.response.trailers`")


WSGI = """
def app(environ, start_response):
    headers = [("Link", "</a.css>; rel=preload")]
    if environ["PATH_INFO"] == "/bad":
        headers = [("Link", "a\\r\\nSet-Cookie: x")]
    environ["wsgi.early_hints"](headers)
    start_response("200 OK", [("Content-Length", "7")])
    return [b"content"]
"""


def test_a_wsgi_app_sends_early_hints_as_with_gunicorn(serve: Serve) -> None:
    stand = serve(WSGI, "--workers", "1")
    first, final = ask(stand, "/").split(b"\r\n\r\n", 1)
    assert first == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload"
    assert final.startswith(b"HTTP/1.1 200 OK\r\n")
    assert final.endswith(b"\r\n\r\ncontent")
    assert ask(stand, "/", version="1.0").startswith(b"HTTP/1.1 200 OK\r\n")
    assert ask(stand, "/bad").startswith(b"HTTP/1.1 500 ")
