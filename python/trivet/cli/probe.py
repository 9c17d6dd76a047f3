"""The short way to `trivet healthcheck`.

It runs every few seconds in a container that may have a tenth of a CPU, so it starts without
click, the configuration and msgspec: in a third of the time of other commands.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from trivet.cli import stands
from trivet.wire.stand_address import STAND_CONTROL_VERSION

_PATIENCE_S = 5.0
_MOST_BYTES = 4096


def main(arguments: Sequence[str]) -> int | None:
    """Run with the simplest arguments; `None` leaves all others to the long way."""
    rest = [each for each in arguments if each != "--json"]
    pid = path = None
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in ("--pid", "--socket") or not (equals or rest):
            return None
        value = value if equals else rest.pop(0)
        if name == "--socket":
            path = value
        elif value.isascii() and value.isdigit():
            pid = int(value)
        else:
            return None
    return run(pid, path, as_json="--json" in arguments)


def run(pid: int | None, path: str | None, *, as_json: bool) -> int:
    """Ask the stand that is meant; return 0 if it serves."""
    problem = _problem(pid, path)
    if as_json:
        sys.stdout.write(json.dumps({"healthy": not problem, "because": problem}) + "\n")
    elif problem:
        sys.stderr.write(f"not healthy: {problem}\n")
    else:
        sys.stdout.write("healthy\n")
    return 1 if problem else 0


def _problem(pid: int | None, path: str | None) -> str:
    try:
        found = stands.find(pid, path)
    except OSError as error:
        return f"no stand answers: {error.strerror or error}"
    except stands.SeveralStandsError as several:
        return f"{several}: name one with --pid"
    return _problem_of(found) if found else "no stand is running"


def _problem_of(found: stands.Found) -> str:
    line = json.dumps({"type": "health", "version": STAND_CONTROL_VERSION}).encode() + b"\n"
    try:
        reply = json.loads(stands.ask(found, line, _MOST_BYTES, _PATIENCE_S))
    except TimeoutError:
        return f"no answer within {_PATIENCE_S:g} s"
    except (OSError, ValueError):
        return "no answer that can be understood"
    if not isinstance(reply, dict) or reply.get("version") != STAND_CONTROL_VERSION:
        return "the stand is of another installation"
    if reply.get("type") == "health" and reply.get("is_healthy") is True:
        return ""
    return str(reply.get("because") or reply.get("message") or "it says nothing of its health")
