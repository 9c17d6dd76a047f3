"""WebSockets of ASGI apps: handshake, messages, limits and ends, through a real stand."""

import json
import os
import random
import signal
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.e2e.apps import serving
from tests.e2e.stand import Stand
from tests.e2e.ws import frame, handshake, opened, raw_socket
from tests.waiting import wait_until

CLOSE, PING, PONG, TEXT, BINARY = 0x88, 0x89, 0x8A, 0x81, 0x82


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with serving("sockets:app", "--workers", "1") as running:
        yield running


def told(stand: Stand) -> list[list[Any]]:
    """What the app's echoes were told at their ends."""
    found = stand.get("/state").json()["told"]
    assert isinstance(found, list)
    return found


# The handshake -------------------------------------------------------------------------


def test_the_scope_says_what_the_client_asked_for(stand: Stand) -> None:
    path = "/describe?a=b"
    with opened(stand, path, subprotocols=["chat.v2", "chat.v1"]) as client:
        scope = json.loads(client.recv())
        assert client.subprotocol == "chat.v2"
        assert client.response
        assert client.response.headers["x-from"] == "the app"
        with pytest.raises(ConnectionClosed) as closed:
            client.recv()
    assert closed.value.rcvd
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (3001, "told all")
    assert scope["type"] == "'websocket'"
    assert scope["scheme"] == "'ws'"
    assert scope["path"] == "'/describe'"
    assert scope["query_string"] == "b'a=b'"
    assert scope["subprotocols"] == "['chat.v2', 'chat.v1']"
    assert "websocket.http.response" in scope["extensions"]
    assert "method" not in scope


def test_an_app_that_closes_first_answers_403(stand: Stand) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(stand, "/refuse"):
        pass
    assert refused.value.response.status_code == 403


def test_an_app_may_answer_the_handshake_as_it_likes(stand: Stand) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(stand, "/deny"):
        pass
    response = refused.value.response
    assert response.status_code == 401
    assert response.headers["x-why"] == "no ticket"
    assert bytes(response.body or b"") == b"first a ticket"


def test_another_version_of_the_protocol_is_told_ours(stand: Stand) -> None:
    answer = stand.raw(handshake(Sec_WebSocket_Version="8"))
    assert answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in answer


@pytest.mark.parametrize("key", [None, "c2hvcnQ=", "x" * 24])
def test_a_handshake_without_a_real_key_is_refused(stand: Stand, key: str | None) -> None:
    assert stand.raw(handshake(Sec_WebSocket_Key=key)).startswith(b"HTTP/1.1 400 ")


def test_a_handshake_with_content_is_refused(stand: Stand) -> None:
    assert stand.raw(handshake(Content_Length="1") + b"x").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "request_head",
    [
        handshake("/state", method="POST", Content_Length="0", Connection="close, upgrade"),
        handshake("/state", version="HTTP/1.0", Connection="close, upgrade"),
        handshake("/state", Upgrade="h2c", Connection="close, upgrade"),
        handshake("/state", Connection="close"),
    ],
    ids=["POST", "HTTP/1.0", "h2c", "no connection option"],
)
def test_what_asks_for_no_websocket_is_an_ordinary_request(
    stand: Stand, request_head: bytes
) -> None:
    assert stand.raw(request_head).startswith(b"HTTP/1.1 200 ")


def test_messages_may_come_right_behind_the_handshake(stand: Stand) -> None:
    with raw_socket(stand, ahead=frame(TEXT, b"early")) as client:
        assert client.head.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in client.head
        assert client.next() == (TEXT, b"early")


