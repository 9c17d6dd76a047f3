"""How a process ended, in words."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a process.

    `reason` is short, for the edge's incidents (`SIGKILL`, `exit 3`); `pid` is 0, and `reason` the
    system's words, where it could not even be started. `peak_bytes` is the most memory it ever
    had; `out_of_memory` whether the kernel has killed somebody for want of memory since the
    supervisor last looked.
    """

    pid: int
    reason: str
    peak_bytes: int
    out_of_memory: bool = False

    def describe(self) -> str:
        """Return what follows "worker 2" in a sentence."""
        if not self.pid:
            return f"could not be started: {self.reason}"
        return f"(pid {self.pid}) {self._end()}"

    def _end(self) -> str:
        if self.reason.startswith("exit "):
            return f"exited with code {self.reason.removeprefix('exit ')}"
        text = f"was killed by {self.reason}"
        if self.reason != "SIGKILL":
            return text
        memory = f"{self.peak_bytes / 2**20:.0f} MiB"
        guess = "out of memory" if self.out_of_memory else "by hand, or by a memory limit"
        return f"{text} after using up to {memory} (probably {guess})"


def death_from_status(pid: int, status: int, *, peak_bytes: int, out_of_memory: bool) -> Death:
    """Translate a status of `os.wait4`."""
    if os.WIFSIGNALED(status):
        reason = _signal_name(os.WTERMSIG(status))
    else:
        reason = f"exit {os.waitstatus_to_exitcode(status)}"
    return Death(pid, reason, peak_bytes, out_of_memory and reason == "SIGKILL")


def ended_children() -> Iterator[tuple[int, int, int]]:
    """Reap what has ended: its number, its status, and the most memory it had, in bytes."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, status, usage.ru_maxrss * 1024


class OutOfMemoryCounter:
    """Notices whether the kernel killed a process for want of memory, by its own counter."""

    def __init__(self, path: Path = _VMSTAT) -> None:
        self._path = path
        self._seen = self._read()

    def has_risen(self) -> bool:
        """Return whether the counter has risen since the last call."""
        before, self._seen = self._seen, self._read()
        return self._seen > before

    def _read(self) -> int:
        try:
            lines = self._path.read_text("ascii").splitlines()
        except OSError:
            return 0
        return next((int(line[9:]) for line in lines if line.startswith("oom_kill ")), 0)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"
