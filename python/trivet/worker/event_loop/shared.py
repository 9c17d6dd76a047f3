"""One event loop for all coroutines of a process that otherwise runs threads.

Strategy: the loop runs in a thread of its own, which begins with the first coroutine. Whoever
wants one run waits for it in its own thread. So what a coroutine has opened (a client, a pool of
connections) belongs to a loop that is still there when the next one asks for it.
"""

import asyncio
import contextvars
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from trivet.worker.event_loop import new_event_loop

FIRST_LOOK_S = 1.0
LOOK_S = 0.1
"""How often a waiting thread wakes up, once it has waited for longer than `FIRST_LOOK_S`.

Python interrupts a thread between two of its own steps, never in the middle of a wait.
"""
CANCEL_S = 1.0
"""What a cancelled coroutine gets for its `finally` clauses, with the request still at hand."""
STOP_S = 5.0
"""What all that is left on the loop gets to end when the worker stops."""

AsyncFunction = Callable[..., Coroutine[Any, Any, Any]]


class SharedLoop:
    """An event loop in a thread of its own. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = 0

    def run(self, function: AsyncFunction, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the function
        """Run a coroutine function on the loop, and wait for it.

        It sees the caller's context variables, and the caller sees what it changed. If the wait is
        interrupted by an exception, the coroutine is cancelled.

        Raises:
            RuntimeError: This is the loop's own thread, which would wait for itself.
            BaseException: Whatever the coroutine raises.
        """
        loop = self._running()
        if threading.current_thread() is self._thread:
            name = getattr(function, "__qualname__", "the function")
            raise RuntimeError(f"an async view cannot wait for itself: `await {name}(…)` instead")
        call = _Call(loop, function, args, kwargs)
        try:
            loop.call_soon_threadsafe(call.start, context=contextvars.copy_context())
            call.wait()
        except BaseException:
            call.cancel()
            raise
        return call.result()

    def stop(self) -> None:
        """Cancel what still runs, close the loop, and wait for its thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None or self._process != os.getpid():
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            # A child by `os.fork` has the object, and no thread that runs it.
            if self._loop is None or self._process != os.getpid():
                self._process = os.getpid()
                self._loop = new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=[self._loop], name="trivet-async"
                )
                self._thread.start()
            return self._loop


class _Call:
    """One coroutine, from the thread that waits for it to the loop and back."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        function: AsyncFunction,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._loop = loop
        self._function: Callable[[], Coroutine[Any, Any, Any]] = lambda: function(*args, **kwargs)
        self._task: asyncio.Task[None] | None = None
        self._is_cancelled = False
        self._is_over = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._context: contextvars.Context | None = None
        self._is_running = threading.Lock()
        self._is_running.acquire()

    # In the loop's thread.

    def start(self) -> None:
        if self._is_cancelled:
            self._is_running.release()
        else:
            self._task = self._loop.create_task(self._run(), name="async view")

    async def _run(self) -> None:
        try:
            self._value = await self._function()
        except BaseException as error:  # noqa: BLE001 - the caller's, to the last; `SystemExit` would end the loop
            self._error = error
        finally:
            self._context = contextvars.copy_context()
            self._is_over = True
            self._is_running.release()

    def _cancel(self) -> None:
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()

    # In the caller's.

    def wait(self) -> None:
        patience = FIRST_LOOK_S
        while not self._is_running.acquire(timeout=patience):
            patience = LOOK_S

    def cancel(self) -> None:
        if self._is_over:
            return
        self._loop.call_soon_threadsafe(self._cancel)
        self._is_running.acquire(timeout=CANCEL_S)

    def result(self) -> Any:  # noqa: ANN401 - as the function
        if self._context is not None:
            _take_over(self._context)
        if self._error is None:
            return self._value
        try:
            raise self._error
        finally:
            del self._error  # its traceback has this frame, and would keep everything alive


def _take_over(context: contextvars.Context) -> None:
    """Set what a coroutine has set."""
    before = contextvars.copy_context()
    for variable, value in context.items():
        if variable not in before or before[variable] is not value:
            variable.set(value)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(_wind_up(loop))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _wind_up(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=STOP_S)
        for task in late:
            sys.stderr.write(f"{task.get_name()} did not end when it was cancelled: {task!r}\n")
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
