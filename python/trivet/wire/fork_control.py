"""Messages between supervisor and fork server (`preload`): one JSON object per line.

Both ends are Python of the same installation, as with `worker_control`. A fork server reads
`Preload`, answers `Preloaded` or `PreloadFailed` once, and from then on makes a worker for each
`Fork`. The end of the connection ends it; the workers that it made are not its own any more.
"""

from typing import Literal, TypeAlias, cast

from trivet.wire import record
from trivet.wire.record import Record
from trivet.wire.worker_control import AppTarget, Hooks, LoadFailure, Start

FORK_DESCRIPTORS = 6
"""Those of a `Fork`, in this order: control, stdout, stderr, link, claim page, doorbell."""


class Preload(Record, tag="preload"):
    """First message to a fork server."""

    app: AppTarget
    hooks: Hooks


class Fork(Record, tag="fork"):
    """Make a worker; `FORK_DESCRIPTORS` descriptors come along."""

    start: Start


class Finding(Record):
    """Something that the import has opened and that a fork does no good.

    `place` is file, line, column, width and text of an `errors.Place`.
    """

    kind: Literal["thread", "socket", "loop"]
    what: str
    place: tuple[str, int, int, int, str] | None


class Preloaded(Record, tag="preloaded"):
    """The app is there, and workers can be forked."""

    seconds: float
    findings: tuple[Finding, ...]


class PreloadFailed(Record, tag="preload_failed"):
    """The app could not be loaded; the fork server exits with 3."""

    failure: LoadFailure


class Forked(Record, tag="forked"):
    """The worker runs, as a child of the supervisor."""

    worker: int
    pid: int


class ForkFailed(Record, tag="fork_failed"):
    """There is no worker; `reason` is the system's."""

    worker: int
    reason: str


ToForkServer: TypeAlias = Preload | Fork
FromForkServer: TypeAlias = Preloaded | PreloadFailed | Forked | ForkFailed

_TO = record.by_tag(Preload, Fork)
_FROM = record.by_tag(Preloaded, PreloadFailed, Forked, ForkFailed)

encode = record.encode


def decode_to_fork_server(line: bytes) -> ToForkServer:
    """Decode what a supervisor says to a fork server.

    Raises:
        RecordError: for anything but a whole message.
    """
    return cast("ToForkServer", record.decode(line, _TO))


def decode_from_fork_server(line: bytes) -> FromForkServer:
    """Decode what a fork server says to its supervisor.

    Raises:
        RecordError: for anything but a whole message.
    """
    return cast("FromForkServer", record.decode(line, _FROM))
