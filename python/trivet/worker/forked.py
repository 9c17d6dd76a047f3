"""A child that the app forks: it has everything of its parent, and may use none of Trivet's.

Strategy: at once after the fork, before any code of the app runs, the child's descriptors of ours
are replaced by dead ones. Else it would answer on its parent's connection, take requests that are
its parent's, and keep the connection open when its parent has died.
"""

import contextlib
import os
import select
import socket
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

_EVENT_POLL = "anon_inode:[eventpoll]"


class _State:
    is_child = False


def is_child() -> bool:
    """Tell whether this process was forked by a worker's app."""
    return _State.is_child


def disown_in_child(descriptors: Sequence[int], abandon: Callable[[], None]) -> None:
    """See to it that a child by `os.fork` lets go of these; `abandon` is called in it.

    Every epoll object is made anew, too: a copy of the parent's would change what that waits for.
    """

    def disown() -> None:
        _State.is_child = True
        abandon()
        ours, theirs = socket.socketpair()
        with ours:
            theirs.close()
            for descriptor in descriptors:
                os.dup2(ours.fileno(), descriptor, inheritable=False)
        for descriptor in _event_polls():
            with select.epoll() as fresh:
                os.dup2(fresh.fileno(), descriptor, inheritable=False)

    os.register_at_fork(after_in_child=disown)


def leave() -> NoReturn:
    """End a child whose parent's request is over: nobody waits for what it would do next."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)


def _event_polls() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers are wanted
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}") == _EVENT_POLL:  # noqa: PTH115 - as above
                found.append(int(name))
    return found
