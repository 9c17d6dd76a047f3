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
from typing import Any, Protocol

from trivet.supervisor.overdue.sight import StackFile
from trivet.supervisor.start.identity import Identity
from trivet.wire.claim import create_claim_page
from trivet.wire.line_socket import LineSocket
from trivet.wire.worker_control import STACKS_SIGNAL

LINK_BUFFER_BYTES = 1 << 20
"""Socket buffers of a link: a full window of requests fits without a wait, where allowed."""

_PR_SET_CHILD_SUBREAPER = 36

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


def python_command() -> list[str]:
    """Return the command line of `python -m trivet` with this Python; a command follows.

    The current folder stays off `sys.path` (`-P`) while Trivet's own modules are imported, so
    that an app's `queue.py` beside them does no harm; the worker adds the app's folder itself.
    """
    here = Path(__file__).parent.parent.parent
    safe = sys.version_info >= (3, 11) and here != Path.cwd()
    return [sys.executable, *(["-P"] if safe else []), "-m", "trivet"]


@dataclass(frozen=True, slots=True)
class Programs:
    """What is run as edge, as worker and as fork server; `--control-fd N` follows.

    Where `worker` and `preload` are empty, an app's own Python runs Trivet's.
    """

    edge: Sequence[str] = field(default_factory=lambda: [*python_command(), "edge"])
    worker: Sequence[str] = ()
    preload: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where, as whom and by which Python the processes of an app run.

    `environment` comes on top of the supervisor's own, `python` is a command line that a command
    of Trivet follows, and `identity` is `None` where they stay who the supervisor is.
    """

    environment: Mapping[str, str]
    folder: Path
    python: Sequence[str]
    identity: Identity | None


class Process(Protocol):
    """A child of the supervisor; `returncode` is set by who reaps it."""

    pid: int
    returncode: int | None


@dataclass(slots=True)
class ForkedProcess:
    """A child that a fork server has made; `pid` is 0 until it is known."""

    pid: int = 0
    returncode: int | None = None


@dataclass(slots=True)
class EdgeProcess:
    """A running edge; its output is the supervisor's own."""

    process: subprocess.Popen[bytes]
    control: LineSocket


@dataclass(slots=True)
class WorkerProcess:
    """A running worker of the app with this number.

    `descriptors` are those that the edge will get (link, claim page, doorbell), until it has
    them. `inherited` are the numbers of the worker's own link, claim page and doorbell; a forked
    worker finds its own.
    """

    process: Process
    control: LineSocket
    stdout: int
    stderr: int
    descriptors: list[int]
    inherited: tuple[int, int, int]
    app: int
    threads: int
    """Requests that it runs at once, where it has no event loop."""
    stacks: StackFile | None = None
    """Once it has loaded the app."""

    def close_descriptors(self) -> None:
        """Close what was for the edge: it has its own copies now, or will never need them."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()

    def take_stacks(self) -> None:
        """Take over the file that came with the worker's last message."""
        for descriptor in self.control.take_descriptors(1):
            self.stacks = StackFile(descriptor)

    def ask_for_stacks(self, now: float) -> bool:
        """Have it write down where its threads are; `False` where it has no file for that yet."""
        if self.stacks and self.stacks.begin(now):
            send_signal(self.process, STACKS_SIGNAL)
        return self.stacks is not None

    def close(self) -> None:
        """Close what is left but for the streams, when the process is gone."""
        self.close_descriptors()
        if self.stacks:
            self.stacks.close()


@dataclass(slots=True)
class ForkServerProcess:
    """A running fork server."""

    process: Process
    control: LineSocket
    stdout: int
    stderr: int


