"""What workers print: read without waiting, cut into lines, prefixed, and passed on.

Strategy: each stream of a worker is a non-blocking pipe with an `OutputReader`; what it reads
goes to a `Sink`, whose own thread does the writing, because a write to a terminal that is held
with Ctrl-S, or to a pipe that nobody reads, waits for ever. A sink takes `SINK_BYTES`; beyond
that the readers pause, so a worker that prints faster than the world reads waits in its own
`print`, and nothing is lost.
"""

import datetime
import json
import os
import select
import selectors
import threading
from collections import deque
from collections.abc import Callable, Iterator

LINE_BYTES = 64 << 10
"""Longer lines are passed on in pieces of this size."""

SINK_BYTES = 1 << 20
"""What a sink keeps before the readers pause."""

_READ_BYTES = 64 << 10
_STDOUT, _STDERR = 1, 2

Format = Callable[[bytes], bytes]


class Sink:
    """A queue of finished lines before a descriptor, emptied by a thread of its own.

    `has_room` and `write` belong to the supervisor's thread, and `on_room` is called in the
    sink's thread as soon as there is room again after there was none.
    """

    def __init__(self, descriptor: int, on_room: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._on_room = on_room
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._was_full = False
        self._is_broken = False
        self._thread = threading.Thread(
            target=self._write_all, name=f"trivet-output-{descriptor}", daemon=True
        )
        self._thread.start()

    @property
    def has_room(self) -> bool:
        """Whether more should be written; remembered, so that `on_room` follows a `False`."""
        with self._changed:
            self._was_full = self._waiting_bytes >= SINK_BYTES
            return not self._was_full

    def write(self, lines: bytes) -> None:
        """Queue whole lines; never waits, and takes them even beyond its size."""
        with self._changed:
            if self._is_broken or not lines:
                return
            self._waiting.append(lines)
            self._waiting_bytes += len(lines)
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all is written, at most so long; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting_bytes, timeout_s)

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                batch = b"".join(self._waiting)
                self._waiting.clear()
            is_broken = not all(_write_whole(self._descriptor, piece) for piece in _whole(batch))
            with self._changed:
                self._is_broken |= is_broken
                self._waiting_bytes -= len(batch)
                tell = self._was_full and self._waiting_bytes < SINK_BYTES
                self._was_full &= not tell
                self._changed.notify_all()
            if tell:
                self._on_room()


class OutputReader:
    """One stream of one worker, from its pipe to a sink. Owns the pipe's descriptor."""

    def __init__(self, descriptor: int, sink: Sink, form: Format) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._form = form
        self._partial = bytearray()
        self.sink = sink
        self.at_eof = False

    def fileno(self) -> int:
        """Return the descriptor to select on."""
        return self._descriptor

    def read(self) -> bool:
        """Pass on one buffer full of what there is; return whether there may be more.

        Sets `at_eof` at the end, and closes the pipe.
        """
        try:
            chunk = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            self.close()
            return False
        self._partial += chunk
        *lines, rest = self._partial.split(b"\n")
        self._partial = rest
        out = [piece for line in lines for piece in _pieces(bytes(line))]
        while len(self._partial) >= LINE_BYTES:
            out.append(bytes(self._partial[:LINE_BYTES]))
            del self._partial[:LINE_BYTES]
        self.sink.write(b"".join(map(self._form, out)))
        return True

    def drain(self) -> None:
        """Pass on all that can be read without waiting, whatever the sink's room."""
        while not self.at_eof and self.read():
            pass

    def close(self) -> None:
        """Pass on the last line even where it has no line end, and close the pipe."""
        if self.at_eof:
            return
        self.at_eof = True
        if self._partial:
            self.sink.write(self._form(bytes(self._partial)))
            self._partial.clear()
        os.close(self._descriptor)


class OutputCollector:
    """Reads the pipes of all workers in the supervisor's selector.

    Attributes:
        stdout: the sink before standard output.
        stderr: the sink before standard error; the same one where both go to the same place, so
            that lines keep their order.
    """

    def __init__(
        self, selector: selectors.BaseSelector, wake: Callable[[], None], *, as_json: bool
    ) -> None:
        self._selector = selector
        self._as_json = as_json
        self._readers: set[OutputReader] = set()
        self._paused: set[OutputReader] = set()
        self.stderr = Sink(_STDERR, wake)
        self.stdout = self.stderr if _are_the_same() else Sink(_STDOUT, wake)

    def add(self, worker: int, stdout: int, stderr: int) -> None:
        """Take over the two pipes of a worker, until their ends are reached."""
        for pipe, sink, level in ((stdout, self.stdout, "info"), (stderr, self.stderr, "error")):
            prefix = f"[worker {worker}] ".encode()
            form = wrapped(worker, level) if self._as_json else prefixed(prefix)
            reader = OutputReader(pipe, sink, form)
            self._readers.add(reader)
            self._listen_to(reader)

    def resume(self) -> None:
        """Read on where a sink has room again."""
        for reader in [each for each in self._paused if each.sink.has_room]:
            self._paused.discard(reader)
            self._listen_to(reader)

    def close(self, timeout_s: float) -> None:
        """Pass on what is still in the pipes, and wait so long for it to be written."""
        for reader in self._readers:
            reader.drain()
            reader.close()
        for sink in {self.stdout, self.stderr}:
            sink.flush(timeout_s)

    def _listen_to(self, reader: OutputReader) -> None:
        self._selector.register(reader, selectors.EVENT_READ, lambda: self._on_readable(reader))

    def _on_readable(self, reader: OutputReader) -> None:
        if not reader.sink.has_room:
            self._selector.unregister(reader)
            self._paused.add(reader)
            return
        descriptor = reader.fileno()
        reader.read()
        if reader.at_eof:
            self._selector.unregister(descriptor)
            self._readers.discard(reader)


def plain(line: bytes) -> bytes:
    """Pass a line on as it is."""
    return line + b"\n"


def prefixed(prefix: bytes) -> Format:
    """Return what puts `[worker 2] ` before a line."""
    return lambda line: b"%s%s\n" % (prefix, line)


def wrapped(worker: int, level: str) -> Format:
    """Return what makes a JSON object of a line, unless it is one already."""

    def form(line: bytes) -> bytes:
        if line.startswith(b"{") and line.endswith(b"}"):
            return line + b"\n"
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")
        event = line.decode("utf-8", "backslashreplace")
        entry = {"timestamp": now, "level": level, "event": event, "worker": worker}
        return json.dumps(entry, ensure_ascii=False).encode() + b"\n"

    return form


def _pieces(line: bytes) -> list[bytes]:
    if len(line) <= LINE_BYTES:
        return [line]
    return [line[start : start + LINE_BYTES] for start in range(0, len(line), LINE_BYTES)]


def _whole(lines: bytes) -> Iterator[bytes]:
    """Cut lines into pieces that a pipe takes whole.

    The edge writes its access log to the same pipe: a longer write could have a line of it in
    its middle. Only a line that is itself longer is not safe from that.
    """
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + select.PIPE_BUF) + 1
        end = end or lines.find(b"\n", start + select.PIPE_BUF) + 1 or len(lines)
        yield lines[start:end]
        start = end


def _write_whole(descriptor: int, data: bytes) -> bool:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # somebody has made it non-blocking
            select.select([], [descriptor], [])
        except OSError:  # nobody will ever read it
            return False
    return True


def _are_the_same() -> bool:
    try:
        return os.path.samestat(os.fstat(_STDOUT), os.fstat(_STDERR))
    except OSError:  # one of them is closed: then the other takes all
        return True
