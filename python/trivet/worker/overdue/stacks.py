"""Where a thread or a task of this process is, as the log shows it."""

import faulthandler
import os
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from trivet.wire.stacks import Place, shown
from trivet.wire.worker_control import STACKS_SIGNAL

_FRAMES = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))


def register() -> int:
    """Make the file to which `STACKS_SIGNAL` writes where all threads are; return its descriptor.

    The handler is C and needs no interpreter lock, so it works where nothing else does.
    """
    descriptor = os.memfd_create("stacks", os.MFD_CLOEXEC)
    faulthandler.register(STACKS_SIGNAL, file=descriptor, all_threads=True, chain=False)
    return descriptor


def of_thread(ident: int) -> str:
    """Return where a thread is; empty where it is in no code of the app."""
    frame: FrameType | None = sys._current_frames().get(ident)  # noqa: SLF001 - documented
    places = []
    while frame is not None:
        places.append(_place(frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return shown(reversed(places), Path.cwd())


def of_coroutine(coroutine: object) -> str:
    """Return where a suspended coroutine is, through all that it awaits."""
    places = []
    waiting: Any = coroutine
    while True:
        for frame_name, inner_name in _FRAMES:
            frame = getattr(waiting, frame_name, None)
            if frame is not None:
                places.append(_place(frame.f_code, frame.f_lineno))
                waiting = getattr(waiting, inner_name, None)
                break
        else:
            # A native coroutine has no frame, but may wait for one that has.
            waiting = getattr(waiting, "cr_await", None)
            if waiting is None:
                return shown(places, Path.cwd())


def _place(code: CodeType, line: int | None) -> Place:
    return Place(code.co_filename, line or 0, code.co_name)
