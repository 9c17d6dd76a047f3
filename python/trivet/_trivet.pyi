"""Everything Python may ask of Rust. Described in `docs/internals/native.md`."""

from collections.abc import Callable, Coroutine
from typing import Any, final

VERSION: str
"""The package's version."""
WIRE_VERSION: int
"""The version of the four contracts."""
CLAIM_PAGE_BYTES: int
"""Size of the shared memory behind a claim page."""
MAX_THREADS: int
"""Most threads that a worker process may have."""

def init_claim_page(fd: int) -> None:
    """Write a claim page's header into the zeroed memory behind `fd`."""

def die_with_parent() -> None:
    """Let the kernel kill this process when its parent is gone; for the process alone, not a fork.

    Raises:
        OSError: The kernel refuses.
    """

def run_edge(control_fd: int) -> int:
    """Be the edge until told to stop; return the exit code. Takes over `control_fd`."""

def check_edge_config(document: bytes) -> None:
    """Raise `ValueError` where the document is not an edge configuration."""

def check_address_file(path: str) -> tuple[int, str] | None:
    """Tell what is wrong with a file of addresses, and in which line; 0 for none of them."""

def check_pattern(kind: str, text: str) -> list[str]:
    """Check a pattern of a route and return the names in it.

    Args:
        kind: `glob`, `host`, `path`, `regex` or `value`.
        text: As it was written.

    Raises:
        ValueError: What is wrong; completes "`option` …".
    """

def check_field_name(message: str, name: str) -> None:
    """Check the name of a field that a route changes.

    Args:
        message: `request` or `response`.
        name: As it was written.

    Raises:
        ValueError: As above.
    """

def check_media_types(types: list[tuple[str, str]]) -> None:
    """Check pairs of a file extension and its media type.

    Raises:
        ValueError: What is wrong with the first that is wrong.
    """

def check_template(kind: str, text: str, names: list[str]) -> None:
    """Check a `field`, a `location` or a `path` that may use `names`.

    Raises:
        ValueError: As above.
    """

def unreachable_route(document: bytes) -> tuple[str, str] | None:
    """Return the name of a route that no request reaches, and of the one that is why.

    Raises:
        ValueError: The document is not an edge configuration, or a route has a bad part.
    """

def explain_request(document: bytes, request: bytes) -> bytes:
    """Return what becomes of a request, and why; both are JSON, see `trivet.wire.routes`.

    Raises:
        ValueError: One of them is not what it should be.
    """

def decode_frame(data: bytes) -> tuple[str, int] | None:
    """Return the first frame as JSON, and its bytes; `None` while it is not complete."""

def encode_frame(json: str) -> bytes:
    """Return the bytes of a frame given as JSON."""

def interrupt_thread(thread: int, exception: type[BaseException], unless: list[Any]) -> bool:
    """Raise `exception` in a thread, unless the list has items; return whether that was done."""

@final
class AsgiHead:
    """The head of an ASGI app's response, checked."""

    def __new__(cls, status: Any, headers: Any) -> AsgiHead:  # noqa: ANN401 - whatever the app has sent
        """Take over `http.response.start`; `TypeError` or `ValueError` names the rule broken."""

    def length(self) -> int:
        """Return the app's `content-length`, or -1 where it set none."""

@final
class AsgiLink:
    """A worker process's side of the conversation with the edge, for an event loop."""

    def __new__(
        cls,
        *,
        link_fd: int,
        claim_fd: int,
        scope: dict[str, Any],
        websocket_scope: dict[str, Any],
    ) -> AsgiLink:
        """Take over the descriptors. The scopes have the entries of every one of their kind."""

    def fileno(self) -> int:
        """Return the socket, for the loop to watch."""

    def read(self) -> list[tuple[Any, ...]] | None:
        """Take in what has come; `None` at the end of the connection."""

    def respond(
        self,
        number: int,
        slot: int,
        started: int,
        head: AsgiHead,
        body: bytes,
        ended: bool,
    ) -> None:
        """Begin a response with its first content."""

    def hint(
        self,
        number: int,
        slot: int,
        headers: Any,  # noqa: ANN401 - whatever the app has sent
    ) -> None:
        """Send early hints, before the response."""

    def trailers(
        self,
        number: int,
        slot: int,
        headers: Any,  # noqa: ANN401 - whatever the app has sent
    ) -> None:
        """End a response with trailer fields."""

    def data(self, number: int, slot: int, body: bytes, ended: bool) -> None:
        """Send more content."""

    def file(self, number: int, slot: int, fd: int, offset: int, length: int) -> None:
        """Send a part of a file as the rest of the content; takes over `fd`."""

    def fail(self, number: int, slot: int, error: str, place: str, trace: str) -> None:
        """Say that the app broke; with a `trace`, the operator is told."""

    def accept(
        self,
        number: int,
        slot: int,
        started: int,
        headers: Any,  # noqa: ANN401 - whatever the app has sent
        subprotocol: str | None,
    ) -> None:
        """Accept a WebSocket: its frames have no slot from here on."""

    def message(self, number: int, data: str | bytes, ended: bool) -> int:
        """Send a message or a piece of one; return what it takes of the credit."""

    def text_piece(self, number: int, data: bytes, ended: bool) -> int:
        """Send a piece of a text, which may end within a character."""

    def close(self, number: int, code: int, reason: str) -> None:
        """Close a WebSocket that was accepted."""

    def want(self, number: int, slot: int, amount: int) -> None:
        """Ask for so many bytes more of streamed request content."""

    def flush(self) -> bool:
        """Write what is to be sent; false where the socket is full."""

