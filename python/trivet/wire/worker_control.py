"""Messages between supervisor and worker: one JSON object per line.

Both ends are Python of the same installation, so there is no second face of this contract. The
worker reads `Start`, answers `Loaded` or `LoadFailed` once, and from then on listens for
`Interrupt`, each of which it answers with `Interrupted`, for `StopWorker`, or for the end of the
connection.
"""

import signal
from typing import Final, Literal, TypeAlias, TypeVar, cast

from trivet.errors import AppLoadError, ConfigError, Place, TrivetError
from trivet.wire import record
from trivet.wire.record import Record

STACKS_SIGNAL: Final = signal.SIGRTMAX - 2
"""Has a worker write down where its threads are, without asking its interpreter."""

_Error = TypeVar("_Error", bound=TrivetError)

Cause: TypeAlias = Literal["disconnect", "stall", "timeout"]
"""Why a request is to end: the values of `control.Overdue`."""


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

    What is wrong with a configuration takes the same way from a stand to `trivet reload`.

    `place` is file, line, column, width and text of an `errors.Place`; absent parts are empty.
    """

    code: str
    message: str
    hint: str
    place: tuple[str, int, int, int, str] | None
    detail: str

    @classmethod
    def from_error(cls, error: TrivetError) -> "LoadFailure":
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
        return self._to(AppLoadError)

    def to_config_error(self) -> ConfigError:
        """Put an error of the configuration together again."""
        return self._to(ConfigError)

    def _to(self, kind: type[_Error]) -> _Error:
        return kind(
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


class Interrupt(Record, tag="interrupt"):
    """End a request, because nobody waits for its answer any more.

    `request` is its number in the frames; `last_s` says after how many seconds an event loop that
    is blocked may be interrupted as a whole.
    """

    request: int
    cause: Cause
    last_s: float


class Interrupted(Record, tag="interrupted"):
    """What was found when a request was to be interrupted.

    `found` is `thread` or `task` for one that was interrupted, `loop` where the event loop that
    runs it is blocked, `nothing` where it had ended by then. `stack` is as `stacks.shown` has
    it. `thread` is the kernel's number of the thread, 0 for a task or nothing.
    """

    request: int
    found: Literal["thread", "task", "loop", "nothing"]
    stack: str
    thread: int


class Loaded(Record, tag="loaded"):
    """The app is there. Descriptor: the file that `STACKS_SIGNAL` has it write to.

    `framework` is its name with version (`Flask 3.1.3`), or `""`; `seconds` what loading took.
    """

    interface: Literal["wsgi", "asgi"]
    framework: str
    seconds: float


class LoadFailed(Record, tag="load_failed"):
    """The app could not be loaded; the worker exits with 3."""

    failure: LoadFailure


class RoutesAsked(Record, tag="routes_asked"):
    """Which routes has the app's framework? For a worker that only checks (`--routes`).

    `path` is a request's below `mount`, decoded, for the question which of them it takes; `""`
    asks nothing of the kind.
    """

    method: str
    scheme: str
    host: str
    mount: str
    path: str


class AppRoute(Record):
    """A route of the app's framework.

    `methods` is empty where it is for any; `path` is written as the framework writes it;
    `endpoint` names what is called, `shop.views.cart`.
    """

    methods: tuple[str, ...]
    path: str
    endpoint: str


class AppRoutes(Record, tag="app_routes"):
    """The answer to `RoutesAsked`.

    `is_known` is false for a framework that cannot be asked. `taken` is the route of the request
    that was asked about; where there is none, `problem` says what the app does instead, or why
    its routes cannot be read.
    """

    is_known: bool
    routes: tuple[AppRoute, ...]
    taken: AppRoute | None
    problem: str


ToWorker: TypeAlias = Start | StopWorker | Interrupt | RoutesAsked
FromWorker: TypeAlias = Loaded | LoadFailed | Interrupted | AppRoutes

_TO_WORKER = record.by_tag(Start, StopWorker, Interrupt, RoutesAsked)
_FROM_WORKER = record.by_tag(Loaded, LoadFailed, Interrupted, AppRoutes)

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