def start_edge(programs: Programs, identity: Identity | None) -> EdgeProcess:
    """Start an edge process."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [*programs.edge, "--control-fd", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=child_environment(os.environ, identity),
            start_new_session=True,
            **popen_identity(identity),
        )
    return EdgeProcess(process, LineSocket(ours))


def start_worker(programs: Programs, around: Surroundings, app: int, threads: int) -> WorkerProcess:
    """Start a worker process of the app with this number, which waits for its `Start` message."""
    with contextlib.ExitStack() as stack:
        mine, link = _make_link()
        stack.callback(os.close, link)
        inherited = (link, mine[1], mine[2])
        command = programs.worker or [*around.python, "worker"]
        started = _start(command, around, inherited)
    pipes = started.stdout, started.stderr
    return WorkerProcess(started.process, started.control, *pipes, mine, inherited, app, threads)


def start_fork_server(programs: Programs, around: Surroundings) -> ForkServerProcess:
    """Start a fork server, which waits for its `Preload` message."""
    return _start(programs.preload or [*around.python, "preload"], around, ())


def start_check(
    programs: Programs, around: Surroundings, *arguments: str, output: int | None = None
) -> tuple[subprocess.Popen[bytes], LineSocket]:
    """Start a worker that only loads the app: it has no link.

    What it prints goes to the descriptor `output`, else where ours goes.
    """
    ours, theirs = socket.socketpair()
    command = [*(programs.worker or [*around.python, "worker"]), "--check", *arguments]
    with theirs:
        process = _popen(command, around, theirs, (), output)
    return process, LineSocket(ours)


def prepare_fork(app: int, threads: int) -> tuple[WorkerProcess, list[int]]:
    """Make all that a forked worker of the app with this number needs.

    Returns:
        The worker, whose process is not known yet, and the descriptors that go to its fork
        server in the order of `fork_control.FORK_DESCRIPTORS`; the caller closes them then.
    """
    ours, theirs = socket.socketpair()
    stdout, worker_stdout = os.pipe()
    stderr, worker_stderr = os.pipe()
    mine, link = _make_link()
    worker = WorkerProcess(
        ForkedProcess(), LineSocket(ours), stdout, stderr, mine, (-1, -1, -1), app, threads
    )
    away = [theirs.detach(), worker_stdout, worker_stderr, link]
    return worker, [*away, *(os.dup(descriptor) for descriptor in mine[1:])]


def send_signal(process: Process, number: int) -> None:
    """Send a signal, unless the process has been reaped and its number may be another's."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def adopt_orphans() -> None:
    """Become the parent of each descendant whose own parent ends (prctl(2)): of forked workers."""
    import ctypes  # noqa: PLC0415 - a megabyte that few stands need

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _start(
    command: Sequence[str], around: Surroundings, inherited: Sequence[int]
) -> ForkServerProcess:
    ours, theirs = socket.socketpair()
    with theirs:
        process = _popen(command, around, theirs, inherited, subprocess.PIPE)
    stdout, stderr = take_pipes(process)
    return ForkServerProcess(process, LineSocket(ours), stdout, stderr)


def take_pipes(process: "subprocess.Popen[bytes]") -> tuple[int, int]:
    """Take over the descriptors of what a process prints: standard output, standard error."""
    return _detach(process.stdout), _detach(process.stderr)


def _popen(
    command: Sequence[str],
    around: Surroundings,
    control: socket.socket,
    inherited: Sequence[int],
    output: int | None,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*command, "--control-fd", str(control.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=[control.fileno(), *inherited],
        env={**child_environment(os.environ, around.identity), **around.environment},
        cwd=around.folder,
        start_new_session=True,
        **popen_identity(around.identity),
    )


def popen_identity(identity: Identity | None) -> dict[str, Any]:
    """Return the arguments by which a child becomes somebody else before it runs anything."""
    if identity is None:
        return {}
    return {"user": identity.uid, "group": identity.gid, "extra_groups": identity.groups}


def child_environment(environ: Mapping[str, str], identity: Identity | None) -> dict[str, str]:
    """Return what children see of the supervisor's environment.

    Those that run as somebody else have that one's home and name, as under systemd.
    """
    seen = {name: value for name, value in environ.items() if name not in _SUPERVISOR_ONLY}
    return seen | (identity.variables() if identity else {})


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
