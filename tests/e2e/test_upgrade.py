"""WebSockets that a WSGI app speaks by itself, over the socket in its environ."""

import contextlib
import re
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from tests.e2e.apps import serving
from tests.e2e.stand import Stand, read_to_end
from tests.e2e.ws import handshake
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with serving("raw_sockets:app", "--workers", "1") as running:
        yield running


class Tunnel:
    """A client behind its handshake, with the head of the answer."""

    def __init__(self, stand: Stand, path: str, ahead: bytes = b"", **fields: str) -> None:
        self.socket = stand.socket()
        self.socket.sendall(handshake(path, **fields) + ahead)
        self.data = b""
        self.head = self.until(b"\r\n\r\n")

    def until(self, end: bytes) -> bytes:
        while end not in self.data:
            piece = self.socket.recv(65536)
            assert piece, f"the end of the stream behind {self.data!r}"
            self.data += piece
        found, _, self.data = self.data.partition(end)
        return found

    def rest(self) -> bytes:
        return self.data + read_to_end(self.socket)


@contextlib.contextmanager
def tunnel(stand: Stand, path: str, ahead: bytes = b"", **fields: str) -> Iterator[Tunnel]:
    opened = Tunnel(stand, path, ahead, **fields)
    with opened.socket:
        yield opened


def test_bytes_go_both_ways_behind_a_head_of_the_edges_own(stand: Stand) -> None:
    with tunnel(stand, "/echo?both") as client:
        lines = client.head.split(b"\r\n")
        assert lines[0] == b"HTTP/1.1 101 Switching Protocols"
        names = sorted(line.partition(b":")[0].lower() for line in lines[1:])
        assert names == [
            b"connection",
            b"sec-websocket-accept",
            b"upgrade",
            b"x-app",
            b"x-request-id",
        ]
        for word in (b"one.", b"x" * 1_000_000 + b".", b"\0\xff."):
            client.socket.sendall(word)
            assert client.until(b".") + b"." == word
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b""
    line = stand.wait_for_request(lambda line: line.get("query") == "both")
    assert (line["status"], line["bytes_in"], line["bytes_out"]) == (101, 1_000_008, 1_000_008)
    assert "error" not in line


def test_an_answer_may_come_in_small_pieces(stand: Stand) -> None:
    with tunnel(stand, "/slowly", ahead=b"ahead") as client:
        assert client.rest() == b"ahead"


def test_what_a_client_sends_early_waits_for_the_answer(stand: Stand) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with tunnel(stand, "/early", ahead=smuggled) as client:
        assert client.until(b"\n") == b"before: nothing"
        assert client.until(b"\r\n\r\n") + b"\r\n\r\n" == b"behind: " + smuggled
        assert client.rest() == b""
    assert not any(line["path"] == "/smuggled" for line in stand.requests())


