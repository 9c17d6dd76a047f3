"""Messages between supervisor and worker: one JSON object per line.

Both ends are Python of the same installation, so there is no second face of this contract. The
worker reads `Start`, answers `Loaded` or `LoadFailed` once, and from then on only listens for
`StopWorker` or the end of the connection.
"""

from typing import Literal, TypeAlias

import msgspec


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a message."""


class AppTarget(_Record):
    """Which app to load, and from where.

    `name` is the target as the operator knows it (`shop:create_app()`), `module` the dotted name
    to import, `expression` the attribute path or call in it. `directory` goes first on
    `sys.path`; `interface` is `auto`, `wsgi` or `asgi`.
    """

    name: str
    module: str
    expression: str
    factory: bool
    directory: str
    interface: Literal["auto", "wsgi", "asgi"]


class SourceLine(_Record):
    """A place in the app's source, to be shown with its text.

    `text` is `""` where the source cannot be read; `column` counts from 1, 0 where unknown;
    `width` is what the caret underlines.
    """

    file: str
    line: int
    column: int
    width: int
    text: str


class LoadFailure(_Record):
    """Why the app was not loaded, for people: the parts of an `errors.AppLoadError`.

    `detail` has further lines (the app's own traceback, what was found), or is `""`.
    """

    code: str
    message: str
    hint: str | None
    source: SourceLine | None
    detail: str


class _Message(_Record, tag_field="type"):
    """What the messages have in common."""


class Start(_Message, tag="start"):
    """First message to a worker. The descriptors are inherited under these numbers.

    `mount` is the path prefix of the app, without a slash at its end. A worker that only checks
    (`--check`) gets -1 for each descriptor.
    """

    worker: int
    app: AppTarget
    threads: int
    multiprocess: bool
    mount: str
    link_fd: int
    claim_fd: int
    doorbell_fd: int


class StopWorker(_Message, tag="stop"):
    """Finish the running requests, then exit."""


class Loaded(_Message, tag="loaded"):
    """The app is there.

    `framework` is its name with version (`Flask 3.1.3`), or `""`; `seconds` what loading took.
    """

    interface: Literal["wsgi", "asgi"]
    framework: str
    seconds: float


class LoadFailed(_Message, tag="load_failed"):
    """The app could not be loaded; the worker exits with 3."""

    failure: LoadFailure


ToWorker: TypeAlias = Start | StopWorker
FromWorker: TypeAlias = Loaded | LoadFailed

_encoder = msgspec.json.Encoder()
_to_worker: msgspec.json.Decoder[ToWorker] = msgspec.json.Decoder(ToWorker)
_from_worker: msgspec.json.Decoder[FromWorker] = msgspec.json.Decoder(FromWorker)


def encode(message: ToWorker | FromWorker) -> bytes:
    """Return the message as a line, with its line end."""
    return _encoder.encode(message) + b"\n"


def decode_to_worker(line: bytes) -> ToWorker:
    """Decode what a supervisor says to a worker.

    Raises:
        msgspec.DecodeError: for anything but a whole message.
    """
    return _to_worker.decode(line)


def decode_from_worker(line: bytes) -> FromWorker:
    """Decode what a worker says to its supervisor.

    Raises:
        msgspec.DecodeError: for anything but a whole message.
    """
    return _from_worker.decode(line)
