"""flask-sock, and Flask-SocketIO on threads, as they are."""

import json
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.typing import Subprotocol

from tests.e2e.apps import serving
from tests.e2e.stand import Stand
from tests.e2e.ws import opened


@pytest.fixture(scope="module")
def sock() -> Iterator[Stand]:
    with serving("flask_sockets:sock_app", "--workers", "1") as running:
        yield running


@pytest.fixture(scope="module")
def socketio() -> Iterator[Stand]:
    with serving("flask_sockets:socketio_app", "--workers", "1") as running:
        yield running


def test_messages_go_both_ways(sock: Stand) -> None:
    with opened(sock, "/echo?ended") as client:
        for message in ("hello", "☃" * 100_000, b"\0\xff"):
            client.send(message)
            assert client.recv() == message
    line = sock.wait_for_request(lambda line: line.get("query") == "ended")
    assert line["status"] == 101
    assert "error" not in line


def test_compression_is_between_client_and_app(sock: Stand) -> None:
    with opened(sock, "/echo", compression="deflate") as client:
        client.send("a" * 100_000)
        assert client.recv() == "a" * 100_000


def test_the_app_sees_the_handshake_and_no_hop_by_hop_fields(sock: Stand) -> None:
    fields = {"X-Hop": "1", "Cookie": "a=b"}
    with opened(sock, "/environ", additional_headers=fields) as client:
        seen = [client.recv() for _ in range(5)]
    assert seen == ["'Upgrade'", "'websocket'", "None", "'1'", "'a=b'"]


def test_the_app_chooses_a_subprotocol_and_closes(sock: Stand) -> None:
    with opened(sock, "/count", subprotocols=[Subprotocol("numbers")]) as client:
        assert client.subprotocol == "numbers"
        assert [client.recv() for _ in range(3)] == ["0", "1", "2"]
        with pytest.raises(ConnectionClosed) as closed:
            client.recv()
    assert closed.value.rcvd
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "counted")


@pytest.mark.parametrize(("target", "status"), [("/nowhere", 404), ("/echo?refused", 403)])
def test_an_app_refuses_by_an_ordinary_answer(sock: Stand, target: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(sock, target):
        pass
    assert refused.value.response.status_code == status


def test_a_view_that_raises_ends_its_websocket(sock: Stand) -> None:
    with opened(sock, "/broken") as client:
        client.send("x")
        with pytest.raises(ConnectionClosed):
            client.recv()
    line = sock.wait_for_request(lambda line: line["path"] == "/broken")
    assert (line["status"], line["error"]) == (101, "the app answered 500 behind its 101")


def test_views_answer_beside_twenty_websockets(sock: Stand) -> None:
    clients = []
    try:
        for _ in range(20):
            context = opened(sock)
            clients.append((context, context.__enter__()))
        for number in range(100):
            assert sock.get("/plain").text == "plain"
            client = clients[number % 20][1]
            client.send(str(number))
            assert client.recv(timeout=20) == str(number)
    finally:
        for context, _ in clients:
            context.__exit__(None, None, None)


def greet(client: ClientConnection) -> None:
    """Join the namespace `/`, and have an event echoed (Socket.IO protocol 5)."""
    client.send("40")
    assert str(client.recv(timeout=20)).startswith("40{")
    echo(client)


def echo(client: ClientConnection) -> None:
    client.send('42["echo","☃"]')
    while (said := str(client.recv(timeout=20))) in {"2", "6"}:  # a ping, or nothing
        pass
    assert json.loads(said.removeprefix("42")) == ["echo", "☃"]


def test_socketio_over_a_websocket(socketio: Stand) -> None:
    with opened(socketio, "/socket.io/?EIO=4&transport=websocket&direct") as client:
        assert str(client.recv(timeout=20)).startswith("0{")
        greet(client)
        assert socketio.get("/plain").text == "plain"
    line = socketio.wait_for_request(lambda line: "direct" in line.get("query", ""))
    assert line["status"] == 101
    assert "error" not in line
    assert "Traceback" not in socketio.err.text()


def test_socketio_begins_by_polling_and_upgrades(socketio: Stand) -> None:
    poll = "/socket.io/?EIO=4&transport=polling"
    opening = json.loads(socketio.get(poll).text.removeprefix("0"))
    assert opening["upgrades"] == ["websocket"]
    poll += f"&sid={opening['sid']}"
    assert socketio.request("POST", poll, b"40").text == "OK"
    assert socketio.get(poll).text.startswith("40{")
    with opened(socketio, f"/socket.io/?EIO=4&transport=websocket&sid={opening['sid']}") as client:
        client.send("2probe")
        assert client.recv(timeout=20) == "3probe"
        client.send("5")
        echo(client)
