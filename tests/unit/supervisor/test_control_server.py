"""The control socket's bytes: real sockets, a desk of the test's own, no processes."""

import contextlib
import json
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from trivet.supervisor.control import server
from trivet.supervisor.control.server import Call, ControlServer, ControlSocketError
from trivet.wire import stand_control as wire

from tests.waiting import wait_until

HEALTHY = wire.Health(version=1, is_healthy=True, because="")
ASK = b'{"type":"health","version":1}\n'


class Room:
    """A server with its selector, turned by hand."""

    def __init__(self, path: Path, desk: Callable[[Call], None] | None = None) -> None:
        self.calls: list[Call] = []
        self.selector = selectors.DefaultSelector()
        self.path = str(path)
        self.server = ControlServer(self.selector, self.path, desk or self.calls.append)

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(self.path)
        client.setblocking(False)
        self.turn()
        return client

    def turn(self) -> None:
        """Do all that can be done now."""
        while ready := self.selector.select(0):
            for key, _ in ready:
                if self.selector.get_map().get(key.fd) is key:
                    key.data()

    def lines(self, client: socket.socket) -> list[dict[str, Any]]:
        """Everything that the client has been told, and has not been given yet."""
        self.turn()
        return [json.loads(line) for line in received(client).splitlines()]


def received(client: socket.socket) -> bytes:
    data = bytearray()
    with contextlib.suppress(BlockingIOError, ConnectionResetError):
        while piece := client.recv(65536):
            data += piece
    return bytes(data)


def is_closed(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "control", lambda call: call.answer(HEALTHY))
    yield made
    made.server.close()
    made.selector.close()


@pytest.fixture
def slow_room(tmp_path: Path) -> Iterator[Room]:
    """Give a room whose desk answers when the test does."""
    made = Room(tmp_path / "control")
    yield made
    made.server.close()
    made.selector.close()


def test_a_request_is_answered_and_the_connection_stays(room: Room) -> None:
    with room.connect() as client:
        for _ in range(2):
            client.sendall(ASK)
            assert [line["is_healthy"] for line in room.lines(client)] == [True]


def test_a_request_may_come_in_pieces(room: Room) -> None:
    with room.connect() as client:
        told = []
        for at in range(len(ASK)):
            client.sendall(ASK[at : at + 1])
            told += room.lines(client)
        assert [line["type"] for line in told] == ["health"]


def test_a_thousand_requests_at_once_are_answered_one_by_one(room: Room) -> None:
    with room.connect() as client:
        client.sendall(ASK * 1000)
        told = 0
        # More replies than the kernel holds for a reader: the rest waits until it has read.
        while more := len(room.lines(client)):
            told += more
        assert told == 1000


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\xff\xfe\n",
        b"\n",
        b"[]\n",
        b"{}\n",
        b'"version"\n',
        b'{"type":"health","version":1,"more":1}\n',
        b'{"type":"no-such","version":1}\n',
        b'{"type":"stop","version":1}\n',
        b'{"type":"scale","version":1,"workers":"2","is_change":false}\n',
        b'{"type":"scale","version":1,"workers":99999,"is_change":false}\n',
        b'{"type":"reloaded","version":1,"outcome":"done","text":"","failure":null}\n',
        ASK[:-1] + b" " * (64 << 10) + b"\n",
        b"x" * (64 << 10) + b"yz",
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(
    room: Room, garbage: bytes
) -> None:
    with room.connect() as client:
        sent = 0
        while sent < len(garbage) and not is_closed_by(room, client):
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                sent += client.send(garbage[sent : sent + 4096])
        (told,) = room.lines(client)
        assert (told["type"], told["code"]) == ("refused", "control.bad_request")
        assert is_closed(client)


def is_closed_by(room: Room, client: socket.socket) -> bool:
    room.turn()
    try:
        client.send(b"")
    except OSError:
        return True
    return False


def test_another_version_is_told_ours(room: Room) -> None:
    with room.connect() as client:
        client.sendall(b'{"type":"what-may-come","version":2}\n')
        (told,) = room.lines(client)
        assert told["code"] == "control.version"
        assert "version 1" in told["message"]


def test_a_silent_client_is_closed_after_its_time(room: Room) -> None:
    with room.connect() as client:
        client.sendall(ASK[:-2])
        room.turn()
        deadline = room.server.next_deadline()
        assert deadline is not None
        room.server.tick(deadline - 0.01)
        assert not is_closed(client)
        room.server.tick(deadline)
        assert is_closed(client)
        assert room.server.next_deadline() is None


