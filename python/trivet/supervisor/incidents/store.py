"""The latest incidents, bounded by number and by size; pure."""

from collections import deque
from collections.abc import Iterator

from trivet.wire.incident import Incident, encode


class IncidentStore:
    """A ring of incidents: the oldest goes when a new one finds no room.

    Attributes:
        total: how many there were, those that are gone included.
    """

    def __init__(self, *, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept: deque[tuple[Incident, int]] = deque()
        self._bytes = 0
        self.total = 0

    def add(self, incident: Incident) -> None:
        """Keep one more; the newest is kept whatever its size."""
        size = len(encode(incident))
        self._kept.append((incident, size))
        self._bytes += size
        self.total += 1
        while len(self._kept) > 1 and (
            len(self._kept) > self._most or self._bytes > self._most_bytes
        ):
            self._bytes -= self._kept.popleft()[1]

    def newest_first(self) -> Iterator[Incident]:
        """Return what is kept."""
        return (incident for incident, _ in reversed(self._kept))

    def find(self, wanted: str) -> list[Incident]:
        """Return those with this id, or with a request of it, newest first.

        A proxy may give several requests the same id. Where none has it, it may be the beginning
        or the end of just one.
        """
        if found := [each for each in self.newest_first() if wanted in ids_of(each)]:
            return found
        near = [
            each
            for each in self.newest_first()
            if any(known.startswith(wanted) or known.endswith(wanted) for known in ids_of(each))
        ]
        return near if len(near) == 1 and wanted else []


def ids_of(incident: Incident) -> set[str]:
    """Return every id that leads to the incident."""
    return {incident.id, *(request.id for request in incident.requests)}
