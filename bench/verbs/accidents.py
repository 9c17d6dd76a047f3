"""Five accidents, played with the same app against every server.

Each accident has a deadline, and says what the process did (exit code and seconds) and what a
client saw meanwhile. A signal goes to the application server's first process only: a proxy before
it stays up, as it would when only the application server is restarted.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bench.ports import LOOPBACK, free_port
from bench.running import Running, StartError, wait_until
from bench.section import Section
from bench.table import NOTHING, Table, padded
from bench.verbs.clients import Clients, Outcome, ask, tally

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from bench.servers import Interface, Server

# Without the variants that are the same program.
PLAYERS = ("trivet", "peregrine", "granian", "gunicorn", "nginx+uwsgi", "uvicorn")
DEADLINE_SECONDS = 8.0
# gunicorn retries a busy port for five seconds, nginx for two and a half.
BUSY_SECONDS = 12.0
AFTERMATH_SECONDS = 4.0
IN_FLIGHT_SECONDS = 1.0
# The app's slow answer takes 4 s; then a server may need a moment to end.
TERM_SECONDS = 15.0
# Watchers poll once a second or start late.
WATCH_SECONDS = 1.5
BROKEN_SECONDS = 5.0
HEADS = ["accident", "server", "process", "seconds", "what the client saw", "lines printed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of one accident; `process` is an exit code, or that it still runs."""

    process: str
    seconds: float | None
    client: str
    lines: int


def accidents(servers: list[Server], tell: Callable[[str], None]) -> Section:
    """Play all accidents against all servers; a server that is absent gets one line."""
    rows: list[list[str]] = []
    raw: list[dict[str, object]] = []
    for title, play in ACCIDENTS.items():
        for server in servers:
            tell(f"  {title}: {server.name}")
            if why := server.missing():
                rows.append(padded([title, server.name, why], HEADS))
                continue
            try:
                finding = play(server)
            except StartError as error:
                rows.append(padded([title, server.name, f"did not start: {error}"], HEADS))
                continue
            seconds = NOTHING if finding.seconds is None else f"{finding.seconds:.1f}"
            cells = [finding.process, seconds, finding.client, str(finding.lines)]
            rows.append([title, server.name, *cells])
            raw.append({"accident": title, "server": server.name} | asdict(finding))
    return Section(
        name="accidents",
        title="Five accidents",
        command="python -m bench accidents",
        notes=[
            "Two workers; a client's `hang` is three seconds without an answer.",
            "Seconds: until the process ended, a new worker answered, or the repaired code did.",
            "Signals go to the application server alone, not to the nginx before it.",
        ],
        table=Table(HEADS, rows),
        raw=raw,
    )


def bad_module(server: Server) -> Finding:
    """Start with a module that does not exist."""
    with Running(server, "no_such_module:app", interface=interface(server)) as running:
        begin = time.monotonic()
        seen: set[int] = set()
        with Clients(running.port, "/", 1, pause_seconds=0.1) as clients:
            while time.monotonic() < begin + DEADLINE_SECONDS and running.main.poll() is None:
                seen |= {process.pid for process in running.tree()}
                time.sleep(0.02)
            seconds = time.monotonic() - begin
        process = exit_text(running.main)
        # Each of our own processes, its workers, and a helper or two: more are restarts.
        if len(seen) > 8:
            process += f", {len(seen)} processes started"
        return finding(running, process, seconds, tally(clients.outcomes))


def killed_worker(server: Server) -> Finding:
    """Kill one of two workers while eight clients have requests in flight."""
    with Running(server, app(server), interface=interface(server)) as running:
        running.wait_ready()
        victim = int(ask(running.port, "/pid").body)
        known = {process.pid for process in running.tree()}
        if victim not in known:
            raise StartError(f"the worker {victim} is not in the server's process tree")
        healed: float | None = None
        with Clients(running.port, "/brief", 8) as clients:
            time.sleep(0.5)
            killed = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            while time.monotonic() < killed + AFTERMATH_SECONDS:
                answer = ask(running.port, "/pid")
                if healed is None and answer.is_good and int(answer.body) not in known:
                    healed = answer.ended - killed
                time.sleep(0.02)
        process = exit_text(running.main)
        after = [outcome for outcome in clients.outcomes if outcome.ended >= killed]
        bad = [outcome for outcome in after if not outcome.is_good]
        client = f"{len(bad)} of {len(after)} failed" + (f": {tally(bad)}" if bad else "")
        if bad:
            client += f", the last {max(outcome.ended for outcome in bad) - killed:.1f} s after"
        return finding(running, process, healed, client)


