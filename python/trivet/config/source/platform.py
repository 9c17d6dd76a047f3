"""What the machine tells: CPUs, container, descriptors, terminal, a folder for files."""

import math
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

_CONTAINER_FILES: Final = (".dockerenv", "run/.containerenv")
_KEPT_DESCRIPTORS: Final = 256
"""For listeners, workers' sockets, logs and libraries."""


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """The facts about this machine that decide a default.

    Attributes:
        container: The mark by which a container was recognised; empty outside of one.
        cpus: CPUs that this process may use, at least 1.
        cpus_because: How that was found, for people.
        descriptors: File descriptors that a process may open, once its soft limit is raised.
        is_terminal: Whether standard output is a terminal.
        spool_folder: A folder for unlinked files; `None` where none can be written.
    """

    container: str = ""
    cpus: int = 1
    cpus_because: str = "1 usable CPU"
    descriptors: int = 1_048_576
    is_terminal: bool = False
    spool_folder: Path | None = None

    @classmethod
    def detect(cls, environ: Mapping[str, str], root: Path = Path("/")) -> "Platform":
        """Look around; `root` is where `/proc` and `/sys` are found."""
        cpus, because = usable_cpus(root)
        return cls(
            container=container_mark(environ, root),
            cpus=cpus,
            cpus_because=because,
            descriptors=_descriptors(),
            is_terminal=bool(sys.stdout) and sys.stdout.isatty(),
            spool_folder=spool_folder(environ, root),
        )


def container_mark(environ: Mapping[str, str], root: Path = Path("/")) -> str:
    """Name the mark by which this is a container, or nothing."""
    for name in _CONTAINER_FILES:
        if (root / name).exists():
            return f"/{name}"
    return "KUBERNETES_SERVICE_HOST" if environ.get("KUBERNETES_SERVICE_HOST") else ""


def usable_cpus(root: Path = Path("/")) -> tuple[int, str]:
    """Count the CPUs that this process may use: affinity, and quotas of cgroup v1 or v2.

    A part of a CPU counts as a whole one, since its rest would lie idle.
    """
    allowed = len(os.sched_getaffinity(0))
    quota = min(_quotas(root), default=math.inf)
    if quota >= allowed:
        return allowed, f"{_counted(allowed)} usable"
    return max(1, math.ceil(quota)), f"cgroup quota of {quota:g} CPU, {_counted(allowed)} usable"


def spool_folder(environ: Mapping[str, str], root: Path = Path("/")) -> Path | None:
    """Find a folder to write to; `/var/tmp` is on a disk where `/tmp` often is memory."""
    told = environ.get("TMPDIR")
    usual = [root / "var/tmp", root / "tmp"]
    for folder in [Path(told), *usual] if told else usual:
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return None


def connection_limit(descriptors: int, wanted: int) -> int:
    """Cut the number of connections to what the descriptors give.

    A connection needs one, and a second one while its content lies in a file: a quarter is kept
    for those.
    """
    return max(1, min(wanted, (descriptors - _KEPT_DESCRIPTORS) * 3 // 4))


def _counted(cpus: int) -> str:
    return "1 CPU" if cpus == 1 else f"{cpus} CPUs"


def _descriptors() -> int:
    from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit  # noqa: PLC0415 - POSIX only

    _, hard = getrlimit(RLIMIT_NOFILE)
    return 2**31 - 1 if hard == RLIM_INFINITY else hard


def cgroup_folders(root: Path, controller: str) -> Iterator[Path]:
    """Give the folders of this process's cgroup for a controller, and of all above it.

    `controller` is a name of version 1 (`cpu`, `memory`); version 2 has one folder for all. Some of
    the folders may not exist.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text("ascii", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            yield from _upwards(root / "sys/fs/cgroup", path)
        elif controller in controllers.split(","):
            for mount in (controller, controllers):
                yield from _upwards(root / "sys/fs/cgroup" / mount, path)


def _quotas(root: Path) -> Iterator[float]:
    """Give each quota that holds for this process: those of its cgroup and of all above it."""
    for folder in cgroup_folders(root, "cpu"):
        yield from _quota(folder / "cpu.max")
        yield from _quota(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    inner = Path(path.lstrip("/"))
    # Inside a container the path may be the host's and not be found: the mount itself is then ours.
    for part in (inner, *inner.parents):
        yield mount / part


def _quota(*files: Path) -> Iterator[float]:
    try:
        words = " ".join(file.read_text("ascii", "replace") for file in files).split()
        quota, period = int(words[0]), int(words[1])
    except (OSError, ValueError, IndexError):
        return  # `max`, or no such controller
    if quota > 0 and period > 0:
        yield quota / period
