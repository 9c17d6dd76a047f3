"""Serving a loaded ASGI app: its event loop, its lifespan, and the end of it."""

import asyncio
import contextlib
import signal
from collections.abc import Callable

from trivet.errors import AppLoadError
from trivet.wire.line_socket import LineSocket
from trivet.wire.worker_control import Start
from trivet.worker import forked
from trivet.worker.asgi import AsgiApp, AsgiServer
from trivet.worker.event_loop import new_event_loop
from trivet.worker.lifespan import Lifespan, LifespanError
from trivet.worker.overdue.loop_guard import LoopGuard

ORPHAN_S = 1.0
"""What running requests get when the supervisor is gone: nobody is left to wait for them."""


def serve(start: Start, app: AsgiApp, control: LineSocket, on_ready: Callable[[], None]) -> int:
    """Let the app start, call `on_ready`, answer requests until told to stop.

    Returns:
        The exit code.

    Raises:
        AppLoadError: The app's lifespan says that it cannot start.
    """
    loop = new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_serve(start, app, control, on_ready))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


async def _serve(
    start: Start, app: AsgiApp, control: LineSocket, on_ready: Callable[[], None]
) -> int:
    lifespan = Lifespan(app)
    try:
        await lifespan.start()
    except LifespanError as error:
        raise AppLoadError(
            f"`{start.app.name}` could not start: its lifespan failed",
            code="app.lifespan",
            detail=str(error),
        ) from error
    server = AsgiServer(app, start, lifespan.state)
    forked.disown_in_child([start.link_fd, control.fileno()], server.abandon)
    on_ready()
    is_orphan = await _wait_for_end(control, server)
    stopping = server.stop()
    if is_orphan:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stopping, ORPHAN_S)
    else:
        await stopping
    await lifespan.stop()
    return 0


async def _wait_for_end(control: LineSocket, server: AsgiServer) -> bool:
    """Wait for a reason to stop; return whether it is that the supervisor is gone."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[bool] = loop.create_future()

    def tell(is_orphan: bool) -> None:  # noqa: FBT001 - a callback
        if not told.done():
            told.set_result(is_orphan)

    LoopGuard(control, server.interrupt, tell)
    loop.add_signal_handler(signal.SIGTERM, tell, False)
    server.on_close = lambda: tell(False)
    return await told
