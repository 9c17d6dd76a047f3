"""How long a server takes from its start to the first answer, beside the app's own import."""

from __future__ import annotations

import statistics
import subprocess
import time
from typing import TYPE_CHECKING

from bench import paths
from bench.running import Running, StartError
from bench.section import Section
from bench.servers import TRIVET
from bench.summary import spread
from bench.table import NOTHING, Table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.servers import Server

APP = "flask_app:app"
READY_SECONDS = 20.0
POLL_SECONDS = 0.002
IMPORT_SECONDS = 20.0
TIME_IMPORT = (
    "import time; start = time.perf_counter(); import flask_app;print(time.perf_counter() - start)"
)
HEADS = ["server", "first answer ms", "less the app's import ms"]


def start(servers: list[Server], runs: int, trivet: Path, tell: Callable[[str], None]) -> Section:
    """Start every server `runs` times, interleaved."""
    seconds: dict[str, list[float]] = {}
    absent = {server.name: why for server in servers if (why := server.missing())}
    for run in range(runs):
        tell(f"  run {run + 1}")
        for server in servers:
            if server.name not in absent:
                try:
                    seconds.setdefault(server.name, []).append(first_answer(server))
                except StartError as error:
                    absent[server.name] = f"did not start: {error}"
    imports = {python: import_ms(python, runs) for python in pythons(trivet)}
    rows = []
    for server in servers:
        if server.name in absent:
            rows.append([server.name, absent[server.name], NOTHING])
            continue
        python = trivet.parent / "python" if server.name == TRIVET else paths.peer("python")
        own = imports.get(python, 0.0)
        found = [value * 1000 for value in seconds[server.name]]
        rows.append([server.name, milliseconds(found), milliseconds([v - own for v in found])])
    return Section(
        name="start",
        title="From exec to the first answered request",
        command="python -m bench start",
        notes=[
            f"Median of {runs} runs, with the least and the greatest; Flask hello, two workers.",
            "The app's own import, as a plain Python takes for it, was "
            + " and ".join(f"{value:.0f} ms" for value in imports.values() if value)
            + ".",
        ],
        table=Table(HEADS, rows),
        raw={"seconds": seconds, "import_ms": {str(key): imports[key] for key in imports}},
    )


def first_answer(server: Server) -> float:
    """Start a server and give the seconds until it answered; it is stopped again.

    Raises:
        StartError: if it ends, or does not answer in time.
    """
    running = Running(server, APP)
    begin = time.perf_counter()
    with running:
        while running.status("/") >= 400:
            if running.main.poll() is not None or time.perf_counter() - begin > READY_SECONDS:
                raise StartError(running.last_output())
            time.sleep(POLL_SECONDS)
        return time.perf_counter() - begin


def pythons(trivet: Path) -> list[Path]:
    """Give the environments' Pythons that are there: Trivet's and the peers'."""
    both = [trivet.parent / "python", paths.peer("python")]
    return [python for python in both if python.exists()]


def import_ms(python: Path, runs: int) -> float:
    """Give the median time in milliseconds that the app's import takes; 0 if it fails."""
    found = []
    for _ in range(runs):
        done = subprocess.run(
            [str(python), "-c", TIME_IMPORT],
            cwd=paths.APPS,
            capture_output=True,
            text=True,
            check=False,
            timeout=IMPORT_SECONDS,
        )
        if done.returncode == 0:
            found.append(float(done.stdout) * 1000)
    return statistics.median(found) if found else 0.0


def milliseconds(values: list[float]) -> str:
    """Write a spread of milliseconds."""
    found = spread(values)
    return f"{found.median:.0f} ({found.least:.0f} to {found.greatest:.0f})" if found else NOTHING
