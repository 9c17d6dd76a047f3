"""One WebSocket of an ASGI app: its `receive` and `send`.

Framing, masking, UTF-8, pings and limits are the edge's; whole messages cross the link.

Spec: ASGI 3.0, "HTTP & WebSocket ASGI Message Format" 2.5, WebSocket.
"""

import asyncio
import enum
from collections import deque
from typing import Any

from trivet import _trivet
from trivet.worker import asgi_errors
from trivet.worker.asgi_errors import ClientGoneError
from trivet.worker.exchange import Message, Server

NO_SLOT = 0xFFFF
"""The slot of frames about an accepted WebSocket, as in `trivet-wire`."""
FIRST_CREDIT = 64 << 10
"""What may be sent of messages before the edge has to give credit, as in `trivet-wire`."""
SHORT = 32 << 10
"""Characters or bytes of a message that goes out in one frame, whatever credit is left of it."""
PIECE = 64 << 10
"""Bytes of each frame of a longer one."""
LEAST_GRANT = 16 << 10
"""Credit that is gathered before it is given back: a frame for each message would cost more."""

NO_STATUS, ABNORMAL = 1005, 1006


class Phase(enum.Enum):
    """How far the WebSocket is. The values are for messages to the app's developer."""

    CONNECTING = "`websocket.accept` or `websocket.close` must come first"
    OPEN = "the WebSocket has been accepted"
    DENYING = "the denial response has been started"
    CLOSED = "the WebSocket has been closed"