# Messages ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000, 1_048_576])
def test_a_message_of_any_size_comes_back(stand: Stand, size: int) -> None:
    data = random.Random(size).randbytes(size)
    text = "☃" * (size // 3) + "x" * (size % 3)
    with opened(stand) as client:
        for message in (data, text):
            client.send(message)
            assert client.recv() == message


def test_many_messages_stay_in_order(stand: Stand) -> None:
    with opened(stand) as client:
        for number in range(2000):
            client.send(f"{number}")
        assert [client.recv() for _ in range(2000)] == [f"{number}" for number in range(2000)]


def test_a_message_in_pieces_with_a_ping_between_them(stand: Stand) -> None:
    with raw_socket(stand) as client:
        client.send(frame(0x01, b"\xe2\x98"), frame(PING, b"now"), frame(0x80, b"\x83!"))
        assert client.next() == (PONG, b"now")
        assert client.next() == (TEXT, "☃!".encode())


def test_a_ping_is_answered_while_the_app_is_busy(stand: Stand) -> None:
    with opened(stand, "/deaf") as client:
        assert client.ping().wait(10)


def test_the_access_log_has_one_line_for_a_websocket(stand: Stand) -> None:
    with opened(stand, "/echo?logged") as client:
        client.send("12345")
        client.recv()
    line = stand.wait_for_request(
        lambda line: line.get("query") == "logged" or "logged" in str(line)
    )
    assert (line["status"], line["bytes_in"], line["bytes_out"]) == (101, 5, 5)
    assert line["method"] == "GET"


# What breaks the protocol --------------------------------------------------------------

VIOLATIONS = {
    "reserved bit 1 without compression": (frame(0xC1, b"x"), 1002),
    "reserved bit 2": (frame(0xA1, b"x"), 1002),
    "reserved bit 3 of a ping": (frame(0x99), 1002),
    "reserved opcode 3": (frame(0x83), 1002),
    "reserved opcode 11": (frame(0x8B), 1002),
    "ping in pieces": (frame(0x09), 1002),
    "ping over 125 bytes": (frame(PING, b"x" * 126), 1002),
    "continuation of nothing": (frame(0x80, b"x"), 1002),
    "a message within a message": (frame(0x01, b"a") + frame(TEXT, b"b"), 1002),
    "not masked": (frame(TEXT, b"x", is_masked=False), 1002),
    "close with half a code": (frame(CLOSE, b"\x03"), 1002),
    "close with a code that is never sent": (frame(CLOSE, b"\x03\xed"), 1002),
    "close with an unknown code": (frame(CLOSE, struct.pack("!H", 2999)), 1002),
    "a reason that is no UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "a text that is no UTF-8": (frame(TEXT, b"\xce\xba\xed\xa0\x80"), 1007),
    "a piece that no text continues": (frame(0x01, b"\xf4\x90"), 1007),
    "a text that ends within a character": (frame(0x01, b"\xe2") + frame(0x80, b"\x98"), 1007),
    "a message over the limit": (frame(BINARY, b"\0" * 1_048_577)[:14], 1009),
    "pieces over the limit": (frame(0x02, b"\0" * 1_048_576) + frame(0x80, b"\0"), 1009),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_what_breaks_the_protocol_is_closed_with_its_code(stand: Stand, name: str) -> None:
    data, code = VIOLATIONS[name]
    with raw_socket(stand) as client:
        client.send(data)
        assert client.close_code() == code
        assert client.socket.recv(1) == b"", "the edge closes the connection after it"


def test_the_app_learns_how_the_protocol_was_broken(stand: Stand) -> None:
    before = told(stand)
    with raw_socket(stand) as client:
        client.send(frame(0x83))
        client.close_code()
    wait_until(lambda: len(told(stand)) > len(before), "the app was told nothing")
    assert told(stand)[-1] == [1002, "the opcode 3 has no meaning"]


# The end -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "answer", "code", "reason"),
    [
        (b"", 1005, 1005, ""),
        (b"\x03\xe8bye", 1000, 1000, "bye"),
        (b"\x0f\xa0" + b"x" * 123, 4000, 4000, "x" * 123),
    ],
)
def test_a_close_frame_is_answered_and_told(
    stand: Stand, payload: bytes, answer: int, code: int, reason: str
) -> None:
    before = told(stand)
    with raw_socket(stand) as client:
        client.send(frame(CLOSE, payload), frame(TEXT, b"beyond"))
        assert client.close_code() == answer
    wait_until(lambda: len(told(stand)) > len(before), "the app was told nothing")
    assert told(stand)[-1] == [code, reason]


def test_a_client_that_vanishes_is_1006(stand: Stand) -> None:
    before = told(stand)
    with raw_socket(stand):
        pass
    wait_until(lambda: len(told(stand)) > len(before), "the app was told nothing")
    assert told(stand)[-1] == [1006, ""]


def test_an_app_that_returns_closes_normally(stand: Stand) -> None:
    with raw_socket(stand, "/leave") as client:
        assert client.close_code() == 1000


def test_an_app_that_raises_is_1011_and_in_the_log(stand: Stand) -> None:
    with raw_socket(stand, "/boom") as client:
        assert client.close_code() == 1011
    line = stand.wait_for_request(lambda line: line["path"] == "/boom")
    assert "LookupError: no such room" in line["error"]
    assert line["status"] == 101
    stand.wait_for_text("WebSocket /boom broke off after its head")


@pytest.mark.parametrize("path", ["/boom-early", "/silent"])
def test_an_app_that_never_answers_the_handshake_is_a_500(stand: Stand, path: str) -> None:
    assert stand.raw(handshake(path, Connection="upgrade, close")).startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("send-first", "sent `websocket.send`, but `websocket.accept` or `websocket.close` must"),
        ("accept-twice", "sent `websocket.accept`, but the WebSocket has been accepted"),
        ("http", "sent `http.response.start`, but the WebSocket has been accepted"),
        ("empty", "websocket.send: neither `text` nor `bytes` is given"),
        ("number", "websocket.send: `text` must be a str, and `bytes` a byte string, not int"),
        ("code", "websocket.close: code 1006 cannot be sent"),
        ("reason", "websocket.close: the reason has 124 bytes"),
        ("after-close", "sent `websocket.send`, but the WebSocket has been closed"),
    ],
)
def test_a_broken_rule_is_named(stand: Stand, rule: str, text: str) -> None:
    stand.raw(handshake(f"/wrong?{rule}") + frame(CLOSE))
    stand.wait_for_text(text)


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("subprotocol", "the client did not offer the subprotocol 'unasked'"),
        ("header", "header sec-websocket-protocol is the server's"),
    ],
)
def test_a_wrong_acceptance_is_a_500_that_says_why(stand: Stand, rule: str, text: str) -> None:
    head = handshake(f"/wrong-accept?{rule}", Connection="upgrade, close")
    assert stand.raw(head).startswith(b"HTTP/1.1 500 ")
    stand.wait_for_text(text)


