"""ASGI apps over HTTP: through the edge and an event loop."""

import threading
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.stand import Stand, read_to_end, start

APP = """
import asyncio, json, os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = (await receive())["type"]
            if event == "lifespan.startup":
                scope["state"]["greeting"] = "hello"
                print("has started", flush=True)
            await send({"type": event + ".complete"})
            if event == "lifespan.shutdown":
                print("has shut down", flush=True)
                return
    path = scope["path"]
    headers = [(b"content-type", b"text/plain")]
    body, more = b"", True
    if path == "/pieces":
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for n in range(3):
            await send({"type": "http.response.body", "body": b"%d\\n" % n, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    if path == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"0123456789" * 500_000})
        return
    if path == "/wait-for-the-end":
        await receive()
        event = await receive()
        print("told", event["type"], flush=True)
        return
    if path == "/boom":
        raise LookupError("no such thing")
    if path == "/together":
        app.waiting = getattr(app, "waiting", 0) + 1
        while app.waiting < 10:
            await asyncio.sleep(0.001)  # slow on purpose: until all ten are here
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    answer = {
        "method": scope["method"],
        "path": path,
        "length": len(body),
        "state": scope["state"],
        "type": scope["type"],
    }
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
"""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(APP)
    running = start("--workers", "1", cwd=folder)
    yield running
    assert running.stop() == 0, running.describe()


def test_an_async_app_is_found_by_its_callable(stand: Stand) -> None:
    answer = stand.get("/x").json()
    assert answer["method"] == "GET"
    assert answer["path"] == "/x"
    assert "(ASGI)" in stand.err.text()


def test_the_lifespan_state_reaches_each_request(stand: Stand) -> None:
    assert stand.get("/").json()["state"] == {"greeting": "hello"}


@pytest.mark.parametrize("length", [0, 1, 65_536, 65_537, 1_000_000])
def test_content_of_any_size_arrives(stand: Stand, length: int) -> None:
    answer = stand.request("POST", "/upload", body=b"x" * length)
    assert answer.json()["length"] == length


def test_chunked_content_arrives(stand: Stand) -> None:
    answer = stand.request("POST", "/upload", body=iter([b"x" * 1000] * 200))
    assert answer.json()["length"] == 200_000


def test_pieces_are_streamed_in_chunks(stand: Stand) -> None:
    answer = stand.get("/pieces")
    assert answer.body == b"0\n1\n2\n"
    assert answer.headers["transfer-encoding"] == "chunked"


def test_a_large_body_is_whole(stand: Stand) -> None:
    assert stand.get("/large").body == b"0123456789" * 500_000


def test_ten_requests_run_at_once(stand: Stand) -> None:
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(stand.get("/together").status))
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 10


def test_a_client_that_leaves_is_a_disconnect_event(stand: Stand) -> None:
    with stand.socket() as client:
        client.sendall(b"GET /wait-for-the-end HTTP/1.1\r\nHost: a\r\n\r\n")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
    stand.wait_for_text("told http.disconnect")


def test_an_exception_is_a_500_with_its_name_in_the_log(stand: Stand) -> None:
    assert stand.get("/boom").status == 500
    line = stand.wait_for_request(lambda line: line["path"] == "/boom")
    assert "LookupError: no such thing" in line["error"]
    assert "app.py" in line["error"]


def test_a_head_request_gets_no_content(stand: Stand) -> None:
    data = stand.raw(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert data.startswith(b"HTTP/1.1 200")
    assert data.endswith(b"\r\n\r\n")


def test_pipelined_requests_are_answered_in_order(stand: Stand) -> None:
    with stand.socket() as client:
        client.sendall(
            b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET /two HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        data = read_to_end(client)
    assert data.index(b'"/one"') < data.index(b'"/two"')


def test_startup_and_shutdown_are_told(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1")
    stand.wait_for_text("has started")
    assert stand.stop() == 0
    assert "has shut down" in stand.describe()


def test_a_lifespan_that_fails_ends_the_start_with_its_reason(serve: Serve) -> None:
    source = """
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "the database is away"})
    """
    stand = serve(source, ready=False)
    assert stand.wait() == 3
    assert "its lifespan failed" in stand.err.text()
    assert "the database is away" in stand.err.text()


def test_an_app_without_lifespan_is_served(serve: Serve) -> None:
    source = """
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine"})
    """
    assert serve(source).get("/").body == b"fine"
