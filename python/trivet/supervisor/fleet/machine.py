"""What processes and the machine use: CPU time and memory, read from the kernel.

Whatever cannot be read is `None` or 0, never an error: a process may be gone, a file may be hidden
from a container.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from trivet.config.source.platform import cgroup_folders

_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used.

    Spec: `clock_getcpuclockid(3)` builds the clocks of other processes so.
    """
    scheduler = 2
    try:
        return time.clock_gettime((~pid << 3) | scheduler)
    except OSError:
        return 0.0


def resident_bytes(pid: int, proc: Path = Path("/proc")) -> int:
    """Return the memory that a process has in RAM, shared pages in full (RSS)."""
    try:
        return int((proc / str(pid) / "statm").read_text("ascii").split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def proportional_bytes(pid: int, proc: Path = Path("/proc")) -> int:
    """Return the memory that a process has in RAM, with its share of shared pages (PSS).

    The kernel walks all of its pages for it, which takes milliseconds: for processes that share
    much, and not often. Where that is forbidden, the resident memory takes its place.
    """
    try:
        lines = (proc / str(pid) / "smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return resident_bytes(pid, proc)
    kib = next((line.split()[1] for line in lines if line.startswith("Pss:")), None)
    return int(kib) * 1024 if kib else resident_bytes(pid, proc)


class CpuShare:
    """The share of the machine's CPUs in use, between two looks."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._file = proc / "stat"
        self._last = self._read()

    def look(self) -> float:
        """Return the share since the last look, 0 to 1; 0 if the kernel does not tell."""
        (busy, total), self._last = self._last, self._read()
        now_busy, now_total = self._last
        return (now_busy - busy) / (now_total - total) if now_total > total else 0.0

    def _read(self) -> tuple[int, int]:
        """Return the ticks of the CPUs that this process may use: in use, and in all."""
        busy = total = 0
        allowed = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        try:
            lines = self._file.read_text("ascii").splitlines()
        except OSError:
            return 0, 0
        for line in lines:
            name, *ticks = line.split()
            if name in allowed:
                # user nice system idle iowait irq softirq steal; the guests' are in `user`.
                numbers = [int(tick) for tick in ticks[:8]]
                total += sum(numbers)
                busy += sum(numbers) - sum(numbers[3:5])
        return busy, total


def free_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes that can still be taken, by the machine and by the cgroups."""
    return min([*_available(root), *_left_in_cgroups(root)], default=None)


def _available(root: Path) -> Iterator[int]:
    try:
        lines = (root / "proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _left_in_cgroups(root: Path) -> Iterator[int]:
    for folder in cgroup_folders(root, "memory"):
        for limit_name, used_name, cache in (
            ("memory.max", "memory.current", "inactive_file "),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "),
        ):
            try:
                limit = (folder / limit_name).read_text("ascii").strip()
                used = int((folder / used_name).read_text("ascii"))
                facts = (folder / "memory.stat").read_text("ascii").splitlines()
            except (OSError, ValueError):
                continue
            if limit.isdecimal():
                cached = next((int(each.split()[1]) for each in facts if each.startswith(cache)), 0)
                yield max(0, int(limit) - used + cached)
