"""Running an ASGI app: the event loop's side of the conversation with the edge."""

import asyncio
import inspect
import sys
import types
from collections.abc import Awaitable, Callable
from typing import Any

from trivet import _trivet
from trivet.wire.worker_control import Interrupt, Interrupted, Start
from trivet.worker import asgi_errors, failure, forked, traces
from trivet.worker.event_loop.websocket import WebSocket
from trivet.worker.exchange import Exchange
from trivet.worker.overdue import stacks

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]

_REQUEST, _BODY, _CREDIT, _CANCEL, _WEBSOCKET, _MESSAGE, _CLOSE, _PIECE = range(8)
_SERVICE_RESTART = 1012

SOCKET_GRACE_S = 1.0
"""How long an app may go on with WebSockets that are closed when its worker stops: it cleans up."""

NOTICE_S = 0.1
"""What a task gets between `http.disconnect` and its cancellation: well-made apps need no more."""


class AsgiServer:
    """Requests of one process. Belongs to the event loop's thread.

    Strategy: one reader on the link's socket. Each wake-up takes in all that has come and makes a
    task of each request; what the app sends is written once per turn of the loop.
    """

    def __init__(self, app: AsgiApp, start: Start, state: dict[str, Any]) -> None:
        self._app = app
        self._loop = asyncio.get_running_loop()
        self.link = _trivet.AsgiLink(
            link_fd=start.link_fd,
            claim_fd=start.claim_fd,
            scope=_http_scope(start, state),
            websocket_scope=_websocket_scope(start, state),
        )
        # The task beside its exchange: the loop itself keeps only weak references. A callback at
        # its end would cost more than taking it out of here, where it ends anyway.
        self._running: dict[int, tuple[Exchange, asyncio.Task[None]]] = {}
        self._sockets: dict[int, tuple[WebSocket, asyncio.Task[None]]] = {}
        self._interrupted: set[int] = set()
        self._is_flushing = False
        self._is_full = False
        self.on_close: Callable[[], object] = lambda: None
        self._loop.add_reader(self.link.fileno(), self._read)
        self.flush_soon()

    def flush_soon(self) -> None:
        """Write what was sent, once in this turn of the loop."""
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    async def stop(self) -> None:
        """Take no further request, and wait for those that run."""
        self._loop.remove_reader(self.link.fileno())
        await self._stop_sockets()
        while tasks := [task for _, task in self._running.values()]:
            await asyncio.wait(tasks)
        self._flush()

    async def _stop_sockets(self) -> None:
        """Have the WebSockets end; whoever waits for something else by then is cancelled."""
        for socket, _ in self._sockets.values():
            socket.disconnect(_SERVICE_RESTART, "")
        if tasks := [task for _, task in self._sockets.values()]:
            _, deaf = await asyncio.wait(tasks, timeout=SOCKET_GRACE_S)
            for task in deaf:
                task.cancel()
            await asyncio.gather(*deaf, return_exceptions=True)

    def interrupt(self, message: Interrupt) -> Interrupted:
        """Tell a request that nobody waits for it, and cancel its task a moment later."""
        number = message.request
        running = self._running.get(number) or self._sockets.get(number)
        if running is None:
            return Interrupted(request=number, found="nothing", stack="", thread=0)
        exchange, task = running
        stack = stacks.of_coroutine(task.get_coro())
        exchange.cancel()
        self._loop.call_later(NOTICE_S, self._cancel, number)
        return Interrupted(request=number, found="task", stack=stack, thread=0)

    def _cancel(self, number: int) -> None:
        running = self._running.get(number) or self._sockets.get(number)
        if running and number not in self._interrupted:
            self._interrupted.add(number)
            running[1].cancel()

    def _read(self) -> None:
        try:
            events = self.link.read()
        except ConnectionError as error:
            sys.stderr.write(f"{error}\n")
            events = None
        if events is None:
            self._close()
            return
        for kind, number, *rest in events:
            if kind == _REQUEST:
                self._begin(number, *rest)
            elif socket := self._sockets.get(number):
                self._tell_socket(socket[0], kind, rest)
            elif kind == _WEBSOCKET:
                self._begin_websocket(number, *rest)
            elif running := self._running.get(number):
                _tell(running[0], kind, rest)

    def _begin(self, number: int, slot: int, started: int, scope: Any, content: Any) -> None:  # noqa: ANN401
        is_head = scope["method"] == "HEAD"
        exchange = Exchange(self, number, slot, started, content, is_head=is_head)
        # A name of its own for each task would be formatted for nothing.
        task = self._loop.create_task(self._run(number, exchange, scope), name="request")
        self._running[number] = exchange, task

    async def _run(self, number: int, exchange: Exchange, scope: dict[str, Any]) -> None:
        try:
            result = self._app(scope, exchange.receive, exchange.send)
            if type(result) is not types.CoroutineType and not inspect.isawaitable(result):
                raise asgi_errors.not_awaitable(result)  # noqa: TRY301 - the app's error, too
            await result
            if not exchange.has_ended:
                raise asgi_errors.returned_early(has_head=exchange.has_head)  # noqa: TRY301 - as above
        except BaseException as error:
            if number in self._interrupted and isinstance(error, asyncio.CancelledError):
                exchange.fail(traces.summarise(error), "", "")  # its stack is in the log already
            elif asgi_errors.comes_from_a_gone_client(error):
                exchange.fail("the client has gone away", "", "")
            else:
                self._report(exchange, scope, error)
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            if forked.is_child():
                forked.leave()
            exchange.close()
            del self._running[number]
            self._interrupted.discard(number)

    def _begin_websocket(self, number: int, slot: int, started: int, scope: Any) -> None:  # noqa: ANN401
        socket = WebSocket(self, number, slot, started, scope)
        task = self._loop.create_task(self._run_websocket(number, socket, scope), name="websocket")
        self._sockets[number] = socket, task

    def _tell_socket(self, socket: WebSocket, kind: int, rest: list[Any]) -> None:
        if kind == _MESSAGE:
            message, cost = rest
            socket.add_message(message, cost)
        elif kind == _CREDIT:
            socket.add_credit(*rest)
        elif kind == _CLOSE:
            code, reason = rest
            socket.disconnect(code, reason)
        elif kind == _PIECE:
            self.flush_soon()
        else:
            socket.cancel()

    async def _run_websocket(self, number: int, socket: WebSocket, scope: dict[str, Any]) -> None:
        try:
            result = self._app(scope, socket.receive, socket.send)
            if type(result) is not types.CoroutineType and not inspect.isawaitable(result):
                raise asgi_errors.not_awaitable(result)  # noqa: TRY301 - the app's error, too
            await result
            socket.end()
        except BaseException as error:
            # Starlette says by an exception of this name that the client has closed.
            names = {"WebSocketDisconnect", "CancelledError"}
            is_told = socket.is_over and type(error).__name__ in names
            if not is_told and not asgi_errors.comes_from_a_gone_client(error):
                self._report(socket, scope, error)
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            if forked.is_child():
                forked.leave()
            socket.close()
            del self._sockets[number]
            self._interrupted.discard(number)

    def _report(
        self, exchange: Exchange | WebSocket, scope: dict[str, Any], error: BaseException
    ) -> None:
        if exchange.has_ended:
            progress: failure.Progress = "whole"
        else:
            progress = "cut" if exchange.has_started else "unsent"
        request_id = scope["extensions"]["trivet"].get("request_id", "")
        request = failure.FailedRequest(
            request_id, scope.get("method", "WebSocket"), scope["path"], progress
        )
        exchange.fail(*failure.report(request, error, failure.source_of(self._app)))

    def _flush(self) -> None:
        self._is_flushing = False
        try:
            is_done = self.link.flush()
        except ConnectionError:
            self._close()
            return
        if is_done == self._is_full:
            self._is_full = not is_done
            if is_done:
                self._loop.remove_writer(self.link.fileno())
            else:
                self._loop.add_writer(self.link.fileno(), self._flush)

    def _close(self) -> None:
        self._loop.remove_reader(self.link.fileno())
        self._loop.remove_writer(self.link.fileno())
        for exchange, _ in self._running.values():
            exchange.cancel()
        for socket, _ in self._sockets.values():
            socket.disconnect(_SERVICE_RESTART, "")
        self.on_close()


def _tell(exchange: Exchange, kind: int, rest: list[Any]) -> None:
    if kind == _BODY:
        data, ended = rest
        exchange.add_content(data, ended=ended)
    elif kind == _CREDIT:
        exchange.add_credit(*rest)
    elif kind == _CANCEL:
        exchange.cancel()


def _http_scope(start: Start, state: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of a scope that are the same for every request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "root_path": start.mount,
        "extensions": {
            "http.response.early_hint": {},
            "http.response.pathsend": {},
            "http.response.trailers": {},
        },
        "state": state,
    }


def _websocket_scope(start: Start, state: dict[str, Any]) -> dict[str, Any]:
    """Return the entries of a scope that are the same for every WebSocket."""
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "root_path": start.mount,
        "extensions": {"websocket.http.response": {}},
        "state": state,
    }
