"""What the system tells of processes."""

import contextlib
import os
import resource
from pathlib import Path


def rss_bytes(pid: int) -> int | None:
    """Return the resident memory of a process, shared pages included; `None` if it is gone.

    Spec: proc_pid_statm(5).
    """
    try:
        pages = Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * resource.getpagesize()


def own_mounts() -> str:
    """Return the name of this process's mount namespace, or `""` where it is not told."""
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/mnt")
    return ""
