"""Which source files have changed, for `--reload`.

A thread watches, with watchfiles where it is installed and by looking every second where it is
not; it puts the names on a list and wakes the supervisor's loop.
"""

import fnmatch
import importlib.util
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

POLL_S = 1.0
"""How often all files are looked at without watchfiles: soon enough after a key press."""


class Watcher:
    """Watches folders from `start` to `stop`."""

    def __init__(
        self,
        folders: Sequence[Path],
        include: Sequence[str],
        exclude: Sequence[str],
        on_change: Callable[[], None],
    ) -> None:
        self._folders = folders
        self._wanted = Wanted(include, exclude)
        self._on_change = on_change
        self._changed: set[str] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trivet-reload", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, without waiting for it."""
        self._stopped.set()

    def take(self) -> list[str]:
        """Return the files that have changed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, set()
        return sorted(changed)

    def _run(self) -> None:
        has_watchfiles = importlib.util.find_spec("watchfiles") is not None
        changes = self._notified() if has_watchfiles else self._polled()
        for batch in changes:
            wanted = {name for name in batch if self._wanted(name, self._folders)}
            if wanted:
                with self._lock:
                    self._changed |= wanted
                self._on_change()

    def _notified(self) -> Iterator[Iterable[str]]:
        import watchfiles  # noqa: PLC0415 - only there for development

        for batch in watchfiles.watch(
            *self._folders,
            watch_filter=None,
            stop_event=self._stopped,
            debounce=400,
            step=50,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            yield [name for _, name in batch]

    def _polled(self) -> Iterator[Iterable[str]]:
        before = self._wanted.scan(self._folders)
        while not self._stopped.wait(POLL_S):
            after = self._wanted.scan(self._folders)
            if after != before:
                yield {name for name, _ in after.items() ^ before.items()}
            before = after


class Wanted:
    """Decides which names count: `include` by file name, `exclude` by any part of the path."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._include = tuple(include)
        self._exclude = tuple(exclude)

    def __call__(self, name: str, folders: Sequence[Path]) -> bool:
        """Tell whether a change of the file `name` (absolute) counts."""
        path = Path(name)
        folder = next((each for each in folders if path.is_relative_to(each)), Path())
        parts = path.relative_to(folder).parts if path.is_relative_to(folder) else path.parts
        return self._is_included(path.name) and not any(map(self._is_excluded, parts))

    def scan(self, folders: Sequence[Path]) -> dict[str, tuple[int, int]]:
        """Return time and size of every file that counts."""
        found: dict[str, tuple[int, int]] = {}
        for folder in folders:
            for parent, inner, names in os.walk(folder):
                inner[:] = [name for name in inner if not self._is_excluded(name)]
                for name in names:
                    if self._is_included(name) and not self._is_excluded(name):
                        path = os.path.join(parent, name)
                        found |= _stamp(path)
        return found

    def _is_included(self, name: str) -> bool:
        return any(fnmatch.fnmatch(name, pattern) for pattern in self._include)

    def _is_excluded(self, part: str) -> bool:
        return any(fnmatch.fnmatch(part, pattern) for pattern in self._exclude)


class TouchFile:
    """A file that is looked at every second, by the supervisor's own loop."""

    def __init__(self, path: Path, now: float) -> None:
        self._path = path
        self._before = _stamp(str(path))
        self.next_look = now + POLL_S

    def is_touched(self, now: float) -> bool:
        """Look, if it is time: whether it has been written or made since the last look."""
        if now < self.next_look:
            return False
        self.next_look = now + POLL_S
        before, self._before = self._before, _stamp(str(self._path))
        return bool(self._before) and self._before != before


def describe_changes(names: Sequence[str], folders: Sequence[Path]) -> str:
    """Return `app.py changed`, or `app.py and 3 more changed`."""
    first = Path(names[0])
    folder = next((each for each in folders if first.is_relative_to(each)), None)
    shown = str(first.relative_to(folder)) if folder else str(first)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{shown}{more} changed"


def _stamp(path: str) -> dict[str, tuple[int, int]]:
    try:
        status = os.stat(path)
    except OSError:  # removed in the meantime
        return {}
    return {path: (status.st_mtime_ns, status.st_size)}
