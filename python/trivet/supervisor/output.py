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
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from trivet.supervisor.tracebacks import Folder, Group, described

LINE_BYTES = 64 << 10
"""Longer lines are passed on in pieces of this size."""

SINK_BYTES = 1 << 20
"""What a sink keeps before the readers pause."""

HOLD_S = 0.2
"""How long a traceback's lines wait for each other: Python writes them one by one."""

TAIL_BYTES = 32 << 10
"""What is kept of a worker's standard error: the stacks of all threads, as it dies."""

_READ_BYTES = 64 << 10
_LAST_READS = 64
"""A pipe holds a buffer full; more reads than that many would follow a child of the worker's."""
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

    def __init__(self, descriptor: int, sink: Sink, form: "Format | Wrapped") -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._form = form
        self._flush_at: float | None = None
        self._partial = bytearray()
        self.tail = b""
        """The last that was read, `TAIL_BYTES` at the most."""
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
        self.tail = (self.tail + chunk)[-TAIL_BYTES:]
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
        self.flush()
        os.close(self._descriptor)

    @property
    def flush_at(self) -> float | None:
        """When lines that wait for the rest of their traceback have waited for long enough."""
        if not isinstance(self._form, Wrapped) or not self._form.is_holding:
            self._flush_at = None
        elif self._flush_at is None:
            self._flush_at = time.monotonic() + HOLD_S
        return self._flush_at

    def flush(self) -> None:
        """Pass on what waits for the rest of its traceback."""
        if isinstance(self._form, Wrapped):
            self.sink.write(self._form.flush())


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
        self.as_json = as_json
        self._readers: set[OutputReader] = set()
        self._paused: set[OutputReader] = set()
        self._errors: dict[int, OutputReader] = {}
        self.stderr = Sink(_STDERR, wake)
        self.stdout = self.stderr if _are_the_same() else Sink(_STDOUT, wake)

    def add(self, worker: int, stdout: int, stderr: int) -> None:
        """Take over the two pipes of a worker, until their ends are reached.

        Worker 0 is the process that imports the app before there are workers.
        """
        name = f"worker {worker}" if worker else "preload"
        self._errors[worker] = self._add(name, {"worker": worker}, stdout, stderr)

    def add_task(self, name: str, stdout: int, stderr: int) -> None:
        """Take over the two pipes of a background task."""
        self._add(f"task {name}", {"task": name}, stdout, stderr)

    def _add(
        self, name: str, source: Mapping[str, object], stdout: int, stderr: int
    ) -> OutputReader:
        """Read both, and return the reader of standard error; `source` is what JSON names."""
        self._read_from(stdout, self.stdout, name, Wrapped(source, "info"))
        return self._read_from(stderr, self.stderr, name, Wrapped(source, "error"))

    def _read_from(self, pipe: int, sink: Sink, name: str, wrapped: "Wrapped") -> OutputReader:
        form = wrapped if self.as_json else prefixed(f"[{name}] ".encode())
        reader = OutputReader(pipe, sink, form)
        self._readers.add(reader)
        self._listen_to(reader)
        return reader

    def last_words(self, worker: int) -> bytes:
        """Return the end of what a dead worker wrote to standard error; once for each."""
        reader = self._errors.pop(worker, None)
        if reader is None:
            return b""
        for _ in range(_LAST_READS):
            if reader.at_eof or reader in self._paused or not self._read(reader):
                break
        return reader.tail

    def resume(self) -> None:
        """Read on where a sink has room again."""
        for reader in [each for each in self._paused if each.sink.has_room]:
            self._paused.discard(reader)
            self._listen_to(reader)

    def next_deadline(self) -> float | None:
        """Return when `flush_due` has to be called at the latest, or `None` for no such time."""
        times = (reader.flush_at for reader in self._readers)
        return min((time for time in times if time is not None), default=None)

    def flush_due(self, now: float) -> None:
        """Pass on what has waited for long enough."""
        for reader in self._readers:
            if (due := reader.flush_at) is not None and due <= now:
                reader.flush()

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
        self._read(reader)

    def _read(self, reader: OutputReader) -> bool:
        descriptor = reader.fileno()
        has_more = reader.read()
        if reader.at_eof:
            self._selector.unregister(descriptor)
            self._readers.discard(reader)
        return has_more


def plain(line: bytes) -> bytes:
    """Pass a line on as it is."""
    return line + b"\n"


def prefixed(prefix: bytes) -> Format:
    """Return what puts `[worker 2] ` before a line."""
    return lambda line: b"%s%s\n" % (prefix, line)


class Wrapped:
    """Makes a JSON object of a line, unless it is one already, and one object of a traceback."""

    def __init__(self, source: Mapping[str, object], level: str) -> None:
        self._source = source
        self._level = level
        self._folder = Folder()

    @property
    def is_holding(self) -> bool:
        """Whether lines wait for the rest of their traceback."""
        return self._folder.is_holding

    def __call__(self, line: bytes) -> bytes:
        """Take a line, and return the objects that are complete."""
        return b"".join(map(self._object, self._folder.feed(line)))

    def flush(self) -> bytes:
        """Return what waits, as it is."""
        return b"".join(map(self._object, self._folder.flush()))

    def _object(self, lines: Group) -> bytes:
        first = lines[0]
        if len(lines) == 1 and first.startswith(b"{") and first.endswith(b"}"):
            return first + b"\n"
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds")
        event, request_id = described(lines) if len(lines) > 1 else (first, b"")
        entry = {"timestamp": now, "level": self._level, "event": _text(event)}
        if len(lines) > 1:
            entry["exception"] = _text(b"\n".join(lines))
        if request_id:
            entry["request_id"] = _text(request_id)
        return json.dumps({**entry, **self._source}, ensure_ascii=False).encode() + b"\n"


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")


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
