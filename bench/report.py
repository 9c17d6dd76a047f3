"""The words of the report: a workload's table, and the page docs/benchmarks.md."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from bench import paths, section, summary
from bench.section import Section
from bench.table import NOTHING, Table, padded
from bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from pathlib import Path

    from bench.measure import Measurement
    from bench.servers import Server
    from bench.summary import Row, Spread
    from bench.workloads import Workload

HEADS = [
    "server",
    "requests/s",
    "Trivet ÷ it",
    "p50 ms",
    "p99 ms",
    "CPU µs/request",
    "peak RSS MiB",
    "PSS MiB",
    "errors",
]
SLOW_HEADS = ["alone", "kept %"]
VERBS = ["static", "mix", "soak", "memory", "idle", "upload", "start", "accidents"]


def workload_section(
    workload: Workload, measurement: Measurement, servers: list[Server]
) -> Section:
    """Make the table of one workload, with a line for each server that could not take part."""
    heads = HEADS + (SLOW_HEADS if workload.slow_clients else [])
    rows = {row.server: row for row in summary.rows(measurement)}
    lines = []
    for server in servers:
        if row := rows.get(server.name):
            lines.append(cells(row, has_slow_clients=bool(workload.slow_clients)))
        if why := measurement.absent.get(server.name):
            lines.append(padded([server.name, why], heads))
    plan = measurement.plan
    stolen = max((turn.stolen for turn in measurement.turns), default=0.0)
    rounds = f"{plan.rounds} interleaved rounds of {plan.seconds} s"
    warm_up = f"each after a warm-up of {plan.warm_up_seconds} s"
    load = workload.load
    tool = "`bench.echo` with" if load.is_websocket else "`wrk -t1`,"
    notes = [
        f"{rounds}, {warm_up}; {tool} {load.connections} connections on the same machine.",
        f"At most {stolen:.1%} of the CPU time of a turn went to other guests of the host.",
    ]
    if any(not row.is_clean for row in rows.values()):
        notes.append("A row marked ! had errors: its figures are not comparable.")
    return Section(
        name=workload.name,
        title=workload.title,
        command=f"python -m bench run --workloads {workload.name}",
        notes=notes,
        table=Table(heads, lines),
        raw=asdict(measurement),
    )


def cells(row: Row, *, has_slow_clients: bool) -> list[str]:
    """Write one row."""
    mark = "" if row.is_clean else " !"
    slow = [
        spread_text(row.alone_rate, ",.0f"),
        f"{row.kept.median * 100:.0f}" if row.kept else NOTHING,
    ]
    return [
        row.server,
        spread_text(row.rate, ",.0f") + mark,
        spread_text(row.ratio, ".2f"),
        figure(row.p50_us / 1000, ".2f"),
        figure(row.p99_us / 1000, ".2f"),
        cpu_text(row.cpu_us),
        f"{row.peak_rss_bytes / 2**20:.0f}",
        NOTHING if row.pss_bytes is None else f"{row.pss_bytes / 2**20:.0f}",
        errors_text(row),
        *(slow if has_slow_clients else []),
    ]


def spread_text(value: Spread | None, form: str) -> str:
    """Write a median with its least and greatest."""
    if value is None:
        return NOTHING
    return f"{value.median:{form}} ({value.least:{form}} to {value.greatest:{form}})"


def cpu_text(cpu_us: dict[str, float]) -> str:
    """Write the CPU time per request, and its parts where they are told apart."""
    if "all" not in cpu_us:
        return NOTHING
    parts = ", ".join(f"{role} {share:.0f}" for role, share in cpu_us.items() if role != "all")
    return f"{cpu_us['all']:.0f}" + (f" ({parts})" if parts else "")


def errors_text(row: Row) -> str:
    """Write which errors a row had."""
    parts = {
        "not 2xx": row.bad_statuses,
        "socket": row.socket_errors,
        "rounds without an answer": row.unanswered_rounds,
    }
    return ", ".join(f"{what}: {count}" for what, count in parts.items() if count) or "0"


def figure(value: float, form: str) -> str:
    """Write a number, or nothing for NaN."""
    return NOTHING if value != value else f"{value:{form}}"  # noqa: PLR0124 - that is NaN


def page(results: Path, servers: list[Server]) -> str:
    """Write docs/benchmarks.md from all saved sections; the newest one's facts stand at the top."""
    names = [workload.name for workload in WORKLOADS] + VERBS
    files = [path for name in names if (path := results / f"{name}.json").exists()]
    sections = [section.load(path) for path in files]
    newest = max(sections, key=lambda each: each.facts.get("date", ""), default=None)
    facts = newest.facts if newest else {}
    return (
        (paths.BENCH / "page.md")
        .read_text()
        .format(
            facts="\n".join(f"- {name}: {value}" for name, value in facts.items()),
            servers="\n".join(f"- **{server.name}**: {server.note}." for server in servers),
            sections="\n".join(each.markdown() for each in sections),
        )
    )
