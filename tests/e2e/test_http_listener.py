"""Where the edge listens, and how it stops."""

import re
import signal
import socket
from pathlib import Path

import pytest

from tests.e2e.http1 import (
    Client,
    connect,
    line_of,
    lines_of,
    make_fifo,
    release,
    request,
    running,
    wait_for_file,
)
from tests.e2e.stand import Stand
from tests.waiting import wait_until


def test_several_listeners_serve_the_same_app(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    binds = ("127.0.0.1:0", "[::1]:0", f"unix:{path}")
    arguments = [argument for bind in binds for argument in ("--bind", bind)]
    with running(tmp_path, "--workers", "1", *arguments, bind=False) as stand:
        screen = stand.err.text()
        ports = [int(port) for port in re.findall(r"http://\S+:(\d+)", screen)]
        assert len(ports) == 2, screen
        seen = []
        for family, address in (
            (socket.AF_INET, ("127.0.0.1", ports[0])),
            (socket.AF_INET6, ("::1", ports[1])),
            (socket.AF_UNIX, str(path)),
        ):
            connected = socket.socket(family)
            connected.settimeout(20)
            connected.connect(address)
            with Client(connected) as client:
                seen.append(client.get("/").json()["remote_addr"])
        assert seen == ["127.0.0.1", "::1", ""]
        line = stand.wait_for_request(lambda line: line["client_ip"] == "::1")
        assert line["status"] == 200
        assert stand.stop() == 0
    assert not path.exists()


@pytest.fixture
def hold(tmp_path: Path) -> str:
    """A target that holds its worker until the FIFO is released."""
    return f"/do/hold?fifo={make_fifo(tmp_path)}&here={tmp_path}/here"


def is_refused(stand: Stand) -> bool:
    try:
        stand.socket().close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_stop_finishes_what_is_in_flight_and_takes_nothing_new(tmp_path: Path, hold: str) -> None:
    with running(tmp_path, "--workers", "1", "--threads", "2") as stand:
        idle, fresh, client = connect(stand), connect(stand), connect(stand)
        assert idle.get("/").status == 200
        client.send(request("GET", hold))
        wait_for_file(tmp_path / "here")
        stand.signal(signal.SIGTERM)
        wait_until(lambda: is_refused(stand), stand.describe)
        # Connections without a request end at once, and in good order.
        assert idle.rest() == b""
        assert fresh.rest() == b""
        assert client.is_silent(0.1)
        release(tmp_path / "fifo-0")
        answer = client.answer()
        assert (answer.body, answer.closes) == (b"held", True)
        assert client.is_ended()
        for each in (idle, fresh, client):
            each.socket.close()
        assert stand.wait() == 0
        assert [line["path"] for line in stand.requests()] == ["/", "/do/hold"]


def test_a_request_behind_one_in_flight_is_not_begun_during_a_stop(
    tmp_path: Path, hold: str
) -> None:
    with running(tmp_path, "--workers", "1", "--threads", "1") as stand:
        with connect(stand) as client:
            client.send(request("GET", hold), request("GET", "/second"))
            wait_for_file(tmp_path / "here")
            stand.signal(signal.SIGTERM)
            wait_until(lambda: is_refused(stand), stand.describe)
            release(tmp_path / "fifo-0")
            assert client.answer().closes
            assert client.is_ended()
            port = client.port
        assert stand.wait() == 0
        assert [line["path"] for line in lines_of(stand, port)] == ["/do/hold"]


def test_a_request_that_is_still_coming_is_served_during_a_stop(tmp_path: Path, hold: str) -> None:
    with running(tmp_path, "--workers", "1", "--threads", "2") as stand:
        with connect(stand) as client, connect(stand) as holder:
            holder.send(request("GET", hold))
            client.send(request("POST", "/", "Content-Length: 10") + b"hello")
            wait_for_file(tmp_path / "here")
            stand.signal(signal.SIGTERM)
            wait_until(lambda: is_refused(stand), stand.describe)
            client.send(b"world")
            answer = client.answer()
            assert (answer.json()["body"], answer.closes) == ("helloworld", True)
            release(tmp_path / "fifo-0")
            assert holder.answer().body == b"held"
        assert stand.wait() == 0


def test_a_streaming_answer_is_finished_during_a_stop(tmp_path: Path) -> None:
    fifo = make_fifo(tmp_path)
    with running(tmp_path, "--workers", "1") as stand:
        with connect(stand) as client:
            client.send(request("GET", f"/do/pieces?fifo={fifo}"))
            client.head()
            assert client.chunk() == b"first"
            stand.signal(signal.SIGTERM)
            wait_until(lambda: is_refused(stand), stand.describe)
            release(fifo)
            assert (client.chunk(), client.chunk()) == (b"second", b"")
            assert client.is_ended()
        assert stand.wait() == 0


def test_a_stop_waits_no_longer_than_it_may(tmp_path: Path, hold: str) -> None:
    arguments = ("--workers", "1", "--graceful-timeout", "300ms")
    with running(tmp_path, *arguments) as stand:
        with connect(stand) as client:
            client.send(request("GET", hold))
            wait_for_file(tmp_path / "here")
            stand.signal(signal.SIGTERM)
            assert client.is_ended()
            line = line_of(stand, client)
            assert (line["aborted"], line["path"]) == (True, "/do/hold")
        stand.wait()


def test_a_second_signal_stops_at_once(tmp_path: Path, hold: str) -> None:
    with running(tmp_path, "--workers", "1") as stand:
        with connect(stand) as client:
            client.send(request("GET", hold))
            wait_for_file(tmp_path / "here")
            stand.signal(signal.SIGTERM)
            wait_until(lambda: is_refused(stand), stand.describe)
            stand.signal(signal.SIGTERM)
            assert client.is_ended()
        stand.wait()
