"""Control messages: one JSON object per line, supervisor <-> edge.

The Python face of `crates/trivet-wire/src/control.rs`: the same names, the same fields, no
defaults, unknown fields refused. A message may own descriptors, which travel with its bytes
(`SCM_RIGHTS`); its `fds` says how many, and the receiver takes that many in order.
"""

import enum
from typing import Literal, TypeAlias

import msgspec

from trivet.wire import check_version
from trivet.wire.edge_config import U32, U64, EdgeConfig


class Overdue(enum.Enum):
    """Why a running request has to end."""

    DISCONNECT = "disconnect"
    """Its client has left, and its route says that this is a reason."""
    STALL = "stall"
    """The response stalled behind its head."""
    TIMEOUT = "timeout"
    """Its time is over."""


class _Message(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"
):
    """What all control messages have in common: nothing is left out, nothing added."""


class Configure(_Message, frozen=True, tag="configure"):
    """First message. Descriptors: the listeners, in the document's order."""

    version: U32
    fds: U32
    config: EdgeConfig

    def __post_init__(self) -> None:
        check_version(self.version)


class Reconfigure(_Message, frozen=True, tag="reconfigure"):
    """Another configuration, for the edge as it runs; answered with `Reconfigured`.

    Listeners, threads and the number of apps cannot differ. With `trial` the edge only says
    whether it could use it, and goes on as it is.
    """

    id: U64
    trial: bool
    config: EdgeConfig


class WarmUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker is to answer before it serves: paths below the app's mount, in this order.

    `host` is the value of the `Host` field, `timeout_ms` holds for all of them together.
    """

    paths: tuple[str, ...]
    host: str
    timeout_ms: U32


class AddWorker(_Message, frozen=True, tag="add_worker"):
    """A worker has loaded the app. Descriptors: its link, its claim page, its doorbell.

    `app` is the app's place in `EdgeConfig.apps`; `concurrency` is how many requests an event loop
    may run at once, 0 for threads; with `warm_up` it serves only after a `ServeWorker`.
    """

    fds: U32
    worker: U32
    app: U32
    pid: U32
    threads: U32
    concurrency: U32
    warm_up: WarmUp | None


class ServeWorker(_Message, frozen=True, tag="serve_worker"):
    """Hand requests to a worker that has been warmed up."""

    worker: U32


class DrainWorker(_Message, frozen=True, tag="drain_worker"):
    """Hand the worker no further request, and say when it has none left."""

    worker: U32


class WorkerDied(_Message, frozen=True, tag="worker_died"):
    """Tell the clients of this worker's requests that it died: `SIGKILL`, `exit 3`, …."""

    worker: U32
    reason: str


class Drain(_Message, frozen=True, tag="drain"):
    """Accept nothing new, finish what is in flight, then exit; cut off after the deadline."""

    deadline_ms: U32


class Stop(_Message, frozen=True, tag="stop"):
    """Exit now."""


class ReopenLogs(_Message, frozen=True, tag="reopen_logs"):
    """Open the log files anew."""


class StatusAsked(_Message, frozen=True, tag="status"):
    """Answer with `Status` of the same `id` (`ToEdge::Status` in Rust)."""

    id: U64


class Ready(_Message, frozen=True, tag="ready"):
    """Connections are accepted."""

    version: U32
    pid: U32


class Refused(_Message, frozen=True, tag="refused"):
    """The configuration cannot be used; the edge exits."""

    reason: str


class Reconfigured(_Message, frozen=True, tag="reconfigured"):
    """Answer to `Reconfigure`: why the configuration cannot be used, and the one before stays."""

    id: U64
    refused: str | None


class WorkerLost(_Message, frozen=True, tag="worker_lost"):
    """A worker's connection ended or broke its contract.

    `started` counts the requests that Python had begun on it, `retried` those that were sent to
    another worker, or will be.
    """

    worker: U32
    reason: str
    started: U32
    retried: U32
    broke_contract: bool


class FailedRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request that went wrong; the times count from `received_unix_us`, in microseconds.

    `mount` is the path prefix of its app, without a slash at its end; `route` the name of the
    route whose settings it had, `None` for those of the app.
    """

    id: str
    method: str
    target: str
    mount: str
    route: str | None
    client: str
    attempts: U32
    received_unix_us: U64
    handed_out_us: U64 | None
    started_us: U64 | None
    answered_us: U64 | None
    failed_us: U64
    outcome: Literal["answered", "cut", "gone", "retried", "whole"]
    status: U32


class Raised(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the app raised, where, and its traceback."""

    error: str
    place: str
    trace: str


