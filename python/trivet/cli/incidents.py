"""`trivet incidents`: what went wrong lately, and one of them in full."""

from __future__ import annotations

import datetime

import click

from trivet.cli.running import Conversation, addressed, show_json
from trivet.errors import ControlError
from trivet.wire import stand_control as wire
from trivet.wire.control import FailedRequest
from trivet.wire.incident import Incident

_MIB = 1 << 20
_SUMMARY_CHARACTERS = 60
_VERSION = wire.STAND_CONTROL_VERSION


@click.argument("wanted", required=False, metavar="[ID]")
@click.option("-n", "limit", type=click.IntRange(1, 1000), default=20, help="List so many.")
def _incidents(
    *, wanted: str | None, limit: int, pid: int | None, socket: str | None, as_json: bool
) -> int:
    stand = Conversation(pid, socket)
    if wanted is not None:
        found = stand.ask(wire.IncidentAsked(version=_VERSION, id=wanted), wire.FoundIncidents)
        if as_json:
            show_json(found)
        else:
            click.echo(_full(found, wanted))
        return 0
    listed = stand.ask(wire.IncidentsAsked(version=_VERSION, limit=limit), wire.Incidents)
    if as_json:
        show_json(listed)
    else:
        click.echo("\n".join(_list(listed)))
    return 0


def _list(listed: wire.Incidents) -> list[str]:
    if not listed.incidents:
        return ["no incident since the start"]
    rows = [("time", "what", "worker", "status", "request", "summary", "id")]
    for each in listed.incidents:
        summary = each.summary[:_SUMMARY_CHARACTERS]
        worker = "-" if each.worker is None else str(each.worker)
        status = str(each.status) if each.status else "-"
        request = _plain(f"{each.method} {each.target[:_SUMMARY_CHARACTERS]}".strip() or "-")
        rows.append(
            (_clock(each.time), each.kind, worker, status, request, _plain(summary), each.id)
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if (more := listed.total - len(listed.incidents)) > 0:
        lines.append(f"and {more} more")
    if listed.dropped:
        lines.append(f"{listed.dropped} further exceptions were too many at once to be recorded")
    return lines


def _full(found: wire.FoundIncidents, wanted: str) -> str:
    if not found.incidents:
        raise ControlError(
            f"no incident `{wanted}` is kept",
            code="control.no_incident",
            hint="`trivet incidents` lists those that are",
        )
    return "\n\n".join("\n".join(full(each)) for each in found.incidents)


def full(incident: Incident) -> list[str]:
    """Return all that is known of one, for a person."""
    lines = [f"incident {incident.id}", ""]
    rows = [
        ("what", f"{incident.kind}: {_plain(incident.summary)}"),
        ("where", incident.place),
        ("when", datetime.datetime.fromtimestamp(incident.time).astimezone().isoformat()),
        ("app", incident.app),
        ("process", _process(incident)),
        ("signal", incident.signal or ""),
        ("exit code", "" if incident.exit_code is None else str(incident.exit_code)),
        ("memory", _memory(incident)),
    ]
    lines += [f"{name:<10} {value}" for name, value in rows if value]
    for request in incident.requests:
        lines += ["", *_request(request)]
    if incident.more_requests:
        lines += ["", f"and {incident.more_requests} more requests"]
    if incident.stack:
        lines += ["", *map(_plain, incident.stack.splitlines())]
    return lines


def _process(incident: Incident) -> str:
    parts = [
        incident.process if incident.worker is None else f"worker {incident.worker}",
        "" if incident.pid is None else f"pid {incident.pid}",
        "" if incident.generation is None else f"generation {incident.generation}",
    ]
    return ", ".join(filter(None, parts))


def _memory(incident: Incident) -> str:
    sizes = (incident.memory_before_bytes, incident.memory_after_bytes)
    before, after = ("?" if size is None else f"{size / _MIB:.0f} MiB" for size in sizes)
    out = ", the kernel was out of memory" if incident.is_out_of_memory else ""
    return "" if sizes == (None, None) else f"{before} when it began to serve, then {after}{out}"


def _request(request: FailedRequest) -> list[str]:
    outcome = {
        "answered": f"answered {request.status}",
        "cut": "cut off, a part of the answer was out",
        "gone": "the client had gone away",
        "retried": "sent to another worker",
        "whole": "the client had the whole answer",
    }[request.outcome]
    steps = [
        (0, "received"),
        (request.handed_out_us, "handed to the worker"),
        (request.started_us, "started"),
        (_answered_at(request), "first byte of the answer"),
        (request.failed_us, f"failed: {outcome}"),
    ]
    facts = [f"  app at {_plain(request.mount)}"] if request.mount else []
    if request.route is not None:
        facts.append(f"  by {_plain(request.route)}")
    client = request.client or "a Unix socket"
    head = f"{_plain(request.method)} {_plain(request.target)} from {client}, id {request.id}"
    if request.attempts > 1:
        facts.append(f"  attempt {request.attempts}")
    return [head, *facts, *(f"  {us:>12} µs  {step}" for us, step in steps if us is not None)]


def _answered_at(request: FailedRequest) -> int | None:
    if request.answered_us is None or request.started_us is None:
        return None
    return request.started_us + request.answered_us


def _plain(text: str) -> str:
    """Leave out what could move a terminal's cursor."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _clock(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds).astimezone().strftime("%m-%d %H:%M:%S")


command: click.Command = addressed(
    "incidents",
    "List what went wrong, newest first: exceptions, timeouts, crashes, kills. With the id from an "
    "error page or the access log, show that one in full.",
)(_incidents)
