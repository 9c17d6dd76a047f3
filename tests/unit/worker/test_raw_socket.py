"""The socket of an app that speaks for itself, and its end."""

import os
import socket
from collections.abc import Iterator

import pytest
from trivet.worker.raw_socket import RawSockets


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, int]]:
    ours, theirs = socket.socketpair()
    with ours:
        ours.settimeout(20)
        yield ours, theirs.detach()


def test_a_socket_blocks_so_that_one_send_takes_all(pair: tuple[socket.socket, int]) -> None:
    sockets = RawSockets()
    made = sockets.open(pair[1])
    assert made.family == socket.AF_UNIX
    assert made.gettimeout() is None
    assert not os.get_inheritable(made.fileno())
    sockets.close(made)


def test_the_end_of_a_request_ends_what_others_still_hold(pair: tuple[socket.socket, int]) -> None:
    sockets = RawSockets()
    made = sockets.open(pair[1])
    made.sendall(b"last")
    with made.dup() as held:
        sockets.close(made)
        assert held.recv(1) == b""
        assert pair[0].recv(10) == b"last"
        assert pair[0].recv(10) == b""


def test_a_socket_that_the_app_has_closed_is_closed_already(
    pair: tuple[socket.socket, int],
) -> None:
    sockets = RawSockets()
    made = sockets.open(pair[1])
    made.close()
    sockets.close(made)
    assert pair[0].recv(1) == b""


def test_a_forked_child_lets_go_without_a_word(pair: tuple[socket.socket, int]) -> None:
    kept = os.dup(pair[1])  # as its parent has one
    sockets = RawSockets()
    made = sockets.open(pair[1])
    sockets.abandon()
    assert made.fileno() == -1
    sockets.close(made)
    with socket.socket(fileno=kept) as parent:
        parent.sendall(b"on")
        assert pair[0].recv(10) == b"on"