class WorkerWarmed(_Message, frozen=True, tag="worker_warmed"):
    """A worker has answered what it was to answer first, or `failed` says which path it has not."""

    worker: U32
    failed: str | None


class RequestFailed(_Message, frozen=True, tag="request_failed"):
    """A request went wrong: the app raised, or its worker was lost (`raised` is `None` then).

    `dropped` counts those that were not told since the edge's start, because there were too many.
    """

    worker: U32
    request: FailedRequest
    raised: Raised | None
    dropped: U64


class WorkerDrained(_Message, frozen=True, tag="worker_drained"):
    """A draining worker has no request left; its connection is closed."""

    worker: U32


class RequestOverdue(_Message, frozen=True, tag="request_overdue"):
    """A running request has to end: nobody waits for its answer any more.

    `request` is its number in the frames, `path` is decoded and below the app's mount, `id` is
    what its log lines carry. `running_ms` is `None` where it has ended by itself since. `failed`
    is the incident that it makes: none where just its client has left, or where there were too
    many, which `dropped` counts as in `RequestFailed`.
    """

    worker: U32
    request: U64
    cause: Overdue
    running_ms: U32 | None
    method: str
    path: str
    id: str
    failed: FailedRequest | None
    dropped: U64


class RequestReleased(_Message, frozen=True, tag="request_released"):
    """A request that was overdue has let go of its worker, or its worker is gone."""

    worker: U32
    request: U64


class RequestStuck(_Message, frozen=True, tag="request_stuck"):
    """An overdue request has not let go in its time of grace: the worker is to be replaced."""

    worker: U32
    request: U64


class Log(_Message, frozen=True, tag="log"):
    """A line for the operator's log; `level` is `info`, `warning` or `error`."""

    level: str
    text: str


class AppLoad(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What waits for an app, as the edge sees it.

    `app` is its place in `EdgeConfig.apps`, `queued` the requests that wait for a worker, and
    `oldest_wait_us` how long the first of them has waited.
    """

    app: U32
    queued: U32
    oldest_wait_us: U64


class WorkerLoad(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a worker has to do, as the edge sees it: requests that it holds, and has answered.

    `waited_us` is how long all of these waited in sum, from their arrival until the app was
    called.
    """

    worker: U32
    in_flight: U32
    requests: U64
    waited_us: U64


class Load(_Message, frozen=True, tag="load"):
    """What there is to do: every second in which a request was answered or waited."""

    apps: tuple[AppLoad, ...]
    workers: tuple[WorkerLoad, ...]


class Status(_Message, frozen=True, tag="status"):
    """Answer to `StatusAsked`: what the edge has open, and has answered since its start."""

    id: U64
    connections: U32
    queued: U32
    in_flight: U32
    requests: U64
    workers: tuple[WorkerLoad, ...]


ToEdge: TypeAlias = (
    Configure
    | Reconfigure
    | AddWorker
    | ServeWorker
    | DrainWorker
    | WorkerDied
    | Drain
    | Stop
    | ReopenLogs
    | StatusAsked
)
FromEdge: TypeAlias = (
    Ready
    | Refused
    | Reconfigured
    | WorkerLost
    | WorkerWarmed
    | RequestFailed
    | WorkerDrained
    | Load
    | RequestOverdue
    | RequestReleased
    | RequestStuck
    | Log
    | Status
)

_encoder = msgspec.json.Encoder()
_to_edge: msgspec.json.Decoder[ToEdge] = msgspec.json.Decoder(ToEdge)
_from_edge: msgspec.json.Decoder[FromEdge] = msgspec.json.Decoder(FromEdge)


def encode(message: ToEdge | FromEdge) -> bytes:
    """Return the message as a line, with its line end."""
    return _encoder.encode(message) + b"\n"


def decode_to_edge(line: bytes) -> ToEdge:
    """Decode what a supervisor says to an edge.

    Raises:
        msgspec.DecodeError: for anything but a whole message (`ValidationError` is one).
    """
    return _to_edge.decode(line)


def decode_from_edge(line: bytes) -> FromEdge:
    """Decode what an edge says to its supervisor.

    Raises:
        msgspec.DecodeError: for anything but a whole message (`ValidationError` is one).
    """
    return _from_edge.decode(line)
