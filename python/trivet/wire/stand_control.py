"""What a command says to a running stand, and what it is told: one JSON object per line.

The two ends may be of different installations (an upgrade leaves the old stand running), so every
request names its version, and `Refused` keeps its form in all versions. Requests of one
connection are answered in their order, one at a time. `docs/internals/stand-control.md` has the
rules on sizes and times.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec

from trivet.wire import stand_address
from trivet.wire.edge_config import U32, U64
from trivet.wire.incident import Incident, Kind
from trivet.wire.worker_control import LoadFailure

STAND_CONTROL_VERSION = stand_address.STAND_CONTROL_VERSION

MAX_REQUEST_BYTES = 64 << 10
"""A request says a word or two; a longer line is no request."""

MAX_REPLY_BYTES = 16 << 20
"""A reply tells of a thousand workers, or of as many incidents."""

Count = Annotated[int, msgspec.Meta(ge=1, le=1024)]
State = Literal["starting", "serving", "reloading", "degraded", "stopping"]


class StandVersionError(Exception):
    """The other end speaks another version of this contract."""

    def __init__(self, theirs: object) -> None:
        super().__init__(f"version {theirs} of the control protocol, not {STAND_CONTROL_VERSION}")


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a message."""


class _Message(_Record, frozen=True, tag_field="type"):
    """What requests and replies have in common."""

    version: int


# Requests


class HealthAsked(_Message, frozen=True, tag="health"):
    """Does it serve? Answered by `Health`."""


class IdentityAsked(_Message, frozen=True, tag="identity"):
    """Who is it? Answered by `Identity`."""


class StatusAsked(_Message, frozen=True, tag="status"):
    """How is it? Answered by `StandStatus`."""


class StopAsked(_Message, frozen=True, tag="stop"):
    """Stop. Answered by `Stopping`; the connection then stays open until the stand is gone.

    `now` cuts off the requests in flight.
    """

    now: bool


class ScaleAsked(_Message, frozen=True, tag="scale"):
    """Have so many workers, or with `is_change` so many more or fewer. Answered by `Scaled`.

    `app` names one of several apps; `None` means each of them.
    """

    app: str | None
    workers: Annotated[int, msgspec.Meta(ge=-1024, le=1024)]
    is_change: bool


class ReloadAsked(_Message, frozen=True, tag="reload"):
    """Have new workers. Answered by `Reloaded`: with `wait` once it is known how it went."""

    wait: bool


class IncidentsAsked(_Message, frozen=True, tag="incidents"):
    """What went wrong lately? At most `limit` of them, answered by `Incidents`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)]


class IncidentAsked(_Message, frozen=True, tag="incident"):
    """What do you know of this one? Answered by `FoundIncidents`."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class StackAsked(_Message, frozen=True, tag="stack"):
    """Where is the code of each worker, or of just one? Answered by `Stacks`."""

    worker: U32 | None


# Replies


class Refused(_Message, frozen=True, tag="refused"):
    """It was not done, and why; `code` is a key of `errors.CODES`."""

    code: str
    message: str
    hint: str


class Health(_Message, frozen=True, tag="health"):
    """Whether requests are answered, and in words why not."""

    is_healthy: bool
    because: str


class Identity(_Message, frozen=True, tag="identity"):
    """Which stand it is: process, app, and the folder where it was started.

    `mounts` names its mount namespace, so that those of other containers can be told apart.
    """

    pid: U32
    apps: tuple[str, ...]
    folder: str
    mounts: str
    uptime_s: float


class EdgeStatus(_Record, frozen=True):
    """The edge; its numbers are `None` while it does not answer."""

    pid: U32 | None
    is_ready: bool
    connections: U32 | None
    queued: U32 | None
    in_flight: U32 | None
    requests: U64 | None


class AppStatus(_Record, frozen=True):
    """An app: `name` is empty where there is only one, `wanted` counts the workers there should be.

    `mount` is the path prefix below which clients find it.
    """

    name: str
    target: str
    mount: str
    wanted: U32


class WorkerStatus(_Record, frozen=True):
    """A worker process; `app` is the name of its app.

    `requests` and `in_flight` are `None` while the edge does not know it, `rss_bytes` when the
    system does not tell.
    """

    worker: U32
    pid: U32 | None
    app: str
    interface: Literal["wsgi", "asgi"] | None
    state: str
    generation: U32
    age_s: float
    requests: U64 | None
    in_flight: U32 | None
    rss_bytes: U64 | None