@final
class AsgiExchange:
    """One HTTP request's `receive` and `send`, as far as they are simple."""

    def receive(self) -> AsgiCall:
        """Return ASGI's `receive()`."""

    def send(self, message: dict[str, Any]) -> AsgiCall:
        """Return ASGI's `send(message)`."""

    def python(self) -> Any:  # noqa: ANN401 - what `resume` of `AsgiWork` returns
        """Return the exchange as Python has it, which is where it goes on from now on."""

@final
class AsgiCall:
    """A call of `receive` or `send`: a coroutine that does it when it is awaited."""

    def __await__(self) -> AsgiCall:
        """Return itself."""

    def __iter__(self) -> AsgiCall:
        """Return itself."""

    def __next__(self) -> Any:  # noqa: ANN401 - whatever it waits for
        """Do it, or go on; `StopIteration` has the result."""

    def send(self, value: Any) -> Any:  # noqa: ANN401 - whatever it waits for
        """Do it, or go on; `StopIteration` has the result."""

    def throw(self, kind: object, value: object = None, traceback: object = None) -> Any:  # noqa: ANN401 - whatever it waits for
        """Raise an exception where it waits."""

    def close(self) -> None:
        """End it where it waits."""

    @property
    def cr_await(self) -> Any:  # noqa: ANN401 - a coroutine
        """What does it, where it is not simple."""

@final
class AsgiWork:
    """The HTTP requests of a worker process, and how they are run. For the loop's thread."""

    def __new__(
        cls,
        *,
        link: AsgiLink,
        app: Callable[..., Any],
        adapt: Callable[[Any], Coroutine[Any, Any, Any]],
        running: dict[int, tuple[AsgiExchange, Any, Coroutine[Any, Any, Any]]],
        resume: Callable[[tuple[int, int, int, Any, bool], Any], Any],
        finish: Callable[[Any, int, dict[str, Any], BaseException | None], None],
        flush: Callable[[], None],
        flush_soon: Callable[[], None],
        start: Callable[[], None],
    ) -> AsgiWork:
        """`adapt` makes a coroutine of whatever else an app returns.

        Requests that wait for something are in `running`, by number. `resume` takes over an
        exchange that is not simple any more, `finish` ends it; `start` makes a task of `begin()`.
        """

    def begin(self) -> AsgiRun:
        """Return what a new task has to await."""

    def take(self) -> bool:
        """Take what the link has read; return whether a new task is needed for it."""

    def cancel(self, number: int) -> None:
        """Tell that nobody waits for a request that has not been started."""

    def stop(self) -> None:
        """Start no further request, and have each task end with its own."""

    def abandon(self) -> None:
        """Tell that this is a child that the app has forked."""

@final
class AsgiRun:
    """Runs requests until none is left, or one waits: to the end of that one, then."""

    def __await__(self) -> AsgiRun:
        """Return itself."""

    def __iter__(self) -> AsgiRun:
        """Return itself."""

    def __next__(self) -> Any:  # noqa: ANN401 - whatever it waits for
        """Go on."""

    def send(self, value: Any) -> Any:  # noqa: ANN401 - whatever it waits for
        """Go on."""

    def throw(self, kind: object, value: object = None, traceback: object = None) -> Any:  # noqa: ANN401 - whatever it waits for
        """Raise an exception where it waits."""

    def close(self) -> None:
        """End it where it waits."""

    @property
    def cr_await(self) -> Any:  # noqa: ANN401 - a coroutine
        """The app's coroutine, while it waits."""

@final
class StreamedContent:
    """A request's content that comes while the app reads it."""

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes as soon as there are some; `b""` at the end."""

@final
class WsgiWorker:
    """A worker process's side of the conversation with the edge."""

    def __new__(
        cls,
        *,
        link_fd: int,
        claim_fd: int,
        doorbell_fd: int,
        app: Any,  # noqa: ANN401 - any WSGI app
        environ: dict[str, Any],
        file_wrapper: type,
        raw_stream: Callable[[StreamedContent], Any],
        open_socket: Callable[[int], Any],
        close_socket: Callable[[Any], None],
        locate: Callable[[Any], Any],
        on_error: Callable[[str, str, str, BaseException, Any, Any], tuple[str, str, str]],
    ) -> WsgiWorker:
        """Take over the descriptors and greet the edge.

        `open_socket` makes what an app gets that speaks WebSocket by itself, of a descriptor that
        is its own from then on; `close_socket` is called with it when the app has returned.
        """

    def run(self, index: int, grow: Callable[[], bool]) -> None:
        """Run requests as thread number `index` until the edge is gone or `stop` is called.

        `grow` is called, in this thread, when nobody is left to take over from it; it makes one
        more thread and returns true, or returns false for ever.
        """

    def stop(self) -> None:
        """Let each thread leave `run` when its request is done."""

    def abandon(self) -> None:
        """Send, take and claim nothing any more: for a child that the app has forked."""

    def thread_of(self, number: int) -> int | None:
        """Return the thread that runs request `number`, as of `threading.get_ident()`."""

    def interrupt(self, number: int, exception: type[BaseException]) -> bool:
        """Raise `exception` in the thread that runs request `number`, once.

        Returns false where it has ended, or was interrupted before.
        """
