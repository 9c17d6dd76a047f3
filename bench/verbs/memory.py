"""What processes cost: the base, a worker beside the app's own import, and `preload`."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from bench import paths, procfs
from bench.running import Running
from bench.section import Section
from bench.servers import TRIVET, catalogue
from bench.table import Table
from bench.verbs import roles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANY = 8
SMALL, BIG = "flask_app:app", "big:app"
"""Flask hello, and an app of about 150 MB."""
HEADS = ["figure", "MiB", "at most"]
PRINT_PSS = "; from pathlib import Path; print(Path('/proc/self/smaps_rollup').read_text())"


def memory(trivet: Path, tell: Callable[[str], None]) -> Section:
    """Measure Trivet's own processes; PSS shares a page fairly among those that have it."""
    python = trivet.parent / "python"
    tell("  one worker, without and with preload")
    small = by_role(trivet, SMALL, 1, beside=python)
    one = by_role(trivet, BIG, 1, beside=python)
    tell(f"  {MANY} workers, without and with preload")
    many = by_role(trivet, BIG, MANY)
    shared = by_role(trivet, BIG, MANY, "--preload")
    base = small["supervisor"] + small["edge"]
    rows = [
        figure("supervisor and edge", base, 60 << 20),
        figure("`import flask_app` in a plain Python", small["alone"]),
        figure("a worker adds to that", small["worker"] - small["alone"], 12 << 20),
        figure("`import big` in a plain Python", one["alone"]),
        figure("one worker of it", one["worker"]),
        figure(f"{MANY} workers of it", many["worker"]),
        figure(
            f"{MANY} workers of it with `preload`, and the process they are forked from",
            shared["worker"] + shared["preload"],
            2 * one["worker"],
        ),
    ]
    return Section(
        name="memory",
        title="Memory of the processes",
        command="python -m bench memory",
        notes=[
            (
                "PSS of processes that have answered a hundred requests; the import beside it is "
                "measured in a process that does nothing else."
            ),
            "`big` is an app of large tables and many small objects.",
        ],
        table=Table(HEADS, rows),
        raw={"small": small, "one": one, "many": many, "shared": shared},
    )


def by_role(
    trivet: Path, app: str, workers: int, *options: str, beside: Path | None = None
) -> dict[str, int]:
    """Give the PSS of each role, after some requests, in bytes.

    With `beside`, a Python, also that of a process of it which only imports the app, as `alone`:
    at the same time, so that what all Pythons share is shared by as many.
    """
    (server,) = (each for each in catalogue(trivet.absolute(), options) if each.name == TRIVET)
    with Running(server, app, workers=workers) as running:
        running.wait_ready()
        for _ in range(100):
            running.status("/")
        pids = roles.pids_by_role(running)
        everything = set(pids.pop(roles.ALL))
        pids["preload"] = [each.pid for each in running.tree() if " preload " in each.command]
        pids["supervisor"] = list(everything.difference(*pids.values()))
        alone = import_pss(beside, app.partition(":")[0]) if beside else 0
        found = {role: procfs.memory(each).pss_bytes or 0 for role, each in pids.items()}
        return found | {"alone": alone}


def import_pss(python: Path, module: str) -> int:
    """Give the PSS of a Python that has imported a module and nothing else, in bytes."""
    told = subprocess.run(
        [str(python), "-c", f"import {module}{PRINT_PSS}"],
        cwd=paths.APPS,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return procfs.sizes(told)["Pss"]


def figure(name: str, found: int, most: int | None = None) -> list[str]:
    """Write a row: what was found, and what it may be."""
    return [name, f"{found / 2**20:.1f}", f"{most / 2**20:.1f}" if most else ""]
