"""One HTTP request of an ASGI app: its `receive` and `send`.

Spec: ASGI 3.0, "HTTP & WebSocket ASGI Message Format" 2.5, HTTP.
"""

import asyncio
import functools
import os
import stat
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from trivet import _trivet
from trivet.worker import asgi_errors
from trivet.worker.asgi_errors import ClientGoneError

FIRST_CREDIT = 256 << 10
"""Content bytes that may be sent before the edge has to give credit, as in `trivet-wire`."""
PIECE = 128 << 10
"""Most content bytes of one frame; longer bodies are sent in pieces, as credit comes."""
WANTED = 256 << 10
"""Bytes of streamed request content that are asked for at once."""
DISCARDED = 1 << 20
"""Content that an app may send after a response that has none (HEAD, 204, 205, 304).

What is short it sends in peace, as frameworks do; a stream without end must end somewhere.
"""
UNKNOWN = -1
"""No length was promised, as `AsgiHead.length` says it."""

_WITHOUT_CONTENT = frozenset({204, 205, 304})

Message = dict[str, Any]
Content = bytes | tuple[int, int] | None
"""Content that is here, the descriptor of a file with so many bytes, or content still to come."""
Progress = tuple[_trivet.AsgiHead | None, int, int, bool, bool, bool]
"""How far a simple exchange has come: head, bytes sent, credit, was read, has started and ended."""


class Server(Protocol):
    """What an exchange needs of the worker that it runs in."""

    link: _trivet.AsgiLink

    def flush_soon(self) -> None:
        """Write what was sent, once in this turn of the loop."""


