"""Where the workers' output goes, and when it has to wait."""

import os
import selectors
from collections.abc import Callable

from trivet.supervisor.output import OutputReader, Sink, prefixed, wrapped

_STDOUT, _STDERR = 1, 2


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


def _are_the_same() -> bool:
    try:
        return os.path.samestat(os.fstat(_STDOUT), os.fstat(_STDERR))
    except OSError:  # one of them is closed: then the other takes all
        return True
