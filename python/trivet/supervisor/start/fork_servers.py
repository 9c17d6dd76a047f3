"""The fork servers of a stand (`preload`): one per app and generation, and the workers they make.

Strategy: an *order* for a worker waits until its fork server has imported the app; then the
descriptors of that worker go over, and what comes back is its process id. Only then the worker
exists for the stand (`on_born`), so nothing it says is heard before its number is known. Whatever
goes wrong becomes the events that a worker of its own process would have caused.

A fork server that dies takes no worker along: they are the supervisor's children. The next order
starts another. One is stopped with its generation (`end_generation`).
"""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from trivet.errors import Notice, Place
from trivet.supervisor import events as on
from trivet.supervisor import spawn
from trivet.supervisor.deaths import Death
from trivet.wire import fork_control
from trivet.wire.line_socket import LineSocket, LineTooLongError
from trivet.wire.record import RecordError
from trivet.wire.worker_control import Start

Key: TypeAlias = tuple[int, int]
"""App and generation."""

_THREAD = (
    "the thread `{what}` was started while the app was imported: `preload` forks without it, "
    "so no worker has it, and a lock that it holds just then stays locked"
)
_SOCKET = (
    "{what} was opened while the app was imported: with `preload` all workers share it, "
    "and take each other's bytes"
)
_LOOP = (
    "an event loop ({what}) was made while the app was imported: with `preload` all workers "
    "share its descriptors, and wake each other's"
)
_FINDINGS = {
    "thread": (_THREAD, "start it in the hook `post_fork`"),
    "socket": (_SOCKET, "open it in the hook `post_fork`, or at the first request"),
    "loop": (_LOOP, "make it in the hook `post_fork`, or in the app's lifespan"),
}
_CODES = {
    "thread": "app.preload_thread",
    "socket": "app.preload_socket",
    "loop": "app.preload_loop",
}


class Host(Protocol):
    """What the stand does for its fork servers."""

    def start_fork_server(self, key: Key) -> spawn.ForkServerProcess:
        """Start a process; raises `OSError`."""

    def preload_message(self, key: Key) -> fork_control.Preload:
        """Say what it is to import."""

    def watch(self, channel: LineSocket, callback: Callable[[], None]) -> None:
        """Call back when there is something to read."""

    def receive(self, channel: LineSocket) -> list[bytes]:
        """Read what there is."""

    def forget(self, channel: LineSocket) -> None:
        """Watch no more, and close."""

    def collect_output(self, server: spawn.ForkServerProcess) -> None:
        """Pass on what it prints."""

    def on_born(self, number: int, worker: spawn.WorkerProcess) -> None:
        """Take a worker over: it runs, and its number is known."""

    def bury(self, status: int, death: Death) -> None:
        """Take note of a dead child."""

    def on_event(self, event: on.Event) -> None:
        """Hand an event to the policy."""

    def tell(self, notice: Notice) -> None:
        """Show a warning to the operator."""

    def say(self, text: str) -> None:
        """Write an error line for the operator."""


@dataclass(slots=True)
class _Server:
    process: spawn.ForkServerProcess
    is_loaded: bool = False
    has_ended: bool = False
    """Nothing more is asked of it: it failed, or its generation is over."""
    orders: dict[int, Start] = field(default_factory=dict)
    """Workers that wait for the import."""
    unborn: dict[int, spawn.WorkerProcess] = field(default_factory=dict)
    """Workers that it has been told to make."""
    doomed: set[int] = field(default_factory=set)
    """Those of them that are not wanted any more."""


