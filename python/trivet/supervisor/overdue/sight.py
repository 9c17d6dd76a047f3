"""What a process does, seen from outside: busy, blocked or dead, without asking it anything.

A worker whose interpreter lock is held for good cannot answer; the kernel still tells what each
of its threads does, and how much time of a CPU it has had.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BUSY = 0.1
"""Of the time between two looks, the part from which on a thread computes rather than waits:
on a crowded machine it gets no more, and one that waits needs next to nothing."""

STACKS_BYTES = 1 << 20
"""What is read of a worker's stacks: `faulthandler` writes at most 100 threads of 100 frames."""

SHARED_S = 0.5
"""For how long a dump serves whoever asks for another one: so nobody clears the file between the
signal that another has sent and the moment when that one reads."""

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_STATE, _USER_TICKS, _SYSTEM_TICKS = 0, 11, 12


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment.

    `threads` has, by the kernel's number, a thread's state (`proc(5)`: `R`, `S`, `D`, `T`, …) and
    the seconds of CPU time that it has had. It is empty where the process is gone.
    """

    at: float
    threads: Mapping[int, tuple[str, float]]


def look(pid: int, now: float) -> Look:
    """Look at a process."""
    threads = {}
    try:
        for entry in Path(f"/proc/{pid}/task").iterdir():
            threads[int(entry.name)] = _thread((entry / "stat").read_text("ascii", "replace"))
    except OSError:
        pass  # it, or a thread of it, has just ended
    return Look(now, threads)


class StackFile:
    """The file that `STACKS_SIGNAL` has a worker write to; owns its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._asked = -SHARED_S

    def begin(self, now: float) -> bool:
        """Make room for a dump; `False` where one was asked for just now, which will do.

        Worker and supervisor share the place where the next write begins.
        """
        if now - self._asked < SHARED_S:
            return False
        self._asked = now
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return True

    def read(self) -> str:
        """Return what the worker has written since."""
        return os.pread(self._descriptor, STACKS_BYTES, 0).decode("utf-8", "replace")

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)


def describe(before: Look, after: Look, thread: int) -> str:
    """Say what a thread did between two looks; `thread` 0 is any of the process.

    Returns:
        What follows "it": `computes`, `waits`, ….
    """
    if not after.threads:
        return "is dead"
    found = after.threads.get(thread)
    states = {found[0]} if found else {state for state, _ in after.threads.values()}
    if states <= {"T", "t"}:
        return "is stopped, by a signal or a debugger"
    elapsed = max(after.at - before.at, _TICK_S)
    if max(_used(before, after, each) for each in ([thread] if found else after.threads)) > (
        BUSY * elapsed
    ):
        return "computes"
    if "D" in states:
        return "waits for a disk or a network file system"
    return "waits"


def _used(before: Look, after: Look, thread: int) -> float:
    _, first = before.threads.get(thread, ("", 0.0))
    return after.threads[thread][1] - first


def _thread(stat: str) -> tuple[str, float]:
    fields = stat.rpartition(")")[2].split()
    ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    return fields[_STATE], ticks * _TICK_S
