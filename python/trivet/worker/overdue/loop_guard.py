"""Listening to the supervisor beside an event loop, which may be blocked."""

import asyncio
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Sequence

from trivet import _trivet
from trivet.errors import RequestTimeout
from trivet.wire.line_socket import LineSocket
from trivet.wire.worker_control import (
    Interrupt,
    Interrupted,
    StopWorker,
    decode_to_worker,
    encode,
)
from trivet.worker.overdue import stacks

LOOK_S = 0.3
"""An event loop that does not take a call for so long is blocked."""

ORPHAN_S = 2.0
"""What an event loop gets to hear that the supervisor is gone."""


class LoopGuard:
    """Has an event loop interrupt requests, and interrupts what blocks it.

    Runs a thread of its own, which owns `control` from now on. `interrupt` is called in the loop
    and says which request's task was found there, or nothing; `on_end` is called in the loop once
    there is a reason to stop, with whether it is that the supervisor is gone.
    """

    def __init__(
        self,
        control: LineSocket,
        interrupt: Callable[[Interrupt], Interrupted],
        on_end: Callable[[bool], object],
    ) -> None:
        self._control = control
        self._interrupt = interrupt
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._ident = threading.get_ident()
        self._native = threading.get_native_id()
        # When the loop is to be interrupted as a whole, for the sake of which task.
        self._last: tuple[float, asyncio.Task[object] | None, list[bool]] | None = None
        self._struck: asyncio.Task[object] | None = None
        self._thread = threading.Thread(target=self._listen, name="trivet-control", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            while self._turn():
                pass
        except RuntimeError:
            return  # the loop is closed: the process ends

    def _turn(self) -> bool:
        timeout = None if self._last is None else max(0.0, self._last[0] - time.monotonic())
        writable = [self._control] if self._control.wants_write else []
        ready, _, _ = select.select([self._control], writable, [], timeout)
        self._control.flush()
        self._interrupt_loop_if_due()
        if not ready:
            return True
        messages = [decode_to_worker(line) for line in self._control.receive()]
        self._do([each for each in messages if isinstance(each, Interrupt)])
        if any(isinstance(each, StopWorker) for each in messages):
            self._loop.call_soon_threadsafe(self._on_end, False)
            return False
        if self._control.at_eof:
            self._leave()
            return False
        return True

    def _do(self, messages: Sequence[Interrupt]) -> None:
        """Let the loop interrupt tasks, unless it does not hear."""
        if not messages:
            return
        blocked_in = asyncio.current_task(self._loop)
        heard: list[bool] = []
        found: list[Interrupted] = []
        is_done = threading.Event()

        def run() -> None:
            heard.append(True)
            found.extend(map(self._interrupt, messages))
            is_done.set()

        self._loop.call_soon_threadsafe(run)
        if is_done.wait(LOOK_S):
            answers = found
        else:
            stack = stacks.of_thread(self._ident)
            answers = [
                Interrupted(request=each.request, found="loop", stack=stack, thread=self._native)
                for each in messages
            ]
            if self._last is None:
                self._last = (time.monotonic() + messages[0].last_s, blocked_in, heard)
        for answer in answers:
            self._control.send(encode(answer))

    def _interrupt_loop_if_due(self) -> None:
        """Interrupt what blocks the loop: the last step before the process is replaced."""
        if self._last is None or self._last[0] > time.monotonic():
            return
        (_, task, heard), self._last = self._last, None
        is_new = task is not None and task is not self._struck
        if is_new and asyncio.current_task(self._loop) is task:
            self._struck = task
            _trivet.interrupt_thread(self._ident, RequestTimeout, heard)

    def _leave(self) -> None:
        """End with the supervisor, also where the loop is blocked."""
        is_heard = threading.Event()

        def end() -> None:
            is_heard.set()
            self._on_end(True)

        self._loop.call_soon_threadsafe(end)
        if not is_heard.wait(ORPHAN_S):
            sys.stderr.write("the supervisor is gone, and the event loop is blocked\n")
            os._exit(1)