def test_what_a_client_sends_early_is_no_request_if_the_app_declines(stand: Stand) -> None:
    answer = stand.raw(handshake("/plain") + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close" in head
    assert content == b"plain"
    assert not any(line["path"] == "/smuggled" for line in stand.requests())


@pytest.mark.parametrize(
    ("way", "error"),
    [
        ("garbage", "no response head"),
        ("two-hundred", "a response of status 200"),
        ("interim", "a response of status 100"),
        ("oversize", "more than 32768 bytes"),
        ("injected", "no response head"),
        ("wrong-accept", "no valid `Sec-WebSocket-Accept`"),
        ("half", "no response head"),
    ],
)
def test_whatever_is_no_101_is_a_502_and_the_end(stand: Stand, way: str, error: str) -> None:
    answer = stand.raw(handshake(f"/{way}") + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert answer.count(b"HTTP/1.1") == 1
    line = stand.wait_for_request(lambda line: line["path"] == f"/{way}")
    assert line["status"] == 502
    assert error in line["error"]


def test_a_second_head_is_only_bytes_and_the_connection_ends(stand: Stand) -> None:
    answer = stand.raw(handshake("/twice") + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert rest == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    assert not any(line["path"] == "/smuggled" for line in stand.requests())


@pytest.mark.parametrize(
    ("way", "error"),
    [
        ("raises", "LookupError"),
        ("refused-connection", "ConnectionRefused"),
        ("nothing", "the app gave no answer"),
    ],
)
def test_an_app_that_gives_no_answer_is_a_500(stand: Stand, way: str, error: str) -> None:
    assert stand.raw(handshake(f"/{way}")).startswith(b"HTTP/1.1 500 ")
    line = stand.wait_for_request(lambda line: line["path"] == f"/{way}")
    assert error in line["error"]


def test_an_app_that_raises_behind_its_answer_ends_the_tunnel_and_is_told(stand: Stand) -> None:
    with tunnel(stand, "/raises-late") as client:
        assert client.rest() == b""
    line = stand.wait_for_request(lambda line: line["path"] == "/raises-late")
    assert (line["status"], line["error"].partition(":")[0]) == (101, "LookupError")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Sec_WebSocket_Version": "8"}, b"426"),
        ({"Sec_WebSocket_Key": "short"}, b"400"),
        ({"Content_Length": "1"}, b"400"),
    ],
)
def test_a_broken_handshake_does_not_reach_the_app(
    stand: Stand, fields: dict[str, str], status: bytes
) -> None:
    assert stand.raw(handshake("/echo", **fields) + b"x").split()[1] == status


def test_a_client_that_leaves_before_the_answer_is_noticed_by_the_app() -> None:
    with serving("raw_sockets:app", "--workers", "1") as stand:
        with stand.socket() as client:
            client.sendall(handshake("/silent"))
            wait_until(lambda: stand.get("/").status == 200, "the worker is stuck")
        wait_until(
            lambda: stand.get("/").headers["x-done"] == "True", "the app did not see the end"
        )
        assert stand.wait_for_request(lambda line: line["path"] == "/silent")["aborted"]


def test_a_client_that_reads_nothing_stops_its_app_and_nobody_else() -> None:
    with serving("raw_sockets:app", "--workers", "1") as stand, tunnel(stand, "/flood") as client:
        seen = [-1]

        def rests() -> bool:
            seen.append(int(re.findall(r"flooded (\d+)", stand.err.text() or "flooded 0")[-1]))
            time.sleep(0.1)  # slow on purpose: whether it rests is seen in time only
            return seen[-1] == seen[-2] > 0

        stand.wait_for_text("flooded")
        wait_until(rests, "the app sent on and on")
        assert seen[-1] < 16 << 20
        assert stand.get("/").status == 200
        client.socket.close()
        wait_until(
            lambda: stand.get("/").headers["x-done"] == "True", "the app did not see the end"
        )


def test_twenty_tunnels_and_quick_requests_share_one_worker(stand: Stand) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(tunnel(stand, "/echo?many")) for _ in range(20)]
        for number in range(200):
            assert stand.get("/").body == b"no socket"
            client = clients[number % 20]
            client.socket.sendall(b"here.")
            assert client.until(b".") == b"here"


def test_a_worker_that_dies_ends_its_tunnels() -> None:
    with serving("raw_sockets:app", "--workers", "1") as stand:
        with tunnel(stand, "/echo") as beside, tunnel(stand, "/dies") as client:
            client.socket.sendall(b"x")
            assert client.rest() == b""
            assert beside.rest() == b""
        line = stand.wait_for_request(lambda line: line["path"] == "/dies")
        assert (line["status"], line["error"]) == (101, "app.worker_lost")
        wait_until(lambda: stand.get("/").status == 200, "no new worker")


def test_a_forked_child_does_not_hold_the_tunnel(stand: Stand) -> None:
    with tunnel(stand, "/forks") as client:
        client.until(b"\n")
        client.socket.sendall(b"x")
        assert client.rest() == b""  # while the request and its child still run
        assert stand.get("/release").status == 200


def test_a_thread_that_keeps_the_socket_does_not_hold_the_tunnel(stand: Stand) -> None:
    with tunnel(stand, "/keeps") as client:
        assert client.rest() == b"last words"


def test_a_stop_cuts_tunnels_at_the_end_of_its_time() -> None:
    with serving("raw_sockets:app", "--workers", "1", "--graceful-timeout", "2s") as stand:
        with tunnel(stand, "/echo") as client:
            stand.signal(signal.SIGTERM)
            client.socket.sendall(b"still.")
            assert client.until(b".") == b"still"
            assert client.rest() == b""
            assert stand.wait() == 0
        line = stand.wait_for_request(lambda line: line["path"] == "/echo")
        assert line["error"] == "websocket: cut by a stop or a reload"
        assert "killed" not in stand.err.text()


def test_a_reload_leaves_tunnels_their_time_and_serves_new_ones() -> None:
    with serving("raw_sockets:app", "--workers", "1", "--graceful-timeout", "3s") as stand:
        with tunnel(stand, "/echo?old") as old:
            before = stand.children("worker")
            stand.signal(signal.SIGHUP)
            stand.wait_for_text("reloaded in")
            old.socket.sendall(b"still.")
            assert old.until(b".") == b"still"
            with tunnel(stand, "/echo?new") as new:
                assert old.rest() == b""
                new.socket.sendall(b"on.")
                assert new.until(b".") == b"on"
        wait_until(lambda: before[0] not in stand.children("worker"), "the old worker stays")


def test_silence_ends_a_tunnel_only_if_it_is_to() -> None:
    env = {"TRIVET_WEBSOCKET_IDLE": "300ms"}
    with serving("raw_sockets:app", "--workers", "1", env=env) as stand:
        with tunnel(stand, "/echo") as client:
            assert client.rest() == b""
        line = stand.wait_for_request(lambda line: line["path"] == "/echo")
        assert line["error"] == "websocket: idle"