def test_a_stop_is_1012_for_client_and_app() -> None:
    with serving("sockets:app", "--workers", "1") as running:
        with raw_socket(running) as one, raw_socket(running) as two:
            running.signal(signal.SIGTERM)
            for client in (one, two):
                assert client.close_code() == 1012
                client.send(frame(CLOSE, b"\x03\xf4"))
        assert running.wait() == 0
    assert [line["status"] for line in running.requests()] == [101, 101]
    assert not any(line.get("aborted") for line in running.requests())


def test_a_reload_is_1012_and_new_websockets_go_to_the_new_worker() -> None:
    with serving("sockets:app", "--workers", "1") as running:
        (before,) = running.children("worker")
        with raw_socket(running) as old:
            running.signal(signal.SIGHUP)
            assert old.close_code() == 1012
            old.send(frame(CLOSE, b"\x03\xf4"))
        with raw_socket(running) as new:
            new.send(frame(TEXT, b"again"))
            assert new.next() == (TEXT, b"again")
            wait_until(
                lambda: running.children("worker") and before not in running.children("worker"),
                "the old worker stayed",
            )


def test_a_worker_that_dies_is_1011() -> None:
    with serving("sockets:app", "--workers", "1") as running:
        (worker,) = running.children("worker")
        with raw_socket(running) as client:
            os.kill(worker, signal.SIGKILL)
            assert client.close_code() == 1011
        line = running.wait_for_request(lambda line: line["status"] == 101)
        assert line["error"] == "app.worker_lost"
