"""Incidents on disk: a file each, so that they outlive the stand.

A thread of its own writes them, because a disk may be slow and the supervisor never waits. A file
appears whole or not at all (written beside, then renamed), and its name is made of time and
chance: an id may come from a proxy, and is no name for a file.
"""

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from trivet.wire.incident import Incident, decode, encode

MOST_WAITING = 256
"""Incidents that wait for a slow disk; more are not written."""

_ENDING = ".incident.json"
_MOST_BYTES = 1 << 20
_CLOSE_S = 2.0


class IncidentFolder:
    """A folder with the newest incidents, at most `most` files.

    `warn` is called in the writing thread, once for each kind of trouble.
    """

    def __init__(self, path: Path, most: int, warn: Callable[[str], None]) -> None:
        self._path = path
        self._most = most
        self._warn = warn
        self._has_warned = False
        self._waiting: queue.Queue[Incident | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(
            target=self._write_all, name="trivet-incidents", daemon=True
        )

    def load(self) -> list[Incident]:
        """Return what an earlier stand has left, oldest first, and start to write.

        What cannot be read or is of another version is passed over.
        """
        found = []
        for name in self._names()[-self._most :]:
            with (
                contextlib.suppress(OSError, msgspec.DecodeError),
                (self._path / name).open("rb") as file,
            ):
                found.append(decode(file.read(_MOST_BYTES)))
        self._thread.start()
        return found

    def write(self, incident: Incident) -> None:
        """Have it written soon; never waits."""
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(incident)

    def close(self) -> None:
        """Write what waits, as far as the disk does it within two seconds."""
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)
            self._thread.join(_CLOSE_S)

    def _write_all(self) -> None:
        while (incident := self._waiting.get()) is not None:
            try:
                self._write(incident)
            except OSError as error:
                if not self._has_warned:
                    self._has_warned = True
                    self._warn(f"incidents cannot be written to `{self._path}`: {error.strerror}")

    def _write(self, incident: Incident) -> None:
        name = f"{int(incident.time * 1e6):020}-{os.urandom(4).hex()}"
        draft = self._path / f"{name}.draft"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(encode(incident))
            draft.rename(self._path / f"{name}{_ENDING}")
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        for old in self._names()[: -self._most]:
            (self._path / old).unlink(missing_ok=True)

    def _names(self) -> list[str]:
        with contextlib.suppress(OSError):
            return sorted(name for name in os.listdir(self._path) if name.endswith(_ENDING))
        return []
