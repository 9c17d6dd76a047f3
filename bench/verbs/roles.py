"""The memory of a server by role: Trivet's edge and workers apart, the whole tree for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import procfs
from bench.measure import ROLES
from bench.servers import TRIVET

if TYPE_CHECKING:
    from bench.running import Running

ALL = "all processes"


def pids_by_role(running: Running) -> dict[str, list[int]]:
    """Give the process ids of each role that is there, and of all."""
    tree = running.tree()
    found = {ALL: [process.pid for process in tree]}
    if running.server.name == TRIVET:
        for role, mark in ROLES.items():
            if pids := [process.pid for process in tree if mark in process.command]:
                found[role] = pids
    return found


def memory_by_role(running: Running) -> dict[str, procfs.Memory]:
    """Add up the memory of each role."""
    return {role: procfs.memory(pids) for role, pids in pids_by_role(running).items()}