class WebSocket:
    """A WebSocket from its handshake to its end. Belongs to the event loop's thread."""

    __slots__ = (
        "_consumed",
        "_credit",
        "_denial",
        "_disconnect",
        "_is_connect_due",
        "_messages",
        "_number",
        "_phase",
        "_scope",
        "_server",
        "_slot",
        "_started",
        "_waiters",
    )

    def __init__(
        self, server: Server, number: int, slot: int, started: int, scope: dict[str, Any]
    ) -> None:
        self._server = server
        self._number = number
        self._slot = slot
        self._started = started  # µs of the monotonic clock, for the time in the app
        self._scope = scope
        self._phase = Phase.CONNECTING
        self._is_connect_due = True
        self._messages: deque[tuple[Message, int]] = deque()
        self._disconnect: Message | None = None
        self._denial: _trivet.AsgiHead | None = None
        self._credit = FIRST_CREDIT
        self._consumed = 0
        self._waiters: list[asyncio.Future[None]] = []

    # What the edge tells -------------------------------------------------------------------

    def add_message(self, message: Message, cost: int) -> None:
        """Take in a whole message, which takes so much of the edge's credit."""
        self._messages.append((message, cost))
        if self._waiters:
            self._wake()

    def add_credit(self, count: int) -> None:
        """Take in leave to send so much more."""
        self._credit += count
        self._wake()

    def disconnect(self, code: int, reason: str) -> None:
        """Learn that the WebSocket is over; what came before it is still received."""
        if self._disconnect is None:
            self._disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}
            self._wake()

    def cancel(self) -> None:
        """Learn that the client has gone away without a word."""
        self.disconnect(ABNORMAL, "")

    # What the app calls --------------------------------------------------------------------

    async def receive(self) -> Message:
        """Return the next event: the connection, messages, then the end."""
        if self._is_connect_due:
            self._is_connect_due = False
            return {"type": "websocket.connect"}
        while True:
            if self._messages:
                message, cost = self._messages.popleft()
                self._consumed += cost
                if self._consumed >= LEAST_GRANT:
                    self._grant()
                return message
            if self._disconnect is not None:
                return self._disconnect
            await self._change()

    async def send(self, message: Message) -> None:
        """Send an event.

        Raises:
            OSError: The client has gone away.
            RuntimeError: The event is not due.
            TypeError, ValueError: A part of it breaks a rule, which is named.
        """
        try:
            kind = message["type"]
        except (IndexError, KeyError, TypeError):
            raise asgi_errors.no_message(message) from None
        phase = self._phase
        if self._disconnect is not None and phase is not Phase.CLOSED:
            if kind == "websocket.close":
                return  # as it is already
            raise ClientGoneError
        if phase is Phase.OPEN and kind == "websocket.send":
            await self._send_message(message)
        elif phase is Phase.OPEN and kind == "websocket.close":
            self._close(message.get("code", 1000), message.get("reason") or "")
        elif phase is Phase.DENYING and kind == "websocket.http.response.body":
            self._send_denial(message)
        elif phase is Phase.CONNECTING:
            self._answer(kind, message)
        else:
            raise self._out_of_order(kind)

    # How the app ended ---------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for anything more."""
        return self._disconnect is not None or self._phase is Phase.CLOSED

    @property
    def has_started(self) -> bool:
        """Whether the handshake has been answered."""
        return self._phase in {Phase.OPEN, Phase.CLOSED} or (
            self._phase is Phase.DENYING and self._denial is None
        )

    @property
    def has_ended(self) -> bool:
        """Whether the app is done with it, or the client."""
        return self.is_over

    def end(self) -> None:
        """Close what the app left open when it returned.

        Raises:
            RuntimeError: It returned before it answered the handshake.
        """
        if self.is_over:
            return
        if self._phase is Phase.OPEN:
            self._close(1000, "")
        else:
            raise RuntimeError(
                "the app returned before it sent `websocket.accept` or `websocket.close`"
                if self._phase is Phase.CONNECTING
                else "the app returned before its denial response was complete"
            )

    def fail(self, error: str, place: str, trace: str) -> None:
        """Tell the edge that no more comes, unless it knows."""
        # Before the handshake's answer the edge waits for a word even if the client has gone.
        if self._phase is Phase.CLOSED or (self._phase is Phase.OPEN and self._disconnect):
            return
        self._phase = Phase.CLOSED
        self._server.link.fail(self._number, self._slot, error, place, trace)
        self._server.flush_soon()

    def close(self) -> None:
        """Let go of what belongs to the WebSocket."""
        if self._phase in {Phase.CONNECTING, Phase.DENYING}:
            self.fail("the client has gone away", "", "")
        self._phase = Phase.CLOSED
        self._messages.clear()
        self.disconnect(ABNORMAL, "")

    # ---------------------------------------------------------------------------------------

    def _answer(self, kind: str, message: Message) -> None:
        if kind == "websocket.accept":
            self._accept(message)
        elif kind == "websocket.close":
            self._deny(_trivet.AsgiHead(403, ()), b"")
        elif kind == "websocket.http.response.start":
            if "status" not in message:
                raise asgi_errors.missing(kind, "status")
            self._denial = _trivet.AsgiHead(message["status"], message.get("headers", ()))
            self._phase = Phase.DENYING
        else:
            raise self._out_of_order(kind)

    def _out_of_order(self, kind: Any) -> RuntimeError:  # noqa: ANN401 - whatever the app has sent
        return RuntimeError(f"the app sent `{kind}`, but {self._phase.value} (ASGI, WebSocket)")

    def _accept(self, message: Message) -> None:
        subprotocol = message.get("subprotocol")
        if subprotocol is not None and subprotocol not in self._scope["subprotocols"]:
            raise ValueError(
                f"websocket.accept: the client did not offer the subprotocol {subprotocol!r} "
                "(RFC 6455 section 4.2.2)"
            )
        headers = message.get("headers") or ()
        link = self._server.link
        link.accept(self._number, self._slot, self._started, headers, subprotocol)
        self._slot = NO_SLOT
        self._phase = Phase.OPEN
        self._server.flush_soon()

    async def _send_message(self, message: Message) -> None:
        data: str | bytes | None = message.get("text")
        if data is None:
            data = message.get("bytes")
            if data is None:
                raise ValueError(
                    "websocket.send: neither `text` nor `bytes` is given (ASGI, WebSocket)"
                )
            is_fine = isinstance(data, (bytes, bytearray, memoryview))
        else:
            is_fine = isinstance(data, str)
        if not is_fine:
            raise TypeError(
                "websocket.send: `text` must be a str, and `bytes` a byte string, "
                f"not {type(data).__name__} (ASGI, WebSocket)"
            )
        while self._credit <= 0:
            await self._change()
            self._check_is_open()
        if len(data) <= SHORT:
            self._credit -= self._server.link.message(self._number, data, True)
            self._server.flush_soon()
        else:
            await self._send_long(data)

    async def _send_long(self, data: str | bytes) -> None:
        is_text = isinstance(data, str)
        view = memoryview(data.encode() if isinstance(data, str) else data).cast("B")
        link = self._server.link
        while True:
            piece, view = bytes(view[:PIECE]), view[PIECE:]
            put = link.text_piece if is_text else link.message
            self._credit -= put(self._number, piece, not view)
            self._server.flush_soon()
            if not view:
                return
            while self._credit <= 0:
                await self._change()
                self._check_is_open()

    def _check_is_open(self) -> None:
        if self._disconnect is not None:
            raise ClientGoneError
        if self._phase is not Phase.OPEN:
            raise RuntimeError("the WebSocket was closed while a message was being sent")

    def _close(self, code: int, reason: str) -> None:
        self._server.link.close(self._number, code, reason)
        self._phase = Phase.CLOSED
        self._server.flush_soon()
        self.disconnect(code, reason)

    def _deny(self, head: _trivet.AsgiHead, body: bytes, *, ended: bool = True) -> None:
        self._server.link.respond(self._number, self._slot, self._started, head, body, ended)
        self._server.flush_soon()
        if ended:
            self._phase = Phase.CLOSED
            self.disconnect(ABNORMAL, "")

    def _send_denial(self, message: Message) -> None:
        body, ended = message.get("body", b""), not message.get("more_body", False)
        if self._denial is not None:
            head, self._denial = self._denial, None
            self._deny(head, body, ended=ended)
            return
        self._server.link.data(self._number, self._slot, body, ended)
        self._server.flush_soon()
        if ended:
            self._phase = Phase.CLOSED
            self.disconnect(ABNORMAL, "")

    def _grant(self) -> None:
        consumed, self._consumed = self._consumed, 0
        if self._phase is Phase.OPEN and self._disconnect is None:
            self._server.link.want(self._number, NO_SLOT, consumed)
            self._server.flush_soon()

    async def _change(self) -> None:
        """Wait until the edge tells something, or the WebSocket ends."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