def broken_reload(server: Server) -> Finding:
    """Save a syntax error under a server that reloads, then save a repaired version."""
    if not server.reload_option:
        return Finding(process="has no reload", seconds=None, client=NOTHING, lines=0)
    with Running(server, app(server), interface=interface(server), reloads=True) as running:
        running.wait_ready()
        source = running.folder / "accident.py"
        good = source.read_text()
        time.sleep(WATCH_SECONDS)
        with Clients(running.port, "/", 2, pause_seconds=0.1) as clients:
            source.write_text(good.replace("VERSION = 1", "VERSION = ("))
            time.sleep(BROKEN_SECONDS)
        while_broken = f"broken: {tally(clients.outcomes)}"
        source.write_text(good.replace("VERSION = 1", "VERSION = 2"))
        begin = time.monotonic()
        is_new = wait_until(
            lambda: (answer := ask(running.port, "/")).is_good and answer.body == "2",
            DEADLINE_SECONDS,
        )
        seconds = time.monotonic() - begin if is_new else None
        repaired = "new code answers" if is_new else f"{ask(running.port, '/').kind} for ever"
        client = f"{while_broken}; repaired: {repaired}"
        return finding(running, exit_text(running.main), seconds, client)


def busy_port(server: Server) -> Finding:
    """Start on a port that somebody else listens on."""
    with socket.create_server((LOOPBACK, free_port())) as owner:
        port = owner.getsockname()[1]
        with Running(server, app(server), interface=interface(server), port=port) as running:
            begin = time.monotonic()
            # The last process is the one that faces clients.
            binder = running.popens[-1]
            wait_until(lambda: binder.poll() is not None, BUSY_SECONDS)
            seconds = time.monotonic() - begin
            return finding(running, exit_text(binder), seconds, NOTHING)


def terminated(server: Server) -> Finding:
    """Send TERM while a request of four seconds is in flight."""
    with Running(server, app(server), interface=interface(server)) as running:
        running.wait_ready()
        outcomes: list[Outcome] = []
        with OneClient(running.port, "/slow", outcomes):
            time.sleep(IN_FLIGHT_SECONDS)
            begin = time.monotonic()
            running.main.send_signal(signal.SIGTERM)
            wait_until(lambda: running.main.poll() is not None, TERM_SECONDS)
            seconds = time.monotonic() - begin
        return finding(running, exit_text(running.main), seconds, tally(outcomes))


ACCIDENTS: dict[str, Callable[[Server], Finding]] = {
    "bad module": bad_module,
    "one of two workers killed": killed_worker,
    "syntax error while reloading": broken_reload,
    "port busy": busy_port,
    "TERM with a 4 s request in flight": terminated,
}


class OneClient:
    """One request beside the `with` block, which ends when the request has."""

    def __init__(self, port: int, path: str, outcomes: list[Outcome]) -> None:
        """Prepare."""
        self._thread = threading.Thread(
            target=lambda: outcomes.append(ask(port, path, TERM_SECONDS)), daemon=True
        )

    def __enter__(self) -> None:
        """Send the request."""
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        """Wait for its outcome."""
        self._thread.join()


def finding(running: Running, process: str, seconds: float | None, client: str) -> Finding:
    """Put a finding together with the number of lines that the server printed."""
    lines = len(running.output().splitlines())
    return Finding(process=process, seconds=seconds, client=client, lines=lines)


def exit_text(popen: subprocess.Popen[bytes]) -> str:
    """Write what a process did; like a shell, 128 and its number for an end by a signal."""
    code = popen.poll()
    if code is None:
        return "still runs"
    return f"exit {code}" if code >= 0 else f"exit {128 - code}"


def interface(server: Server) -> Interface:
    """Give the interface to use: WSGI where the server has it."""
    return "wsgi" if "wsgi" in server.interfaces else "asgi"


def app(server: Server) -> str:
    """Give the accident app for the server's interface."""
    return "accident:app" if interface(server) == "wsgi" else "accident:asgi"