class ForkServers:
    """All fork servers of a stand. Belongs to the supervisor's loop."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._servers: dict[Key, _Server] = {}
        self._ending: list[_Server] = []
        self._strangers: dict[int, tuple[int, Death]] = {}
        """Dead children that no one knows: workers whose number has not been told yet."""

    # What the stand tells

    def order(self, key: Key, start: Start) -> None:
        """Have a worker made; it is heard of by `on_born`, or by the events of its failure."""
        server = self._servers.get(key)
        if server is None:
            try:
                server = self._start(key)
            except OSError as error:
                self._host.on_event(on.WorkerExited(start.worker, Death(0, str(error), 0)))
                return
        if server.is_loaded:
            self._fork(key[0], server, start)
        else:
            server.orders[start.worker] = start

    def cancel(self, number: int) -> bool:
        """Give up an order; return whether it was one that has not been carried out."""
        for key, server in list(self._servers.items()):
            if server.orders.pop(number, None):
                if not server.orders and not server.is_loaded:
                    self._end(key, signal.SIGKILL)  # nobody waits for its import any more
                self._host.on_event(on.WorkerExited(number, Death(0, "given up", 0)))
                return True
        for server in self._all():
            if number in server.unborn:
                server.doomed.add(number)
                return True
        return False

    def end_generation(self, app: int, generation: int) -> None:
        """Stop the fork server of a generation, if there is one; its workers go on."""
        if (app, generation) in self._servers:
            self._end((app, generation), signal.SIGTERM)

    def end_all(self) -> None:
        """Stop all of them: the stand ends."""
        for key in list(self._servers):
            self._end(key, signal.SIGKILL)

    def bury(self, status: int, death: Death) -> None:
        """Take note of a dead child that may be a fork server, or a worker not heard of yet."""
        for server in self._all():
            if server.process.process.pid == death.pid:
                server.process.process.returncode = os.waitstatus_to_exitcode(status)
                self._read(self._key(server), server)
                self._mourn(server, death)
                return
        if any(server.unborn for server in self._all()):
            self._strangers[death.pid] = (status, death)

    def processes(self) -> list[spawn.Process]:
        """Return those that have not been reaped."""
        return [server.process.process for server in self._all()]

    # How a server lives

    def _all(self) -> Iterator[_Server]:
        yield from list(self._servers.values())
        yield from list(self._ending)

    def _key(self, server: _Server) -> Key | None:
        return next((key for key, each in self._servers.items() if each is server), None)

    def _start(self, key: Key) -> _Server:
        process = self._host.start_fork_server(key)
        server = self._servers[key] = _Server(process)
        process.control.send(fork_control.encode(self._host.preload_message(key)))
        self._host.watch(process.control, lambda: self._read(self._key(server), server))
        self._host.collect_output(process)
        return server

    def _end(self, key: Key, number: signal.Signals) -> None:
        server = self._servers.pop(key)
        server.has_ended = True
        self._ending.append(server)
        spawn.send_signal(server.process.process, number)

    def _fork(self, app: int, server: _Server, start: Start) -> None:
        worker, descriptors = spawn.prepare_fork(app, start.threads)
        server.unborn[start.worker] = worker
        server.process.control.send(
            fork_control.encode(fork_control.Fork(start=start)), descriptors
        )
        for descriptor in descriptors:
            os.close(descriptor)

    def _mourn(self, server: _Server, death: Death) -> None:
        if not server.has_ended:
            what = "running workers go on, and the next one begins with a new import"
            self._host.say(f"the process that preloads the app {death.describe()}: {what}")
        for number in [*server.orders, *server.unborn]:
            self._discard(server, number)
            self._host.on_event(on.WorkerExited(number, death))
        self._servers = {key: each for key, each in self._servers.items() if each is not server}
        self._ending = [each for each in self._ending if each is not server]
        self._host.forget(server.process.control)
        self._forget_strangers()

    def _discard(self, server: _Server, number: int) -> None:
        server.orders.pop(number, None)
        server.doomed.discard(number)
        if worker := server.unborn.pop(number, None):
            worker.control.close()
            worker.close_descriptors()
            os.close(worker.stdout)
            os.close(worker.stderr)

    def _forget_strangers(self) -> None:
        if not any(server.unborn for server in self._all()):
            self._strangers.clear()

    # What a server says

    def _read(self, key: Key | None, server: _Server) -> None:
        try:
            for line in self._host.receive(server.process.control):
                self._hear(key, server, fork_control.decode_from_fork_server(line))
        except (RecordError, LineTooLongError) as error:
            self._host.say(f"the process that preloads the app sent no message: {error}")
            spawn.send_signal(server.process.process, signal.SIGKILL)

    def _hear(self, key: Key | None, server: _Server, message: fork_control.FromForkServer) -> None:
        match message:
            case fork_control.Preloaded():
                server.is_loaded = True
                for finding in message.findings:
                    self._host.tell(_notice(finding))
                for start in list(server.orders.values()):
                    self._fork(key[0] if key else 0, server, start)
                server.orders.clear()
            case fork_control.PreloadFailed(failure=failure):
                if key is not None:
                    self._end(key, signal.SIGTERM)
                for number in list(server.orders):
                    self._discard(server, number)
                    self._host.on_event(on.WorkerFailed(number, failure))
                    death = Death(server.process.process.pid, "exit 3", 0)
                    self._host.on_event(on.WorkerExited(number, death))
            case fork_control.Forked():
                self._on_forked(server, message)
            case fork_control.ForkFailed():
                self._discard(server, message.worker)
                self._host.on_event(on.WorkerExited(message.worker, Death(0, message.reason, 0)))

    def _on_forked(self, server: _Server, message: fork_control.Forked) -> None:
        worker = server.unborn.pop(message.worker, None)
        if worker is None:
            return
        worker.process = spawn.ForkedProcess(message.pid)
        self._host.on_born(message.worker, worker)
        if message.worker in server.doomed:
            server.doomed.discard(message.worker)
            spawn.send_signal(worker.process, signal.SIGKILL)
        if dead := self._strangers.pop(message.pid, None):
            self._host.bury(*dead)
        self._forget_strangers()


def _notice(finding: fork_control.Finding) -> Notice:
    text, hint = _FINDINGS[finding.kind]
    place = Place(*finding.place) if finding.place else None
    return Notice("warning", text.format(what=finding.what), _CODES[finding.kind], hint, place)
