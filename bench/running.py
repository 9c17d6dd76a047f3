"""A started server: ready, watched, and always stopped again."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench import paths, procfs
from bench.ports import LOOPBACK, free_port
from bench.servers import Interface, Launch, Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

READY_SECONDS = 20.0
# Long enough for every server's graceful stop of an idle process; then SIGKILL.
STOP_SECONDS = 5.0
POLL_SECONDS = 0.02


class StartError(Exception):
    """A server did not get to answer; the message holds its last output."""


class Running:
    """A server's processes, each the leader of its own session; a context manager.

    The apps are copied to a scratch folder, which is where the server runs: no configuration file
    of the repository is found by accident, and an accident may damage its app.
    """

    def __init__(
        self,
        server: Server,
        app: str,
        *,
        interface: Interface = "wsgi",
        workers: int = 2,
        reloads: bool = False,
        port: int | None = None,
    ) -> None:
        """Prepare the scratch folder; nothing runs yet."""
        self.server = server
        self.scratch = Path(tempfile.mkdtemp(prefix=f"trivet-bench-{server.name}-"))
        self.folder = self.scratch / "apps"
        shutil.copytree(paths.APPS, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.launch = Launch(
            app=app,
            port=port or free_port(),
            folder=self.folder,
            scratch=self.scratch,
            interface=interface,
            workers=workers,
            reloads=reloads,
        )
        self.popens: list[subprocess.Popen[bytes]] = []

    @property
    def port(self) -> int:
        """The port clients connect to."""
        return self.launch.port

    @property
    def main(self) -> subprocess.Popen[bytes]:
        """The application server's first process."""
        return self.popens[0]

    def start(self) -> None:
        """Start all processes without waiting for them."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "TRIVET_")) and name not in {"PORT", "FLASK_APP"}
        }
        environment["VIRTUAL_ENV"] = str(paths.PEERS)
        environment |= self.server.environment
        for number, command in enumerate(self.server.start_commands(self.launch)):
            with (self.scratch / f"{number}.log").open("wb") as log:
                self.popens.append(
                    subprocess.Popen(
                        command,
                        cwd=self.folder,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )

    def wait_ready(self, path: str = "/", seconds: float = READY_SECONDS) -> None:
        """Wait until `path` is answered with a status below 400.

        Raises:
            StartError: if a process ended, or the time is over.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.status(path) < http.client.BAD_REQUEST:
                return
            for popen in self.popens:
                if popen.poll() is not None:
                    raise StartError(f"ended with {popen.returncode}: {self.last_output()}")
            time.sleep(POLL_SECONDS)
        raise StartError(f"no good answer within {seconds:.0f} s: {self.last_output()}")

    def status(self, path: str) -> int:
        """Ask once; 599 if there was no answer."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 599
        finally:
            connection.close()

    def tree(self) -> list[procfs.Process]:
        """Give all live processes of the server."""
        return procfs.tree(self.roots())

    def output(self) -> str:
        """Give what the processes have printed so far."""
        logs = sorted(self.scratch.glob("*.log"))
        return "".join(log.read_text(errors="replace") for log in logs)

    def last_output(self) -> str:
        """Give the last printed line that is not empty."""
        lines = [line.strip() for line in self.output().splitlines() if line.strip()]
        return lines[-1] if lines else "(no output)"

    def stop(self) -> None:
        """End every process, gracefully at first, and remove the scratch folder."""
        known = self.tree()
        for popen in reversed(self.popens):
            with suppress(ProcessLookupError):
                popen.send_signal(signal.SIGTERM)
        wait_until(lambda: not self.survivors(known), STOP_SECONDS)
        for process in self.survivors(known):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        for popen in self.popens:
            popen.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def survivors(self, known: list[procfs.Process]) -> list[procfs.Process]:
        """Give what is alive of the tree and of `known`; reaps our own children.

        A process of `known` may have lost its parent and left our sessions. Its start time says
        that it is still the same one: an id alone could belong to somebody else by now.
        """
        for popen in self.popens:
            popen.poll()
        table = procfs.processes()
        alive = {process.pid: process for process in procfs.tree(self.roots(), table)}
        for process in known:
            same = table.get(process.pid)
            if same and same.started_ticks == process.started_ticks and same.state not in "ZX":
                alive[same.pid] = same
        return list(alive.values())

    def roots(self) -> list[int]:
        """Give the ids of the processes that we started ourselves."""
        return [popen.pid for popen in self.popens]

    def __enter__(self) -> Self:
        """Start the processes."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Stop them, whatever happened."""
        self.stop()


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for `condition`, at most `seconds`; tell whether it came true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