class Exchange:
    """A request and its response. Belongs to the event loop's thread."""

    __slots__ = (
        "_content",
        "_credit",
        "_discarded",
        "_has_content",
        "_has_ended",
        "_has_started",
        "_has_trailers",
        "_head",
        "_is_gone",
        "_number",
        "_offset",
        "_pieces",
        "_promised",
        "_sent",
        "_server",
        "_slot",
        "_started",
        "_trailers",
        "_waiter",
        "_was_read",
    )

    def __init__(
        self,
        server: Server,
        number: int,
        slot: int,
        started: int,
        content: Content,
        *,
        is_head: bool,
    ) -> None:
        self._server = server
        self._number = number
        self._slot = slot
        self._started = started  # µs of the monotonic clock, for the time in the app
        self._content = content
        self._offset = 0
        self._pieces: deque[tuple[bytes, bool]] = deque()
        self._was_read = False
        self._head: _trivet.AsgiHead | None = None
        self._promised = UNKNOWN
        self._sent = 0
        self._has_content = not is_head
        self._discarded: int | None = None
        """Bytes that came after a response without content; `None` where none may come."""
        self._has_started = False
        self._has_ended = False
        self._has_trailers = False
        self._trailers: list[Any] | None = None
        """Trailer fields so far, once the content has ended; `None` before that."""
        self._is_gone = False
        self._credit = FIRST_CREDIT
        self._waiter: asyncio.Future[None] | None = None

    def resume(self, progress: Progress) -> None:
        """Go on where a simple exchange stands that is not simple any more."""
        head, self._sent, self._credit, self._was_read, self._has_started, ended = progress
        self._has_ended = ended
        if head is not None:
            self._head = head
            self._promised = head.length()

    @property
    def has_ended(self) -> bool:
        """Whether the response is complete, or nobody waits for it any more."""
        return self._has_ended or self._is_gone

    # What the edge tells -------------------------------------------------------------------

    def add_content(self, data: bytes, *, ended: bool) -> None:
        """Take in a piece of streamed request content."""
        self._pieces.append((data, ended))
        self._wake()

    def add_credit(self, count: int) -> None:
        """Take in leave to send so many content bytes more."""
        self._credit += count
        self._wake()

    def cancel(self) -> None:
        """Learn that the client has gone away."""
        self._is_gone = True
        self._wake()

    # What the app calls --------------------------------------------------------------------

    async def receive(self) -> Message:
        """Return the next event: content, then the client's going away."""
        if not self._was_read and not self._is_gone:
            if isinstance(self._content, bytes):
                self._was_read = True
                return {"type": "http.request", "body": self._content, "more_body": False}
            if self._content is None:
                return await self._receive_streamed()
            return self._receive_spooled(*self._content)
        await self._wait_for(lambda: self.has_ended)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send a part of the response.

        Raises:
            OSError: The client has gone away.
            RuntimeError: The message is not due.
        """
        if self._is_gone:
            raise ClientGoneError
        try:
            kind = message["type"]
        except (IndexError, KeyError, TypeError):
            raise asgi_errors.no_message(message) from None
        if kind == "http.response.body" and self._head and not self._has_ended:
            body = message.get("body", b"")
            if type(body) is not bytes:
                body = asgi_errors.as_bytes(kind, body)
            ended = not message.get("more_body", False)
            if not self._send_now(body, ended=ended):
                await self._send_long(body, ended=ended)
        elif kind == "http.response.start" and not self._head:
            self._start(message)
        else:
            await self._send_other(kind, message)

    # How the app ended ---------------------------------------------------------------------

    def fail(self, error: str, place: str, trace: str) -> None:
        """Tell the edge that no more of the response comes.

        Behind the end of the response only a traceback is worth telling: for the incident.
        """
        if trace or not self._has_ended:
            self._has_ended = True
            self._server.link.fail(self._number, self._slot, error, place, trace)
            self._server.flush_soon()

    def close(self) -> None:
        """Let go of what belongs to the request."""
        if isinstance(self._content, tuple):
            os.close(self._content[0])
            self._content = b""
        # An app may return when its client has left; the edge counts it as running until told.
        self.fail("the client has gone away", "", "")
        self._wake()

    @property
    def has_head(self) -> bool:
        """Whether the app has begun its response."""
        return self._head is not None

    @property
    def has_started(self) -> bool:
        """Whether the head of the response is out."""
        return self._has_started

    # ---------------------------------------------------------------------------------------

    async def _send_other(self, kind: Any, message: Message) -> None:  # noqa: ANN401 - whatever the app has sent
        """Send what few responses have."""
        if kind == "http.response.early_hint" and not self._head:
            self._send_hints(message)
        elif (
            kind == "http.response.trailers" and self._trailers is not None and not self._has_ended
        ):
            self._send_trailers(message)
        elif kind == "http.response.pathsend" and self._head and not self._has_started:
            self._send_path(message)
        elif kind == "http.response.body" and self._discarded is not None:
            await self._discard(message)
        else:
            raise asgi_errors.out_of_order(
                kind, has_head=self._head is not None, has_ended=self._has_ended
            )

    def _start(self, message: Message) -> None:
        if "status" not in message:
            raise asgi_errors.missing("http.response.start", "status")
        # Checked here, so that the traceback has the line that is wrong.
        head = _trivet.AsgiHead(message["status"], message.get("headers", ()))
        self._head = head
        self._promised = head.length()
        if message["status"] in _WITHOUT_CONTENT:
            self._has_content = False
        self._has_trailers = bool(message.get("trailers", False))

    def _send_now(self, body: bytes, *, ended: bool) -> bool:
        """Send content if it can leave at once; return whether it has."""
        if not self._has_content:
            # Whatever the app sends, and however long it goes on: this is all that there is.
            self._discarded = None if ended else 0
            self._send_piece(b"", ended=True)
            return True
        if self._promised != UNKNOWN:
            self._count(len(body), ended=ended)
        if len(body) > PIECE or len(body) > self._credit:
            return False
        self._send_piece(body, ended=ended)
        return True

    def _count(self, length: int, *, ended: bool) -> None:
        """Hold content against the promised length; nothing of what breaks it is sent."""
        sent = self._sent + length
        if sent > self._promised:
            raise asgi_errors.too_long(self._promised)
        if ended and sent < self._promised:
            raise asgi_errors.too_short(self._promised, sent)
        self._sent = sent

    async def _discard(self, message: Message) -> None:
        """Take content that belongs to no response; without end it is refused."""
        if self._discarded is None or self._discarded > DISCARDED:
            raise ClientGoneError
        self._discarded += len(message.get("body", b"")) + 1
        if not message.get("more_body", False):
            self._discarded = None
        await asyncio.sleep(0)  # others must have their turn

    def _send_piece(self, body: bytes, *, ended: bool) -> None:
        link = self._server.link
        if self._has_trailers:
            if self._trailers is not None:
                raise asgi_errors.out_of_order("http.response.body", has_head=True, has_ended=True)
            if ended:
                self._trailers, ended = [], False
        if self._has_started:
            link.data(self._number, self._slot, body, ended)
        else:
            assert self._head is not None  # noqa: S101 - content comes after the head
            link.respond(self._number, self._slot, self._started, self._head, body, ended)
            self._has_started = True
        self._credit -= len(body)
        self._has_ended = ended
        if ended:
            self._wake()
        self._server.flush_soon()

    def _send_hints(self, message: Message) -> None:
        if "links" not in message:
            raise asgi_errors.missing("http.response.early_hint", "links")
        headers = [(b"link", link) for link in message["links"]]
        self._server.link.hint(self._number, self._slot, headers)
        self._server.flush_soon()

    def _send_trailers(self, message: Message) -> None:
        assert self._trailers is not None  # noqa: S101 - the caller has looked
        self._trailers += message.get("headers", ())
        if not message.get("more_trailers", False):
            self._server.link.trailers(self._number, self._slot, self._trailers)
            self._has_ended = True
            self._wake()
            self._server.flush_soon()

    async def _send_long(self, body: bytes, *, ended: bool) -> None:
        view = memoryview(body)
        while True:
            piece, view = view[:PIECE], view[PIECE:]
            await self._wait_for(functools.partial(self._may_send, len(piece)))
            if self._is_gone:
                raise ClientGoneError
            self._send_piece(bytes(piece), ended=ended and not view)
            if not view:
                return

    def _may_send(self, size: int) -> bool:
        return self._credit >= size or self._is_gone

    def _send_path(self, message: Message) -> None:
        if "path" not in message:
            raise asgi_errors.missing("http.response.pathsend", "path")
        descriptor, length = _opened(message["path"])
        try:
            if self._promised != UNKNOWN and self._has_content:
                self._count(length, ended=True)
            self._has_trailers = False  # a file is the end of its response
            self._send_piece(b"", ended=not self._has_content)
        except BaseException:
            os.close(descriptor)
            raise
        if not self._has_content:
            os.close(descriptor)
            return
        self._has_ended = True
        self._server.link.file(self._number, self._slot, descriptor, 0, length)
        self._wake()

    def _receive_spooled(self, descriptor: int, length: int) -> Message:
        body = os.pread(descriptor, PIECE, self._offset)
        self._offset += len(body)
        self._was_read = self._offset >= length or not body
        return {"type": "http.request", "body": body, "more_body": not self._was_read}

    async def _receive_streamed(self) -> Message:
        if not self._pieces:
            if self._offset <= 0:
                self._offset += WANTED
                self._server.link.want(self._number, self._slot, WANTED)
                self._server.flush_soon()
            await self._wait_for(lambda: bool(self._pieces) or self.has_ended)
        if not self._pieces:
            return {"type": "http.disconnect"}
        body, self._was_read = self._pieces.popleft()
        self._offset -= len(body)
        return {"type": "http.request", "body": body, "more_body": not self._was_read}

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        while not condition():
            # Several tasks of the app may wait at once: all look again at each change.
            if self._waiter is None:
                self._waiter = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._waiter)

    def _wake(self) -> None:
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            if not waiter.done():
                waiter.set_result(None)


def _opened(path: str) -> tuple[int, int]:
    """Open a file to be sent; return its descriptor and length."""
    descriptor = os.open(Path(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status.st_size
    os.close(descriptor)
    raise ValueError(f"http.response.pathsend: `{path}` is no regular file (ASGI, Path Send)")
