"""Running an ASGI app: the event loop's side of the conversation with the edge."""

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from trivet import _trivet
from trivet.wire.worker_control import Interrupt, Interrupted, Start
from trivet.worker import asgi_errors, failure, forked, traces
from trivet.worker.event_loop.websocket import WebSocket
from trivet.worker.exchange import Content, Exchange, Progress
from trivet.worker.overdue import stacks

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]

_BODY, _CREDIT, _CANCEL, _WEBSOCKET, _MESSAGE, _CLOSE, _PIECE = range(7)
_SERVICE_RESTART = 1012

# `asyncio.create_task(send(message))` takes coroutines only.
Coroutine.register(_trivet.AsgiCall)

SOCKET_GRACE_S = 1.0
"""How long an app may go on with WebSockets that are closed when its worker stops: it cleans up."""

NOTICE_S = 0.1
"""What a task gets between `http.disconnect` and its cancellation: well-made apps need no more."""


class AsgiServer:
    """Requests of one process. Belongs to the event loop's thread.

    Strategy: one reader on the link's socket. Each wake-up takes in all that has come. HTTP
    requests are run natively, on as few tasks as may be (`AsgiWork`): here is what only some of
    them need. What the app sends is written once per turn of the loop.
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
        # HTTP requests that wait for something, with their tasks and the app's coroutines: the
        # loop itself keeps only weak references to tasks.
        self._running: dict[
            int, tuple[_trivet.AsgiExchange, asyncio.Task[None], Coroutine[Any, Any, Any]]
        ] = {}
        self._work = _trivet.AsgiWork(
            link=self.link,
            app=app,
            adapt=_adapt,
            running=self._running,
            resume=self._resume,
            finish=self._finish,
            flush=self._flush,
            flush_soon=self.flush_soon,
            start=self._start_run,
        )
        self._run: asyncio.Task[None] | None = None
        self._run_has_begun = False
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
        self._work.stop()
        await self._stop_sockets()
        while tasks := [task for _, task, _ in self._running.values()]:
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
        if running := self._running.get(number):
            exchange: Exchange | WebSocket = running[0].python()
            coroutine: object = running[2]
        elif socket := self._sockets.get(number):
            exchange = socket[0]
            coroutine = socket[1].get_coro()
        else:
            return Interrupted(request=number, found="nothing", stack="", thread=0)
        stack = stacks.of_coroutine(coroutine)
        exchange.cancel()
        self._loop.call_later(NOTICE_S, self._cancel, number)
        return Interrupted(request=number, found="task", stack=stack, thread=0)

    def abandon(self) -> None:
        """Be of no further use, in a child that the app has forked."""
        self._work.abandon()

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
        if self._work.take():
            self._start_run()
        for kind, number, *rest in events:
            if socket := self._sockets.get(number):
                self._tell_socket(socket[0], kind, rest)
            elif kind == _WEBSOCKET:
                self._begin_websocket(number, *rest)
            elif running := self._running.get(number):
                _tell(running[0].python(), kind, rest)
            elif kind == _CANCEL:
                self._work.cancel(number)

    def _start_run(self) -> None:
        """See to it that a task takes the requests that wait."""
        # The last one made may not have begun yet: then it takes these, too.
        if self._run is None or self._run.done() or self._run_has_begun:
            self._run_has_begun = False
            # A name of its own for each task would be formatted for nothing.
            self._run = self._loop.create_task(self._carry_out(self._work.begin()), name="request")

    async def _carry_out(self, run: _trivet.AsgiRun) -> None:
        self._run_has_begun = True
        await run

    def _resume(self, request: tuple[int, int, int, Content, bool], progress: Progress) -> Exchange:
        """Take over an exchange that is not simple any more."""
        number, slot, started, content, is_head = request
        exchange = Exchange(self, number, slot, started, content, is_head=is_head)
        exchange.resume(progress)
        return exchange

    def _finish(
        self, exchange: Exchange, number: int, scope: dict[str, Any], error: BaseException | None
    ) -> None:
        """End a request whose app has returned, or raised.

        Raises:
            asyncio.CancelledError: That is what it was, and what its task is to tell.
        """
        try:
            if error is None and not exchange.has_ended:
                error = asgi_errors.returned_early(has_head=exchange.has_head)
            if error is None:
                return
            if number in self._interrupted and isinstance(error, asyncio.CancelledError):
                exchange.fail(traces.summarise(error), "", "")  # its stack is in the log already
            elif asgi_errors.comes_from_a_gone_client(error):
                exchange.fail("the client has gone away", "", "")
            else:
                self._report(exchange, scope, error)
            if isinstance(error, asyncio.CancelledError):
                raise error
        finally:
            if forked.is_child():
                forked.leave()
            exchange.close()
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
            await _adapt(self._app(scope, socket.receive, socket.send))
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
        for exchange, _, _ in self._running.values():
            exchange.python().cancel()
        for socket, _ in self._sockets.values():
            socket.disconnect(_SERVICE_RESTART, "")
        self.on_close()


def _adapt(returned: Any) -> Coroutine[Any, Any, Any]:  # noqa: ANN401 - whatever an app returns
    """Return a coroutine that does what an app has returned.

    Raises:
        TypeError: It cannot be awaited.
    """
    if not inspect.isawaitable(returned):
        raise asgi_errors.not_awaitable(returned)

    async def run() -> None:
        await returned

    return run()


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
        "method": "",  # set for each request
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
