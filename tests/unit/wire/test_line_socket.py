"""Lines and descriptors over a socket pair, in pieces of every size."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trivet.wire import line_socket
from trivet.wire.line_socket import LineSocket, LineTooLongError

Pair = tuple[LineSocket, LineSocket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = (LineSocket(end) for end in socket.socketpair())
    yield one, other
    one.close()
    other.close()


def descriptors(count: int) -> list[int]:
    return [os.memfd_create(f"number-{number}") for number in range(count)]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def names(fds: list[int]) -> list[str]:
    found = [str(Path(f"/proc/self/fd/{fd}").readlink()) for fd in fds]
    for fd in fds:
        os.close(fd)
    return [name.removeprefix("/memfd:").removesuffix(" (deleted)") for name in found]


def test_a_line_arrives_without_its_end(pair: Pair) -> None:
    pair[0].send(b'{"type":"stop"}\n')
    assert pair[1].receive() == [b'{"type":"stop"}']


@given(
    st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=5),
    st.lists(st.integers(1, 7), min_size=1),
)
def test_any_split_of_the_bytes_gives_the_same_lines(lines: list[bytes], sizes: list[int]) -> None:
    raw, other = socket.socketpair()
    receiver = LineSocket(other)
    data = b"".join(line + b"\n" for line in lines)
    received: list[bytes] = []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        raw.sendall(data[:size])
        data = data[size:]
        received += receiver.receive()
        turn += 1
    raw.close()
    receiver.close()
    assert received == lines


@pytest.mark.parametrize("count", [1, 3, 16, 17, 32, 35])
def test_descriptors_arrive_in_order_however_many(pair: Pair, count: int) -> None:
    fds = descriptors(count)
    pair[0].send(b'{"type":"configure"}\n', fds)
    for fd in fds:
        os.close(fd)
    assert pair[1].receive() == [b'{"type":"configure"}']
    assert names(pair[1].take_descriptors(count)) == [f"number-{each}" for each in range(count)]


def test_received_descriptors_are_not_inherited_by_programs(pair: Pair) -> None:
    [mine] = descriptors(1)
    pair[0].send(b"x\n", [mine])
    os.close(mine)
    pair[1].receive()
    [theirs] = pair[1].take_descriptors(1)
    assert not os.get_inheritable(theirs)
    os.close(theirs)


def test_a_full_socket_keeps_the_rest_for_later(pair: Pair) -> None:
    line = b"x" * (4 << 20) + b"\n"
    [mine] = descriptors(1)
    pair[0].send(line)
    pair[0].send(b"y\n", [mine])
    os.close(mine)
    waited = [pair[0].wants_write]
    received: list[bytes] = []
    while len(received) < 2:
        pair[0].flush()
        received += pair[1].receive()
    waited.append(pair[0].wants_write)
    assert waited == [True, False]
    assert [len(each) for each in received] == [4 << 20, 1]
    assert names(pair[1].take_descriptors(5)) == ["number-0"]


def test_what_was_sent_before_the_end_is_still_received(pair: Pair) -> None:
    pair[0].send(b"last words\n")
    pair[0].close()
    assert pair[1].receive() == [b"last words"]
    assert pair[1].at_eof


def test_sending_to_a_peer_that_is_gone_is_no_error(pair: Pair) -> None:
    pair[1].close()
    pair[0].send(b"x\n")
    assert not pair[0].wants_write


def test_too_long_a_line_is_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_socket, "MAX_LINE_BYTES", 10)
    pair[0].send(b"01234567890\n")
    with pytest.raises(LineTooLongError):
        pair[1].receive()


def test_too_long_a_line_is_refused_before_its_end(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_socket, "MAX_LINE_BYTES", 10)
    pair[0].send(b"01234567890")
    with pytest.raises(LineTooLongError):
        pair[1].receive()


def test_closing_leaves_no_descriptor_behind() -> None:
    one, other = (LineSocket(end) for end in socket.socketpair())
    before = open_descriptors()
    [mine] = descriptors(1)
    one.send(b"x\n", [mine])
    os.close(mine)
    other.receive()
    one.close()
    other.close()
    assert open_descriptors() == before - 2
