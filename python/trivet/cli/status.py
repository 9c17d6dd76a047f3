"""`trivet status`: how the running stand is."""

from __future__ import annotations

import time

import click

from trivet.cli.running import Conversation, addressed, show_json
from trivet.wire import stand_control as wire

_EVENTS_SHOWN = 8
_MIB = 1 << 20


def _status(*, pid: int | None, socket: str | None, as_json: bool) -> int:
    request = wire.StatusAsked(version=wire.STAND_CONTROL_VERSION)
    status = Conversation(pid, socket).ask(request, wire.StandStatus)
    if as_json:
        show_json(status)
    else:
        click.echo("\n".join(lines(status)))
    return 0


def lines(status: wire.StandStatus) -> list[str]:
    """Return what a person reads."""
    edge = status.edge
    head = [
        *(("app", _app(each)) for each in status.apps),
        *(() if status.apps else (("app", "none: the edge answers alone"),)),
        ("state", f"{status.state}, up {age(status.uptime_s)}"),
        ("serving", ", ".join(status.addresses)),
        ("stand", f"pid {status.pid}, Trivet {status.trivet}, in {status.folder}"),
        ("edge", _edge(edge)),
    ]
    told = [f"{name:<8} {value}" for name, value in head]
    told += ["", *_table(status), ""] if status.apps else [""]
    if status.tasks:
        told += [*_tasks(status), ""]
    recent = status.events[-_EVENTS_SHOWN:]
    return [*told, *(f"{_clock(each.time)}  {each.text}" for each in recent)]


def age(seconds: float) -> str:
    """Return `4 s`, `3 min`, `2 h 05 min` or `3 d 4 h`."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if not minutes:
        return f"{int(seconds)} s"
    if not hours:
        return f"{minutes} min"
    if not days:
        return f"{hours} h {minutes % 60:02} min"
    return f"{days} d {hours % 24} h"


def _app(app: wire.AppStatus) -> str:
    name = f"{app.name}: " if app.name else ""
    below = f" below {app.mount}" if app.mount else ""
    return f"{name}{app.target}{below}, {app.wanted} worker{'' if app.wanted == 1 else 's'}"


def _edge(edge: wire.EdgeStatus) -> str:
    if edge.pid is None:
        return "none"
    if edge.requests is None:
        return f"pid {edge.pid}, {'ready' if edge.is_ready else 'starting'}, does not answer"
    numbers = [
        f"{edge.connections} connections",
        f"{edge.queued} queued",
        f"{edge.in_flight} in flight",
        f"{edge.requests} requests",
    ]
    return f"pid {edge.pid}, " + ", ".join(numbers)


def _table(status: wire.StandStatus) -> list[str]:
    head = ("worker", "pid", "state", "gen", "age", "requests", "in flight", "memory")
    is_one = len(status.apps) == 1
    rows: list[tuple[str, ...]] = [head if is_one else ("app", *head)]
    for each in status.workers:
        who = (each.worker, each.pid, each.state, each.generation, age(each.age_s))
        cells = map(_cell, (*who, each.requests, each.in_flight, _memory(each.rss_bytes)))
        rows.append(tuple(cells) if is_one else (each.app, *cells))
    return _aligned(rows)


def _tasks(status: wire.StandStatus) -> list[str]:
    rows: list[tuple[str, ...]] = [("task", "pid", "state", "starts", "age", "memory")]
    for each in status.tasks:
        cells = (each.pid, each.state, each.runs, age(each.age_s), _memory(each.rss_bytes))
        rows.append((each.name, *map(_cell, cells)))
    return _aligned(rows)


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _memory(rss_bytes: int | None) -> str | None:
    return None if rss_bytes is None else f"{rss_bytes / _MIB:.0f} MiB"


def _cell(value: object) -> str:
    return "-" if value is None else str(value)


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


command: click.Command = addressed(
    "status", "Show how the running stand is: app, edge, workers, and what happened lately."
)(_status)
