"""Lines on their way from a worker to the world."""

import fcntl
import json
import os
import threading
from collections.abc import Iterator

import pytest
from trivet.supervisor import output
from trivet.supervisor.output import OutputReader, Sink, Wrapped, prefixed

from tests.waiting import DEADLINE_S, wait_until


class Pipe:
    """A worker's end, a reader, and a sink that ends in a pipe of the test."""

    CAPACITY = 1 << 20

    def __init__(self, form: output.Format = output.plain) -> None:
        self.theirs, reading = os.pipe(), os.pipe()
        self.worker = self.theirs[1]
        self.world, self._sink_end = reading
        fcntl.fcntl(self.world, fcntl.F_SETPIPE_SZ, self.CAPACITY)
        self.rooms = threading.Event()
        self.sink = Sink(self._sink_end, self.rooms.set)
        self.reader = OutputReader(self.theirs[0], self.sink, form)

    def passed_on(self) -> bytes:
        assert self.sink.flush(DEADLINE_S)
        os.set_blocking(self.world, False)
        try:
            return os.read(self.world, 1 << 20)
        except BlockingIOError:
            return b""


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe(prefixed(b"[worker 2] "))
    yield pipe
    pipe.reader.close()


def test_each_line_is_prefixed(pipe: Pipe) -> None:
    os.write(pipe.worker, b"one\ntwo\n")
    pipe.reader.read()
    assert pipe.passed_on() == b"[worker 2] one\n[worker 2] two\n"


def test_a_part_of_a_line_waits_for_its_rest(pipe: Pipe) -> None:
    os.write(pipe.worker, b"one")
    pipe.reader.read()
    assert pipe.passed_on() == b""
    os.write(pipe.worker, b" and more\n")
    pipe.reader.read()
    assert pipe.passed_on() == b"[worker 2] one and more\n"


def test_a_last_line_without_an_end_is_passed_on_at_the_end(pipe: Pipe) -> None:
    os.write(pipe.worker, b"killed in mid")
    os.close(pipe.worker)
    pipe.reader.drain()
    assert pipe.reader.at_eof
    assert pipe.passed_on() == b"[worker 2] killed in mid\n"


def test_a_line_without_an_end_in_sight_is_passed_on_in_pieces() -> None:
    pipe = Pipe()
    sent = b"x" * 150_000

    def print_it() -> None:
        os.write(pipe.worker, sent)
        os.close(pipe.worker)

    writer = threading.Thread(target=print_it)
    writer.start()
    got = b""
    while not pipe.reader.at_eof:
        pipe.reader.read()
        got += pipe.passed_on()
    writer.join()
    got += pipe.passed_on()
    lines = got.split(b"\n")
    assert b"".join(lines) == sent
    assert max(map(len, lines)) == output.LINE_BYTES


def test_nothing_there_is_no_end(pipe: Pipe) -> None:
    assert not pipe.reader.read()
    assert not pipe.reader.at_eof


def test_bytes_that_are_no_text_pass_unchanged(pipe: Pipe) -> None:
    os.write(pipe.worker, b"\xff\x00\x1b[0m\n")
    pipe.reader.read()
    assert pipe.passed_on() == b"[worker 2] \xff\x00\x1b[0m\n"


def test_a_sink_that_nobody_reads_gets_full_and_tells_when_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(output, "SINK_BYTES", 1000)
    pipe = Pipe()
    sink = pipe.sink
    line = b"x" * 99 + b"\n"
    written = 0
    while sink.has_room or written < Pipe.CAPACITY + 100_000:
        sink.write(line)
        written += len(line)
    assert not sink.flush(0.01)
    pipe.rooms.clear()  # there was room now and then, until the pipe was full too
    assert not sink.has_room
    read = 0
    while read < written:
        read += len(os.read(pipe.world, 1 << 20))
    wait_until(pipe.rooms.is_set, "word of the room")
    assert sink.has_room


def test_a_sink_whose_reader_is_gone_takes_everything() -> None:
    pipe = Pipe()
    os.close(pipe.world)
    for _ in range(100):
        pipe.sink.write(b"x" * 100_000 + b"\n")
    assert pipe.sink.flush(DEADLINE_S)
    assert pipe.sink.has_room


def test_a_plain_line_is_wrapped_in_an_object() -> None:
    entry = json.loads(Wrapped({"worker": 2}, "error")(b"Trace: \xc3\xbc \xff"))
    assert entry.pop("timestamp").endswith("+00:00")
    assert entry == {"level": "error", "event": "Trace: ü \\xff", "worker": 2}


def test_an_object_is_not_wrapped_again() -> None:
    assert Wrapped({"worker": 2}, "info")(b'{"event": "x"}') == b'{"event": "x"}\n'


def test_lines_are_written_in_pieces_that_a_pipe_keeps_together() -> None:
    line = b"x" * 999 + b"\n"
    long = b"y" * 5000 + b"\n"
    pieces = list(output._whole(line * 10 + long + b"no line end"))
    assert [len(piece) for piece in pieces] == [4000, 4000, 2000, 5001, 11]
    assert b"".join(pieces) == line * 10 + long + b"no line end"


TRACEBACK = b"""Traceback (most recent call last):
  File "app.py", line 3, in boom
    1 / 0
ZeroDivisionError: division by zero
"""


def wrapped_objects(pipe: Pipe) -> list[dict[str, object]]:
    return [json.loads(line) for line in pipe.passed_on().splitlines()]


def test_a_traceback_is_one_object() -> None:
    pipe = Pipe(Wrapped({"worker": 2}, "error"))
    os.write(pipe.worker, b"before\n" + TRACEBACK + b"after\n")
    pipe.reader.read()
    before, failure, after = wrapped_objects(pipe)
    assert (before["event"], after["event"]) == ("before", "after")
    assert failure["event"] == "ZeroDivisionError: division by zero"
    assert failure["exception"] == TRACEBACK.decode().rstrip()
    pipe.reader.close()


def test_the_traceback_of_a_request_has_its_id() -> None:
    pipe = Pipe(Wrapped({"worker": 2}, "error"))
    os.write(pipe.worker, b"GET /boom failed, request id 01932b\n" + TRACEBACK)
    pipe.reader.read()
    assert wrapped_objects(pipe) == []
    pipe.reader.close()
    [failure] = wrapped_objects(pipe)
    assert failure["event"] == "GET /boom failed, request id 01932b"
    assert failure["request_id"] == "01932b"
    assert str(failure["exception"]).endswith("ZeroDivisionError: division by zero")


def test_a_traceback_that_does_not_go_on_waits_for_a_while_only() -> None:
    pipe = Pipe(Wrapped({"worker": 2}, "error"))
    os.write(pipe.worker, TRACEBACK[:40])
    pipe.reader.read()
    first = pipe.reader.flush_at
    assert first is not None
    assert pipe.reader.flush_at == first
    pipe.reader.flush()
    assert [each["event"] for each in wrapped_objects(pipe)] == [
        "Traceback (most recent call last):"
    ]
    assert not pipe.reader.flush_at
    pipe.reader.close()
