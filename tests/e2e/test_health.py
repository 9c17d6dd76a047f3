"""Health probes: answered by the edge, whatever the workers do."""

import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.http1 import connect, make_fifo, release, request, wait_for_file
from tests.e2e.stand import Answer, Stand
from tests.waiting import wait_until

CONFIG = """
[health]
live = "/livez"
ready = "/readyz"
drain_delay = "{delay}"
log = {log}
"""

WSGI = """
import pathlib

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path in ("/blocked", "/computing"):
        pathlib.Path("here").touch()
    if path == "/blocked":
        open("fifo-0").read()
    while path == "/computing" and not pathlib.Path("enough").exists():
        sum(range(1000))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"app {path}".encode()]
"""

ASGI = """
import pathlib

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/blocked":
        pathlib.Path("here").touch()
        open("fifo-0").read()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"app " + scope["path"].encode()})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    make_fifo(folder)
    configure(folder)
    return folder


def configure(folder: Path, *, delay: str = "0s", log: str = "false", more: str = "") -> None:
    (folder / "trivet.toml").write_text(CONFIG.format(delay=delay, log=log) + more)


def statuses(stand: Stand) -> tuple[int, int]:
    return stand.get("/livez").status, stand.get("/readyz").status


def reason(answer: Answer) -> str:
    assert answer.status == 503
    assert answer.json()["status"] == "unready"
    return str(answer.json()["reason"])


def test_probes_are_the_apps_own_paths_until_they_are_configured(serve: Serve) -> None:
    stand = serve(WSGI, "--workers", "1")
    assert stand.get("/livez").text == "app /livez"
    assert stand.get("/readyz").text == "app /readyz"


def test_a_stand_that_serves_is_live_and_ready(serve: Serve, folder: Path) -> None:
    stand = serve(WSGI, "--workers", "1")
    for path in ("/livez", "/readyz"):
        answer = stand.get(path)
        assert (answer.status, answer.json()) == (200, {"status": "ok"})
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"
        head = stand.request("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == answer.headers["content-length"]
    assert stand.get("/livez/").text == "app /livez/"
    assert folder.exists()


def test_only_get_and_head_are_probes(serve: Serve, folder: Path) -> None:
    stand = serve(WSGI, "--workers", "1")
    answer = stand.request("POST", "/livez", b"x")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert folder.exists()


# The content was once no part of the request for a probe, and would be read as the next one.
def test_the_content_of_a_probe_is_never_read_as_a_request(serve: Serve, folder: Path) -> None:
    stand = serve(WSGI, "--workers", "1")
    hidden = request("GET", "/hidden")
    received = stand.raw(request("GET", "/livez", body=hidden))
    assert received.count(b"HTTP/1.1 ") == 1
    assert folder.exists()


def test_probes_of_one_connection_follow_each_other(serve: Serve, folder: Path) -> None:
    stand = serve(WSGI, "--workers", "1")
    with connect(stand) as client:
        client.send(request("GET", "/livez"), request("GET", "/x"), request("GET", "/readyz"))
        bodies = [client.answer().body for _ in range(3)]
    assert bodies == [b'{"status":"ok"}\n', b"app /x", b'{"status":"ok"}\n']
    assert folder.exists()


@pytest.mark.parametrize("log", ["false", "true"])
def test_probes_are_logged_if_asked_for(serve: Serve, folder: Path, log: str) -> None:
    configure(folder, log=log)
    stand = serve(WSGI, "--workers", "1")
    assert statuses(stand) == (200, 200)
    stand.get("/last")
    stand.wait_for_request(lambda line: line["path"] == "/last")
    paths = [line["path"] for line in stand.requests()]
    assert paths == (["/livez", "/readyz", "/last"] if log == "true" else ["/last"])


def test_probes_are_answered_while_the_only_thread_is_blocked(serve: Serve, folder: Path) -> None:
    stand = serve(WSGI, "--workers", "1", "--threads", "1")
    with connect(stand) as client:
        client.send(request("GET", "/blocked"))
        wait_for_file(folder / "here")
        assert [statuses(stand) for _ in range(5)] == [(200, 200)] * 5
        release(folder / "fifo-0")
        assert client.answer().body == b"app /blocked"


def test_probes_are_answered_while_the_app_computes(serve: Serve, folder: Path) -> None:
    stand = serve(WSGI, "--workers", "1", "--threads", "1")
    with connect(stand) as client:
        client.send(request("GET", "/computing"))
        wait_for_file(folder / "here")
        assert [statuses(stand) for _ in range(5)] == [(200, 200)] * 5
        (folder / "enough").touch()
        assert client.answer().body == b"app /computing"


def test_probes_are_answered_while_the_event_loop_is_blocked(serve: Serve, folder: Path) -> None:
    stand = serve(ASGI, "--workers", "1")
    with connect(stand) as client:
        client.send(request("GET", "/blocked"))
        wait_for_file(folder / "here")
        assert [statuses(stand) for _ in range(5)] == [(200, 200)] * 5
        release(folder / "fifo-0")
        assert client.answer().body == b"app /blocked"


def test_before_the_first_worker_the_stand_is_live_and_not_ready(
    serve: Serve, folder: Path
) -> None:
    source = "open('here', 'w').close()\nopen('fifo-0').read()\n" + WSGI
    stand = serve(source, "app:app", "--workers", "1", ready=False)
    wait_for_file(folder / "here")
    assert stand.get("/livez").status == 200
    assert reason(stand.get("/readyz")) == "no worker of the app at / takes requests"
    release(folder / "fifo-0")
    wait_until(lambda: stand.get("/readyz").status == 200, stand.describe)


def test_an_app_that_has_lost_its_workers_makes_the_stand_not_ready(
    serve: Serve, folder: Path
) -> None:
    apps = '[app.blog]\ntarget = "app:app"\n[app.shop]\ntarget = "shop:app"\npath = "/shop"\n'
    configure(folder, more=apps + "workers = 1\n")
    (folder / "shop.py").write_text(
        WSGI + "open('started', 'a').write('x')\n"
        "if len(open('started').read()) > 1:\n    open('fifo-0').read()\n"
        "def fall(environ, start_response):\n    import os\n    os._exit(1)\n"
        "serve, app = app, lambda e, s: (fall if e['PATH_INFO'] == '/fall' else serve)(e, s)\n"
    )
    stand = serve(WSGI, "--workers", "1")
    assert statuses(stand) == (200, 200)
    assert stand.request("POST", "/shop/fall").status == 502
    wait_until(lambda: stand.get("/readyz").status == 503, stand.describe)
    assert reason(stand.get("/readyz")) == "no worker of the app at /shop takes requests"
    assert stand.get("/livez").status == 200
    release(folder / "fifo-0")
    wait_until(lambda: stand.get("/readyz").status == 200, stand.describe)


def test_a_stop_is_told_at_once_while_serving_goes_on(serve: Serve, folder: Path) -> None:
    configure(folder, delay="1h")
    stand = serve(WSGI, "--workers", "1", "--threads", "2", "--graceful-timeout", "60s")
    with connect(stand) as client:
        client.send(request("GET", "/blocked"))
        wait_for_file(folder / "here")
        stand.signal(signal.SIGTERM)
        wait_until(lambda: stand.get("/readyz").status == 503, stand.describe)
        answer = stand.get("/readyz")
        assert reason(answer) == "draining"
        assert answer.headers["connection"] == "close"
        assert stand.get("/livez").status == 200
        # Who comes now is served still, and sent elsewhere afterwards.
        answer = stand.get("/late")
        assert (answer.text, answer.headers["connection"]) == ("app /late", "close")
        release(folder / "fifo-0")
        assert client.answer().body == b"app /blocked"
    stand.signal(signal.SIGTERM)
    assert stand.wait() == 128 + signal.SIGTERM


def test_after_the_delay_what_is_in_flight_is_finished(serve: Serve, folder: Path) -> None:
    configure(folder, delay="300ms")
    stand = serve(WSGI, "--workers", "1", "--threads", "2")
    with connect(stand) as client:
        client.send(request("GET", "/blocked"))
        wait_for_file(folder / "here")
        stand.signal(signal.SIGTERM)
        wait_until(lambda: is_refused(stand), stand.describe)
        release(folder / "fifo-0")
        assert client.answer().body == b"app /blocked"
    assert stand.wait() == 0
    assert "new connections are served for 0.3 s" in stand.err.text()


def test_without_readiness_a_stop_waits_for_nobody_to_notice(serve: Serve, folder: Path) -> None:
    (folder / "trivet.toml").write_text('[health]\nlive = "/livez"\ndrain_delay = "1h"\n')
    stand = serve(WSGI, "--workers", "1")
    assert stand.get("/livez").status == 200
    assert stand.stop() == 0


def is_refused(stand: Stand) -> bool:
    try:
        stand.socket().close()
    except ConnectionRefusedError:
        return True
    return False
