"""What is kept of an accident: of a process that died, or of a request that the app failed on.

No field of a request, no content and no local value of a frame has a place here.
"""

from typing import Literal, TypeAlias

import msgspec

from trivet.wire.control import FailedRequest
from trivet.wire.edge_config import U32, U64

Kind: TypeAlias = Literal[
    "exception",
    "timeout",
    "stall",
    "crash",
    "kill",
    "out_of_memory",
    "exit",
    "contract",
    "cut_off",
    "lost",
]
"""What happened: an unhandled exception; a request whose time was over while it ran, or whose
response stalled behind its head; a process that died by a signal of its own, by SIGKILL,
for want of memory, or by leaving; a worker that said what no worker may say, that had to be cut
off, or whose connection was lost."""


class Incident(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One accident.

    `id` is that of its first request, which is the one on the client's error page and in the
    access log, or one of its own. `time` is seconds since 1970. `app` is the app's name, empty
    where there is only one. `memory_before_bytes` is what the process had when it began to serve,
    `memory_after_bytes` what it had at the accident, or for a dead one the most that it ever had.
    `more_requests` counts those that did not find a place in `requests`.
    """

    id: str
    time: float
    kind: Kind
    summary: str
    place: str
    stack: str
    process: Literal["worker", "edge"]
    app: str
    worker: U32 | None
    pid: U32 | None
    generation: U32 | None
    signal: str | None
    exit_code: int | None
    is_out_of_memory: bool
    memory_before_bytes: U64 | None
    memory_after_bytes: U64 | None
    requests: tuple[FailedRequest, ...]
    more_requests: U32


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Incident)


def encode(incident: Incident) -> bytes:
    """Return the incident as a JSON document."""
    return _encoder.encode(incident)


def decode(document: bytes) -> Incident:
    """Read what `encode` wrote.

    Raises:
        msgspec.DecodeError: for anything but a whole incident of this version.
    """
    return _decoder.decode(document)
