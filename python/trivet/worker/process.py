"""The life of a worker process: told what to load, it loads, reports, and serves."""

import argparse
import contextlib
import faulthandler
import io
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from trivet import _trivet
from trivet.errors import AppLoadError
from trivet.wire import worker_control
from trivet.wire.line_socket import LineSocket
from trivet.worker import garbage
from trivet.worker.loading import LoadedApp, describe_import, load_app
from trivet.worker.overdue import stacks
from trivet.worker.start import hooks

SLOW_IMPORT_S = 10.0
"""After this an import is worth a line: it may wait for a server that is not there."""

EXIT_NOT_LOADED = 3


def main(argv: Sequence[str]) -> int:
    """Run a worker and return its exit code.

    Args:
        argv: `--control-fd N`, the socket to the supervisor; `--check` only loads the app, and
            `--routes` then tells its framework's routes.
    """
    parser = argparse.ArgumentParser(prog="trivet worker", add_help=False)
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--routes", action="store_true")
    options = parser.parse_args(argv)
    settle_in()
    os.set_inheritable(options.control_fd, False)
    control = LineSocket(socket.socket(fileno=options.control_fd))
    line = first_line(control)
    start = worker_control.decode_to_worker(line) if line else None
    if not isinstance(start, worker_control.Start) or _is_orphan(control):
        return 0
    for descriptor in (start.link_fd, start.claim_fd, start.doorbell_fd):
        if descriptor >= 0:
            os.set_inheritable(descriptor, False)
    try:
        with telling_of_a_slow_import(start.app.name):
            hooks.prepare(start.app)
            if not options.check:
                hooks.call("on_start", start.hooks, hooks.HookedWorker(start.worker, None))
            loaded = load_app(start.app)
    except AppLoadError as error:
        return _failed(control, error)
    if options.check:
        _report(control, loaded)
        return _tell_routes(control, loaded) if options.routes else 0
    return serve_loaded(start, loaded, control)


def serve_loaded(start: worker_control.Start, loaded: LoadedApp, control: LineSocket) -> int:
    """Serve until told to stop; the hooks of a worker that serves are called here."""
    worker = hooks.HookedWorker(start.worker, loaded.app)

    def on_ready() -> None:
        _report(control, loaded)
        hooks.call_and_go_on("on_ready", start.hooks, worker)

    try:
        hooks.call("post_fork", start.hooks, worker)
        garbage.settle()
        serve = import_serving(loaded.interface)
        code: int = serve(start, loaded.app, control, on_ready)
    except AppLoadError as error:
        return _failed(control, error)
    hooks.call_and_go_on("on_exit", start.hooks, worker)
    return code


def import_serving(interface: str) -> Callable[..., int]:
    """Import what serves an interface; a check needs nothing of it."""
    if interface == "asgi":
        from trivet.worker import serving_asgi  # noqa: PLC0415

        return serving_asgi.serve
    from trivet.worker import serving  # noqa: PLC0415

    return serving.serve


def _tell_routes(control: LineSocket, loaded: LoadedApp) -> int:
    from trivet.worker import routes  # noqa: PLC0415 - no worker that serves needs it

    line = first_line(control)
    asked = worker_control.decode_to_worker(line) if line else None
    if isinstance(asked, worker_control.RoutesAsked):
        control.send(worker_control.encode(routes.answer(loaded.app, asked)))
    while control.wants_write and not control.at_eof:
        select.select([], [control], [])
        control.flush()
    return 0


def _failed(control: LineSocket, error: AppLoadError) -> int:
    failure = worker_control.LoadFailure.from_error(error)
    control.send(worker_control.encode(worker_control.LoadFailed(failure=failure)))
    return EXIT_NOT_LOADED


def settle_in() -> None:
    """Make of a fresh Python what an app expects of its process."""
    # A worker that imports for ever, or computes for ever, cannot see that the supervisor is gone.
    _trivet.die_with_parent()
    faulthandler.enable()
    # Ctrl-C is the supervisor's; until the app is loaded, SIGTERM just ends the process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Output goes into a pipe, which Python would fill before it writes: lines are wanted at once.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    del sys.argv[1:]  # they are Trivet's, and no app should parse them


def first_line(control: LineSocket) -> bytes | None:
    """Wait for the first message; `None` where the supervisor has gone away."""
    while not control.at_eof:
        select.select([control], [], [])
        for line in control.receive():
            return line
    return None


def _is_orphan(control: LineSocket) -> bool:
    """Whether the supervisor was gone before the kernel could be asked to kill us with it."""
    poll = select.poll()
    poll.register(control, select.POLLRDHUP)
    return bool(poll.poll(0))


def _report(control: LineSocket, loaded: LoadedApp) -> None:
    message = worker_control.Loaded(
        interface=loaded.interface, framework=loaded.framework, seconds=loaded.seconds
    )
    control.send(worker_control.encode(message), [stacks.register()])


@contextlib.contextmanager
def telling_of_a_slow_import(name: str) -> Iterator[None]:
    """Say where the import is when it takes long: before a platform gives the start up."""
    thread = threading.get_ident()
    is_over = threading.Event()

    def watch() -> None:
        waited = 0.0
        while not is_over.wait(SLOW_IMPORT_S):
            waited += SLOW_IMPORT_S
            where = describe_import(thread)
            at = f": now in {where}" if where else ""
            sys.stderr.write(f"waiting for `{name}` to load ({waited:.0f} s){at}\n")

    watcher = threading.Thread(target=watch, name="trivet-import-watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()  # a process that forks has no other threads
