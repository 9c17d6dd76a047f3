"""The process that imports the app once and forks workers of it (`preload`).

Strategy: it has one thread and no event loop, and imports everything that a worker needs; then the
collector is told to leave all of it alone (`gc.freeze`), so that workers go on sharing its memory.
A worker is forked twice removed: the process in between ends at once, so the worker becomes a
child of the supervisor, which is a child subreaper (prctl(2)) and reaps it like any other, and
the kernel kills it with the supervisor like any other.
"""

import argparse
import contextlib
import dataclasses
import os
import select
import socket
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trivet import _trivet
from trivet.errors import AppLoadError
from trivet.wire import fork_control, worker_control
from trivet.wire.line_socket import LineSocket
from trivet.worker import garbage, process
from trivet.worker.loading import LoadedApp, load_app
from trivet.worker.start import hooks
from trivet.worker.start.openings import Openings

ADOPTION_LOOK_S = 0.000_5
"""How often a worker looks whether the process in between is gone, which ends at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Birth:
    """What a process that has just been forked is to be."""

    start: worker_control.Start
    control: LineSocket


def main(argv: Sequence[str]) -> int:
    """Run a fork server, and then each of the workers that it makes; return the exit code.

    Args:
        argv: `--control-fd N`, the socket to the supervisor.
    """
    parser = argparse.ArgumentParser(prog="trivet preload", add_help=False)
    parser.add_argument("--control-fd", type=int, required=True)
    options = parser.parse_args(argv)
    process.settle_in()
    os.set_inheritable(options.control_fd, False)
    control = LineSocket(socket.socket(fileno=options.control_fd))
    line = process.first_line(control)
    preload = fork_control.decode_to_fork_server(line) if line else None
    if not isinstance(preload, fork_control.Preload):
        return 0
    try:
        loaded, findings = _load(preload)
    except AppLoadError as error:
        failure = worker_control.LoadFailure.from_error(error)
        _tell(control, fork_control.PreloadFailed(failure=failure))
        return process.EXIT_NOT_LOADED
    _tell(control, fork_control.Preloaded(seconds=loaded.seconds, findings=tuple(findings)))
    birth = _wait_for_birth(control)
    if birth is None:
        return 0
    return process.serve_loaded(birth.start, loaded, birth.control)


def _load(preload: fork_control.Preload) -> tuple[LoadedApp, list[fork_control.Finding]]:
    openings = Openings()
    with process.telling_of_a_slow_import(preload.app.name), openings.watched():
        hooks.prepare(preload.app)
        hooks.call("on_start", preload.hooks, hooks.HookedWorker(0, None))
        loaded = load_app(preload.app)
    process.import_serving(loaded.interface)
    findings = openings.found()
    garbage.settle()
    return loaded, findings


def _wait_for_birth(control: LineSocket) -> Birth | None:
    """Fork whenever told to: returns in each of the new processes, and at the end of this one."""
    while not control.at_eof:
        select.select([control], [], [])
        for line in control.receive():
            message = fork_control.decode_to_fork_server(line)
            if isinstance(message, fork_control.Fork):
                descriptors = control.take_descriptors(fork_control.FORK_DESCRIPTORS)
                if (birth := _fork_worker(control, message.start, descriptors)) is not None:
                    return birth
    return None


def _fork_worker(
    control: LineSocket, start: worker_control.Start, descriptors: list[int]
) -> Birth | None:
    """Fork, and return what to be in the new process; in this one tell the supervisor."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the app may have put anything there
            stream.flush()
    reader, writer = os.pipe()
    supervisor = os.getppid()
    try:
        middle = _fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        _close_all(descriptors)
        reason = error.strerror or str(error)
        _tell(control, fork_control.ForkFailed(worker=start.worker, reason=reason))
        return None
    if middle == 0:
        os.close(reader)
        _fork_again(writer, supervisor)
        control.close()
        return _settled(start, descriptors)
    os.close(writer)
    _close_all(descriptors)
    told = _read_to_end(reader)
    os.waitpid(middle, 0)
    pid, _, reason = told.partition(" ")
    if pid.isdecimal() and int(pid):
        _tell(control, fork_control.Forked(worker=start.worker, pid=int(pid)))
    else:
        reason = reason or "the process in between was killed"
        _tell(control, fork_control.ForkFailed(worker=start.worker, reason=reason))
    return None


def _fork_again(writer: int, supervisor: int) -> None:
    """Fork the worker, and return in it; the process in between tells its number and ends here."""
    between = os.getpid()
    try:
        pid = _fork()
        if pid == 0:
            os.close(writer)
            _belong_to(supervisor, between)
            return
        told = f"{pid} "
    except OSError as error:
        told = f"0 {error.strerror}"
    with contextlib.suppress(OSError):
        os.write(writer, told.encode())
    os._exit(0)


def _belong_to(supervisor: int, between: int) -> None:
    """End with the supervisor from now on, and at once if it is gone."""
    # What the kernel is told to do at the end of a parent, it would do at the end of the process
    # in between; and no fork inherits it.
    while (parent := os.getppid()) == between:
        time.sleep(ADOPTION_LOOK_S)
    _trivet.die_with_parent()
    if parent != supervisor or os.getppid() != supervisor:
        os._exit(1)


def _fork() -> int:
    with warnings.catch_warnings():
        # Since Python 3.12 a fork beside threads warns; ours has told of them, with their lines.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _settled(start: worker_control.Start, descriptors: list[int]) -> Birth:
    """Make a worker of a copy of the fork server."""
    os.setsid()
    control, stdout, stderr, link, claim, doorbell = descriptors
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    _close_all([stdout, stderr])
    _reseed()
    _rename()
    return Birth(
        dataclasses.replace(start, link_fd=link, claim_fd=claim, doorbell_fd=doorbell),
        LineSocket(socket.socket(fileno=control)),
    )


def _reseed() -> None:
    """Give this worker random numbers of its own.

    `random` sees to that itself (`os.register_at_fork`), and OpenSSL does since 1.1.1.
    """
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


def _rename() -> None:
    """Call this process `trivet worker` in process lists; what its argument said was `preload`."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        begin, end = int(fields[45]), int(fields[46])  # proc(5): arg_start, arg_end
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(begin)
            arguments = memory.read(end - begin)
            memory.seek(begin + arguments.index(b"\0preload\0"))
            memory.write(b"\0worker\0\0")


def _tell(control: LineSocket, message: fork_control.FromForkServer) -> None:
    control.send(fork_control.encode(message))
    while control.wants_write and not control.at_eof:
        select.select([], [control], [])
        control.flush()


def _read_to_end(reader: int) -> str:
    with open(reader, "rb") as pipe:
        return pipe.read().decode("utf-8", "replace")


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
