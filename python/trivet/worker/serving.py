"""Running a loaded app: the native loop on its threads, and the end of it."""

import contextlib
import functools
import os
import selectors
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from trivet import _trivet
from trivet.wire.line_socket import LineSocket
from trivet.wire.worker_control import Interrupt, Start, StopWorker, decode_to_worker, encode
from trivet.worker import failure, forked
from trivet.worker.environ import constant_environ
from trivet.worker.event_loop import flask_views
from trivet.worker.file_wrapper import FileWrapper
from trivet.worker.overdue import interrupts
from trivet.worker.raw_content import RawContent
from trivet.worker.raw_socket import RawSockets

if TYPE_CHECKING:
    from typing_extensions import Self

ORPHAN_S = 1.0
"""What running requests get when the supervisor is gone: nobody is left to wait for them."""


def serve(
    start: Start,
    app: Any,  # noqa: ANN401 - any WSGI app
    control: LineSocket,
    on_ready: Callable[[], None],
) -> int:
    """Call `on_ready`, answer requests until told to stop, or the link ends; return the exit code.

    For the main thread, which only waits here: requests run on threads of their own.
    """
    sockets = RawSockets()
    loop = _trivet.WsgiWorker(
        link_fd=start.link_fd,
        claim_fd=start.claim_fd,
        doorbell_fd=start.doorbell_fd,
        app=app,
        environ=constant_environ(start),
        file_wrapper=FileWrapper,
        raw_stream=RawContent,
        open_socket=sockets.open,
        close_socket=sockets.close,
        locate=functools.partial(failure.source_of, app),
        on_error=report_error,
    )
    shared_loop = flask_views.share_loop(app) if start.app.async_views == "shared" else None
    on_ready()

    def abandon() -> None:
        loop.abandon()
        sockets.abandon()

    with _Wakeup() as wakeup:
        forked.disown_in_child(
            [start.link_fd, start.doorbell_fd, control.fileno(), wakeup.fileno()], abandon
        )
        crew = _Crew(loop, start.threads, wakeup)
        is_orphan = _wait_for_end(control, loop, crew, wakeup)
        loop.stop()
        if is_orphan and not crew.join(ORPHAN_S):
            # A request that hangs must not keep a worker alive that nobody knows of.
            os._exit(1)
        crew.join(None)
    if shared_loop is not None:
        shared_loop.stop()
    return 1 if crew.has_crashed else 0


def report_error(
    request_id: str,
    method: str,
    path: str,
    error: BaseException,
    progress: failure.Progress,
    source: traceback.FrameSummary | None,
) -> tuple[str, str, str]:
    """Log what the app raised; called by the native loop in the request's thread.

    Returns:
        The exception in one line, where in the app it was raised, and its traceback.
    """
    request = failure.FailedRequest(request_id, method, path, progress)
    return failure.report(request, error, source)


class _Wakeup:
    """Wakes the main thread: for SIGTERM, and when the native loop has ended."""

    def __init__(self) -> None:
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __enter__(self) -> "Self":
        signal.signal(signal.SIGTERM, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is stopping already
        os.close(self._event)

    def fileno(self) -> int:
        return self._event

    def wake(self) -> None:
        os.eventfd_write(self._event, 1)

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        self.wake()


class _Crew:
    """The threads of the native loop, at most `most`.

    One reads and runs; another is there to take over from it. When that has happened, and nobody
    is left to take over from the second, a third is made, and so on: an app that only computes
    stays at two.
    """

    def __init__(self, loop: _trivet.WsgiWorker, most: int, wakeup: _Wakeup) -> None:
        self._loop = loop
        self._most = most
        self._wakeup = wakeup
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._is_closed = False
        self.has_crashed = False
        self._grow()

    def join(self, timeout_s: float | None) -> bool:
        """Wait for the threads to end, each at most so long; return whether all have."""
        with self._lock:
            self._is_closed = True
        for thread in self._threads:
            thread.join(timeout_s)
        return not any(thread.is_alive() for thread in self._threads)

    def _grow(self) -> bool:
        with self._lock:
            index = len(self._threads)
            if self._is_closed or index >= self._most:
                return False
            thread = threading.Thread(target=self._run, args=(index,), name=f"trivet-{index}")
            try:
                thread.start()
            except RuntimeError as problem:  # the system allows no more: go on with these
                sys.stderr.write(f"no more than {index} threads: {problem}\n")
                return False
            self._threads.append(thread)
            return True

    def _run(self, index: int) -> None:
        try:
            self._loop.run(index, self._grow)
        except BaseException:  # noqa: BLE001 - the outer end of a thread
            self.has_crashed = True
            sys.stderr.write(traceback.format_exc())
        if forked.is_child():
            forked.leave()
        # One thread that has ended means that all are ending: the link is gone.
        with contextlib.suppress(OSError):
            self._wakeup.wake()


def _wait_for_end(
    control: LineSocket, loop: _trivet.WsgiWorker, crew: _Crew, wakeup: _Wakeup
) -> bool:
    """Wait for a reason to stop; return whether it is that the supervisor is gone.

    Interrupts requests meanwhile, as the supervisor says.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wakeup, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if wakeup in ready:
                return False
            control.flush()
            for message in map(decode_to_worker, control.receive()):
                if isinstance(message, StopWorker):
                    return False
                if isinstance(message, Interrupt):
                    control.send(encode(interrupts.interrupt_thread(loop, message)))
            if control.at_eof:
                return not crew.has_crashed
