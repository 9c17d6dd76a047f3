"""What an app opens while it is imported, and where: a fork would share or lose it.

Strategy: while the app is imported, threads that start and sockets that are made note the line of
the app that did so. Afterwards the process itself is asked what is still open, so that what native
code has opened is found too, if without a line.
"""

import gc
import os
import socket
import stat
import sys
import threading
import traceback
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from trivet.wire.fork_control import Finding
from trivet.worker import traces

_DESCRIPTORS = Path("/proc/self/fd")
_FIRST_OWN_FD = 3
_LOOP_SOURCES = f"{os.sep}asyncio{os.sep}"
"""What asyncio makes for a loop is the loop's, not a socket of its own."""


class Openings:
    """Takes notes from `watched` on; `found` tells what was left open.

    For the main thread of a fork server, once.
    """

    def __init__(self) -> None:
        self._threads: weakref.WeakKeyDictionary[threading.Thread, traceback.FrameSummary] = (
            weakref.WeakKeyDictionary()
        )
        self._sockets: list[tuple[Any, traceback.FrameSummary | None, bool]] = []
        self._known = set(_socket_descriptors())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take notes while the block runs."""
        start, init = threading.Thread.start, socket.socket.__init__

        def noted_start(thread: threading.Thread) -> None:
            if place := _here():
                self._threads[thread] = place
            start(thread)

        def noted_init(made: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as there
            init(made, *args, **kwargs)
            self._sockets.append((weakref.ref(made), _here(), _is_of_a_loop()))

        threading.Thread.start = noted_start  # type: ignore[method-assign, assignment]
        socket.socket.__init__ = noted_init  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            threading.Thread.start = start  # type: ignore[method-assign]
            socket.socket.__init__ = init  # type: ignore[method-assign]

    def found(self) -> list[Finding]:
        """Return what is open, each line of the app once."""
        findings = [*self._living_threads(), *self._open_loops(), *self._open_sockets()]
        return list({(each.kind, each.place or each.what): each for each in findings}.values())

    def _living_threads(self) -> Iterator[Finding]:
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                place = traces.place_of(self._threads.get(thread))
                yield Finding(kind="thread", what=thread.name, place=place)

    def _open_loops(self) -> Iterator[Finding]:
        if (asyncio := sys.modules.get("asyncio")) is None:
            return
        kind = asyncio.AbstractEventLoop
        # The type is asked, not the object: a proxy would answer for what it stands for.
        loops = [each for each in gc.get_objects() if issubclass(type(each), kind)]
        places = [place for made, place, is_loop in self._sockets if is_loop and _fd(made) >= 0]
        for loop in loops:
            if not loop.is_closed():
                place = traces.place_of(places.pop() if places else None)
                yield Finding(kind="loop", what=type(loop).__name__, place=place)

    def _open_sockets(self) -> Iterator[Finding]:
        places = {_fd(made): (place, is_loop) for made, place, is_loop in self._sockets}
        for descriptor in _socket_descriptors():
            place, is_loop = places.get(descriptor, (None, False))
            if descriptor not in self._known and not is_loop:
                what = _describe(descriptor)
                yield Finding(kind="socket", what=what, place=traces.place_of(place))


def _here() -> traceback.FrameSummary | None:
    """Return the innermost line of the app that is running now."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - documented, and cheap
    while frame is not None:
        code = frame.f_code
        if traces.is_app_file(code.co_filename):
            return traceback.FrameSummary(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back
    return None


def _is_of_a_loop() -> bool:
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - as above
    while frame is not None:
        if _LOOP_SOURCES in frame.f_code.co_filename and "_make_self_pipe" in frame.f_code.co_name:
            return True
        frame = frame.f_back
    return False


def _fd(made: Any) -> int:  # noqa: ANN401 - a reference to a socket
    alive = made()
    return -1 if alive is None else alive.fileno()


def _socket_descriptors() -> Iterator[int]:
    for entry in sorted(int(each.name) for each in _DESCRIPTORS.iterdir()):
        try:
            mode = os.fstat(entry).st_mode
        except OSError:  # that of the listing itself
            continue
        if entry >= _FIRST_OWN_FD and stat.S_ISSOCK(mode):
            yield entry


def _describe(descriptor: int) -> str:
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        try:
            if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return f"a listening socket on {_shown(copy.getsockname())}"
            return f"a connection to {_shown(copy.getpeername())}"
        except OSError:
            return "a socket"


def _shown(address: Any) -> str:  # noqa: ANN401 - by address family
    if isinstance(address, tuple):
        return f"{address[0]}:{address[1]}"
    return str(address) or "another socket of this process"
