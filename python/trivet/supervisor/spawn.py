"""Starting the edge and the workers, with the descriptors that each of them inherits.

Children get a session of their own: Ctrl-C in a terminal goes to the whole foreground group, and
only the supervisor is to hear it.
"""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trivet.wire.claim import create_claim_page
from trivet.wire.line_socket import LineSocket

LINK_BUFFER_BYTES = 1 << 20
"""Socket buffers of a link: a full window of requests fits without a wait, where allowed."""

# What systemd says is for the supervisor alone; a child that answered would confuse it.
_SUPERVISOR_ONLY = frozenset(
    {
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
    }
)


def python_command(*arguments: str) -> list[str]:
    """Return the command line of `python -m trivet …` with this Python.

    The current folder stays off `sys.path` (`-P`) while Trivet's own modules are imported, so
    that an app's `queue.py` beside them does no harm; the worker adds the app's folder itself.
    """
    here = Path(__file__).parent.parent.parent
    safe = sys.version_info >= (3, 11) and here != Path.cwd()
    return [sys.executable, *(["-P"] if safe else []), "-m", "trivet", *arguments]


@dataclass(frozen=True, slots=True)
class Programs:
    """What is run as edge and as worker; `--control-fd N` follows."""

    edge: Sequence[str] = field(default_factory=lambda: python_command("edge"))
    worker: Sequence[str] = field(default_factory=lambda: python_command("worker"))


@dataclass(slots=True)
class EdgeProcess:
    """A running edge; its output is the supervisor's own."""

    process: subprocess.Popen[bytes]
    control: LineSocket


@dataclass(slots=True)
class WorkerProcess:
    """A running worker of the app with this number.

    `descriptors` are those that the edge will get (link, claim page, doorbell), until it has
    them. `inherited` are the numbers of the worker's own link, claim page and doorbell.
    """

    process: subprocess.Popen[bytes]
    control: LineSocket
    stdout: int
    stderr: int
    descriptors: list[int]
    inherited: tuple[int, int, int]
    app: int

    def close_descriptors(self) -> None:
        """Close what was for the edge: it has its own copies now, or will never need them."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()


def start_edge(programs: Programs) -> EdgeProcess:
    """Start an edge process."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [*programs.edge, "--control-fd", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=child_environment(os.environ),
            start_new_session=True,
        )
    return EdgeProcess(process, LineSocket(ours))


def start_worker(
    programs: Programs,
    environment: Mapping[str, str],
    folder: Path,
    *,
    app: int = 0,
    check: bool = False,
) -> WorkerProcess:
    """Start a worker process, which waits for its `Start` message.

    Args:
        programs: what to run.
        environment: variables on top of the supervisor's.
        folder: where it runs.
        app: the number of its app.
        check: whether it only loads the app: it has no link then, and its output is ours.
    """
    with contextlib.ExitStack() as stack:
        ours, theirs = socket.socketpair()
        stack.callback(theirs.close)
        mine: list[int] = []
        inherited = (-1, -1, -1)
        out: int | None = None
        if not check:
            mine, link = _make_link()
            stack.callback(os.close, link)
            inherited = (link, mine[1], mine[2])
            out = subprocess.PIPE
        process = subprocess.Popen(
            [
                *programs.worker,
                *(["--check"] if check else []),
                "--control-fd",
                str(theirs.fileno()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=[theirs.fileno(), *(fd for fd in inherited if fd >= 0)],
            env={**child_environment(os.environ), **environment},
            cwd=folder,
            start_new_session=True,
        )
    stdout, stderr = (_detach(stream) for stream in (process.stdout, process.stderr))
    return WorkerProcess(process, LineSocket(ours), stdout, stderr, mine, inherited, app)


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what children see of the supervisor's environment."""
    return {name: value for name, value in environ.items() if name not in _SUPERVISOR_ONLY}


def _make_link() -> tuple[list[int], int]:
    """Return the edge's link, claim page and doorbell, and the worker's end of the link."""
    edge_end, worker_end = socket.socketpair()
    for end in (edge_end, worker_end):
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            # The kernel takes what `net.core.wmem_max` allows, without an error.
            end.setsockopt(socket.SOL_SOCKET, option, LINK_BUFFER_BYTES)
    doorbell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_SEMAPHORE)
    return [edge_end.detach(), create_claim_page(), doorbell], worker_end.detach()


def _detach(stream: object) -> int:
    """Take the descriptor out of the file object that `Popen` has made of it."""
    if stream is None:
        return -1
    fileno: int = os.dup(stream.fileno())  # type: ignore[attr-defined]
    stream.close()  # type: ignore[attr-defined]
    return fileno
