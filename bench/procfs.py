"""What `/proc` says of a process tree: who is in it, its CPU time, its memory.

Linux only. A process may end between two reads: it is then simply absent from the answer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One line of the process table. `cpu_us` counts all its threads, not its children."""

    pid: int
    parent: int
    session: int
    state: str
    started_ticks: int
    cpu_us: float
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory of one process or of several added up; `pss_bytes` is None where not readable."""

    rss_bytes: int
    peak_rss_bytes: int
    pss_bytes: int | None


def parse_stat(text: str, command: str) -> Process:
    """Read the text of `/proc/PID/stat`; the name in parentheses may hold anything."""
    pid = int(text.split(" ", 1)[0])
    fields = text[text.rindex(")") + 2 :].split()
    ticks = int(fields[11]) + int(fields[12])
    return Process(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        state=fields[0],
        started_ticks=int(fields[19]),
        cpu_us=ticks * 1_000_000 / TICKS_PER_SECOND,
        command=command,
    )


def processes() -> dict[int, Process]:
    """Read the whole process table."""
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                command = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                process = parse_stat((entry / "stat").read_text(errors="replace"), command.strip())
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[process.pid] = process
    return found


def tree(roots: Iterable[int], table: dict[int, Process] | None = None) -> list[Process]:
    """Give the live processes that descend from `roots` or sit in a session one of them leads.

    The session catches what lost its parent. Zombies are left out.
    """
    table = processes() if table is None else table
    leaders = set(roots)
    members = {
        pid for pid, process in table.items() if pid in leaders or process.session in leaders
    }
    grown = True
    while grown:
        new = {pid for pid, process in table.items() if process.parent in members} - members
        members |= new
        grown = bool(new)
    return [table[pid] for pid in sorted(members) if table[pid].state not in "ZX"]


def memory(pids: Iterable[int]) -> Memory:
    """Add up the memory of `pids`; shared pages count once each in RSS, and fairly in PSS."""
    rss = peak = 0
    pss: int | None = 0
    for pid in pids:
        try:
            status = sizes((PROC / str(pid) / "status").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
        rss += status.get("VmRSS", 0)
        peak += status.get("VmHWM", 0)
        share = pss_bytes(pid)
        pss = None if pss is None or share is None else pss + share
    return Memory(rss_bytes=rss, peak_rss_bytes=peak, pss_bytes=pss)


def pss_bytes(pid: int) -> int | None:
    """Give the proportional share of memory of `pid`; None where the kernel does not tell."""
    try:
        return sizes((PROC / str(pid) / "smaps_rollup").read_text()).get("Pss", 0)
    except OSError:
        return None


def sizes(text: str) -> dict[str, int]:
    """Read the `Name:  123 kB` lines of `/proc/PID/status` or `smaps_rollup`, into bytes."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        number, _, unit = rest.strip().partition(" ")
        if unit.strip() == "kB":
            found[name] = int(number) * 1024
    return found


def reset_peak(pid: int) -> None:
    """Make `VmHWM` of `pid` start again from its RSS of now (proc_pid_clear_refs(5))."""
    (PROC / str(pid) / "clear_refs").write_text("5")


def stolen_ticks() -> tuple[int, int]:
    """Give (ticks stolen by the hypervisor, all ticks) since boot, over all CPUs."""
    fields = [int(field) for field in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]]
    return fields[7], sum(fields[:8])