def test_bytes_that_trickle_in_make_the_time_no_longer(room: Room) -> None:
    with room.connect() as client:
        before = room.server.next_deadline()
        client.sendall(b"{")
        room.turn()
        assert room.server.next_deadline() == before


def test_a_client_that_reads_nothing_is_closed_after_its_time(tmp_path: Path) -> None:
    big = wire.Refused(version=1, code="c", message="x" * (8 << 20), hint="")
    room = Room(tmp_path / "control", lambda call: call.answer(big))
    with room.connect() as client:
        client.sendall(ASK)
        room.turn()
        deadline = room.server.next_deadline()
        assert deadline is not None
        room.server.tick(deadline)
        # What the kernel had taken is still there, and then the end.
        assert len(received(client)) < 8 << 20
        assert is_closed(client)
    room.server.close()


def test_whoever_waits_for_the_desk_has_all_the_time(slow_room: Room) -> None:
    with slow_room.connect() as client:
        client.sendall(ASK + ASK)
        slow_room.turn()
        assert slow_room.server.next_deadline() is None
        assert len(slow_room.calls) == 1  # the second is not looked at before the first is answered
        slow_room.calls[0].answer(HEALTHY)
        assert len(slow_room.lines(client)) == 1
        assert len(slow_room.calls) == 2


def test_an_answer_to_somebody_who_has_gone_does_no_harm(slow_room: Room) -> None:
    client = slow_room.connect()
    client.sendall(ASK)
    slow_room.turn()
    client.close()
    slow_room.calls[0].answer(HEALTHY)
    slow_room.calls[0].answer(HEALTHY)
    assert slow_room.server.next_deadline() is None


def test_a_held_connection_ends_with_the_server(slow_room: Room) -> None:
    with slow_room.connect() as client:
        client.sendall(ASK)
        slow_room.turn()
        slow_room.calls[0].answer(HEALTHY, hold=True)
        assert len(slow_room.lines(client)) == 1
        slow_room.server.tick(time.monotonic() + 3600)
        assert not is_closed(client)


def test_the_most_silent_client_goes_when_there_are_too_many(room: Room) -> None:
    clients = [room.connect() for _ in range(server.MOST_CLIENTS)]
    clients[0].sendall(ASK)  # it was the first, and now is the last to have said something
    assert len(room.lines(clients[0])) == 1
    clients.append(room.connect())
    assert [is_closed(client) for client in clients].index(True) == 1
    assert [is_closed(client) for client in clients].count(True) == 1
    for client in clients:
        client.close()


def test_descriptors_that_come_along_are_not_kept(room: Room) -> None:
    with room.connect() as client:
        reader, writer = socket.socketpair()
        socket.send_fds(client, [ASK], [writer.fileno()])
        writer.close()
        assert len(room.lines(client)) == 1
        reader.setblocking(False)
        wait_until(lambda: reader.recv(1) == b"", "the descriptor is still open somewhere")
        reader.close()


def test_a_stranger_is_turned_away(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_ROOT", -1)
    monkeypatch.setattr("os.geteuid", lambda: 4321)
    with room.connect() as client:
        with contextlib.suppress(BrokenPipeError):
            client.sendall(ASK)
        (told,) = room.lines(client)
        assert (told["type"], told["code"]) == ("refused", "control.forbidden")
        assert is_closed(client)


def test_the_file_is_for_its_owner_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    room = Room(tmp_path / "control")
    assert (tmp_path / "control").stat().st_mode & 0o777 == 0o600
    room.server.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(tmp_path / "control"))
    room = Room(tmp_path / "control", lambda call: call.answer(HEALTHY))
    with room.connect() as client:
        client.sendall(ASK)
        assert len(room.lines(client)) == 1
    room.server.close()


def test_what_is_in_use_or_no_socket_is_left_alone(tmp_path: Path, room: Room) -> None:
    with pytest.raises(ControlSocketError, match="another process listens there"):
        Room(Path(room.path))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ControlSocketError, match="no socket is there"):
        Room(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_path_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ControlSocketError, match="No such file"):
        Room(tmp_path / "no" / "control")
    with pytest.raises(ControlSocketError, match="path too long"):
        Room(tmp_path / ("x" * 200))