class TaskStatus(_Record, frozen=True):
    """A background task; `age_s` is since its last start."""

    name: str
    pid: U32 | None
    state: str
    runs: U32
    age_s: float
    rss_bytes: U64 | None


class EventLine(_Record, frozen=True):
    """Something that was said on standard error; `time` is seconds since 1970."""

    time: float
    level: str
    text: str


class StandStatus(_Message, frozen=True, tag="status"):
    """How the stand is."""

    trivet: str
    pid: U32
    folder: str
    addresses: tuple[str, ...]
    state: State
    uptime_s: float
    edge: EdgeStatus
    apps: tuple[AppStatus, ...]
    workers: tuple[WorkerStatus, ...]
    tasks: tuple[TaskStatus, ...]
    events: tuple[EventLine, ...]
    """The newest last."""


class Stopping(_Message, frozen=True, tag="stopping"):
    """It stops; `graceful_s` is what requests in flight get."""

    pid: U32
    graceful_s: float


class AppScale(_Record, frozen=True):
    """How many workers an app is to have."""

    app: str
    workers: U32


class Scaled(_Message, frozen=True, tag="scaled"):
    """How many workers there are to be from now on, for each app that was meant."""

    apps: tuple[AppScale, ...]


class Reloaded(_Message, frozen=True, tag="reloaded"):
    """What became of a reload: `running` where nobody wanted to wait for more.

    `text` is the line that was said about it; `failure` why new workers did not load the app, or
    that it is not there; `problems` what is wrong with the configuration.
    """

    outcome: Literal["running", "done", "failed"]
    text: str
    failure: LoadFailure | None
    problems: tuple[LoadFailure, ...]


class IncidentRow(_Record, frozen=True):
    """An incident in short: of its requests the first one."""

    id: str
    time: float
    kind: Kind
    summary: str
    app: str
    worker: U32 | None
    method: str
    target: str
    status: U32


class Incidents(_Message, frozen=True, tag="incidents"):
    """The newest first; `total` counts those of this stand, `dropped` those never recorded."""

    incidents: tuple[IncidentRow, ...]
    total: U64
    dropped: U64


class FoundIncidents(_Message, frozen=True, tag="found_incidents"):
    """All that is known of those with the id, the newest first."""

    incidents: tuple[Incident, ...]


class WorkerStacks(_Record, frozen=True):
    """Where the threads of a worker are; `app` is the name of its app.

    `stacks` is what `faulthandler` writes of all threads, the most recent call first; with
    `is_cut` its end is left out. `problem` says why there is none, and is empty where there is.
    """

    worker: U32
    pid: U32 | None
    app: str
    state: str
    stacks: str
    is_cut: bool
    problem: str


class Stacks(_Message, frozen=True, tag="stacks"):
    """Where the threads of the workers are."""

    workers: tuple[WorkerStacks, ...]


Request: TypeAlias = (
    HealthAsked
    | IdentityAsked
    | StatusAsked
    | StopAsked
    | ScaleAsked
    | ReloadAsked
    | IncidentsAsked
    | IncidentAsked
    | StackAsked
)
Reply: TypeAlias = (
    Refused
    | Health
    | Identity
    | StandStatus
    | Stopping
    | Scaled
    | Reloaded
    | Incidents
    | FoundIncidents
    | Stacks
)


class _Versioned(msgspec.Struct):
    """Any message of any version."""

    version: int


_encoder = msgspec.json.Encoder()
_versions = msgspec.json.Decoder(_Versioned)
_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_replies: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    """Return the message as a line, with its line end."""
    return _encoder.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """Decode what a command says.

    Raises:
        StandVersionError: it speaks another version.
        msgspec.DecodeError: for anything but a whole request.
    """
    if (theirs := _versions.decode(line).version) != STAND_CONTROL_VERSION:
        raise StandVersionError(theirs)
    return _requests.decode(line)


def decode_reply(line: bytes) -> Reply:
    """Decode what a stand says.

    Raises:
        StandVersionError: it speaks another version.
        msgspec.DecodeError: for anything but a whole reply.
    """
    if (theirs := _versions.decode(line).version) != STAND_CONTROL_VERSION:
        raise StandVersionError(theirs)
    return _replies.decode(line)
