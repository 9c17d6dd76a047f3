"""An ASGI app's lifespan: startup before the first request, shutdown after the last.

Spec: ASGI 3.0, "Lifespan Protocol" 2.0, with lifespan state.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from trivet.worker import traces

Message = dict[str, Any]
AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]


class LifespanError(Exception):
    """The app says that it cannot start; the text is its reason."""


class Lifespan:
    """The lifespan of one process. Belongs to the event loop's thread."""

    def __init__(self, app: AsgiApp) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()
        self._failure: str | None = None
        self._error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Let the app start.

        An app without lifespan raises at once, which is as it should be (ASGI, "Lifespan").

        Raises:
            LifespanError: The app answered `lifespan.startup.failed`, or raised after it had
                begun to take part.
        """
        self._inbox.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.get_running_loop().create_task(self._run())
        await self._started.wait()
        if self._failure is not None:
            raise LifespanError(self._failure or "it gave no reason")

    async def stop(self) -> None:
        """Let the app shut down; what it raises is the app's to log."""
        if self._task is None or self._task.done():
            return
        self._inbox.put_nowait({"type": "lifespan.shutdown"})
        await self._stopped.wait()

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        took_part = False

        async def receive() -> Message:
            nonlocal took_part
            message = await self._inbox.get()
            took_part = True
            return message

        try:
            await self._app(scope, receive, self._send)
        except Exception as error:  # noqa: BLE001 - the app's, and told
            if took_part and not self._started.is_set():
                self._failure = traces.format_trimmed(error)
        finally:
            self._started.set()
            self._stopped.set()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self._started.set()
        elif kind == "lifespan.startup.failed":
            self._failure = message.get("message", "")
            self._started.set()
        elif kind in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
            self._stopped.set()
        else:
            raise RuntimeError(f"the app sent `{kind}` during its lifespan")
