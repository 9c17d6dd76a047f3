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
from collections.abc import Iterator, Sequence

from trivet.errors import AppLoadError
from trivet.wire import worker_control
from trivet.wire.line_socket import LineSocket
from trivet.worker import garbage
from trivet.worker.loading import LoadedApp, describe_import, load_app

SLOW_IMPORT_S = 10.0
"""After this an import is worth a line: it may wait for a server that is not there."""

EXIT_NOT_LOADED = 3


def main(argv: Sequence[str]) -> int:
    """Run a worker and return its exit code.

    Args:
        argv: `--control-fd N`, the socket to the supervisor; `--check` only loads the app.
    """
    parser = argparse.ArgumentParser(prog="trivet worker", add_help=False)
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(argv)
    _settle_in()
    os.set_inheritable(options.control_fd, False)
    control = LineSocket(socket.socket(fileno=options.control_fd))
    start = _first_message(control)
    if start is None:
        return 0
    for descriptor in (start.link_fd, start.claim_fd, start.doorbell_fd):
        if descriptor >= 0:
            os.set_inheritable(descriptor, False)
    try:
        with _telling_of_a_slow_import(start.app.name):
            loaded = load_app(start.app)
        if options.check:
            _report(control, loaded)
            return 0
        return _serve(start, loaded, control)
    except AppLoadError as error:
        failure = worker_control.LoadFailure.from_error(error)
        control.send(worker_control.encode(worker_control.LoadFailed(failure=failure)))
        return EXIT_NOT_LOADED


def _serve(start: worker_control.Start, loaded: LoadedApp, control: LineSocket) -> int:
    """Serve until told to stop; a check needs nothing of what is imported here."""
    garbage.settle()
    if loaded.interface == "asgi":
        from trivet.worker import serving_asgi  # noqa: PLC0415

        return serving_asgi.serve(start, loaded.app, control, lambda: _report(control, loaded))
    from trivet.worker import serving  # noqa: PLC0415

    _report(control, loaded)
    return serving.serve(start, loaded.app, control)


def _settle_in() -> None:
    """Make of a fresh Python what an app expects of its process."""
    faulthandler.enable()
    # Ctrl-C is the supervisor's; until the app is loaded, SIGTERM just ends the process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Output goes into a pipe, which Python would fill before it writes: lines are wanted at once.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    del sys.argv[1:]  # they are Trivet's, and no app should parse them


def _first_message(control: LineSocket) -> worker_control.Start | None:
    """Wait for `Start`; `None` where the supervisor has gone away or thought better of it."""
    while not control.at_eof:
        select.select([control], [], [])
        for line in control.receive():
            message = worker_control.decode_to_worker(line)
            return message if isinstance(message, worker_control.Start) else None
    return None


def _report(control: LineSocket, loaded: LoadedApp) -> None:
    message = worker_control.Loaded(
        interface=loaded.interface, framework=loaded.framework, seconds=loaded.seconds
    )
    control.send(worker_control.encode(message))


@contextlib.contextmanager
def _telling_of_a_slow_import(name: str) -> Iterator[None]:
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

    threading.Thread(target=watch, name="trivet-import-watch", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
