"""Messages between supervisor and worker: one JSON object per line.

Both ends are Python of the same installation, so there is no second face of this contract. The
worker reads `Start`, answers `Loaded` or `LoadFailed` once, and from then on only listens for
`StopWorker` or the end of the connection.
"""

from typing import Literal, TypeAlias, cast

from trivet.errors import AppLoadError, Place
from trivet.wire import record
from trivet.wire.record import Record


class AppTarget(Record):
    """Which app to load, and from where.

    `name` is the target as the operator knows it (`shop:create_app()`), `module` the dotted name
    to import, `expression` the attribute path or call in it. `directory` goes first on
    `sys.path`; `interface` is `auto`, `wsgi` or `asgi`; `async_views` says whether those of Flask
    share a loop.
    """

    name: str
    module: str
    expression: str
    factory: bool
    directory: str
    interface: Literal["auto", "wsgi", "asgi"]
    async_views: Literal["shared", "own"]


class LoadFailure(Record):
    """Why the app was not loaded: an `AppLoadError` on its way from the worker to the operator.

    `place` is file, line, column, width and text of an `errors.Place`; absent parts are empty.
    """

    code: str
    message: str
    hint: str
    place: tuple[str, int, int, int, str] | None
    detail: str

    @classmethod
    def from_error(cls, error: AppLoadError) -> "LoadFailure":
        """Take the error apart."""
        return cls(
            code=error.code,
            message=error.message,
            hint=error.hint or "",
            place=error.place,
            detail=error.detail or "",
        )

    def to_error(self) -> AppLoadError:
        """Put the error together again."""
        return AppLoadError(
            self.message,
            code=self.code,
            hint=self.hint or None,
            place=Place(*self.place) if self.place else None,
            detail=self.detail or None,
        )


class Hooks(Record):
    """What the operator wants called in the worker, as `module:function`; `""` for nothing."""

    on_start: str
    post_fork: str
    on_ready: str
    on_exit: str


NO_HOOKS = Hooks(on_start="", post_fork="", on_ready="", on_exit="")


class Start(Record, tag="start"):
    """First message to a worker. The descriptors are inherited under these numbers.

    `mount` is the path prefix of the app, without a slash at its end. A worker that only checks
    (`--check`) gets -1 for each descriptor, and so does one that is forked, which learns its
    numbers otherwise (`fork_control`).
    """

    worker: int
    app: AppTarget
    hooks: Hooks
    threads: int
    multiprocess: bool
    mount: str
    link_fd: int
    claim_fd: int
    doorbell_fd: int


class StopWorker(Record, tag="stop"):
    """Finish the running requests, then exit."""


class Loaded(Record, tag="loaded"):
    """The app is there.

    `framework` is its name with version (`Flask 3.1.3`), or `""`; `seconds` what loading took.
    """

    interface: Literal["wsgi", "asgi"]
    framework: str
    seconds: float


class LoadFailed(Record, tag="load_failed"):
    """The app could not be loaded; the worker exits with 3."""

    failure: LoadFailure


ToWorker: TypeAlias = Start | StopWorker
FromWorker: TypeAlias = Loaded | LoadFailed

_TO_WORKER = record.by_tag(Start, StopWorker)
_FROM_WORKER = record.by_tag(Loaded, LoadFailed)

encode = record.encode


def decode_to_worker(line: bytes) -> ToWorker:
    """Decode what a supervisor says to a worker.

    Raises:
        RecordError: for anything but a whole message.
    """
    return cast("ToWorker", record.decode(line, _TO_WORKER))


def decode_from_worker(line: bytes) -> FromWorker:
    """Decode what a worker says to its supervisor.

    Raises:
        RecordError: for anything but a whole message.
    """
    return cast("FromWorker", record.decode(line, _FROM_WORKER))
