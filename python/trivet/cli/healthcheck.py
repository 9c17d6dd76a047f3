"""`trivet healthcheck`: does it serve? For Docker's HEALTHCHECK and the like."""

from __future__ import annotations

import click

from trivet.cli import probe
from trivet.cli.running import addressed


def _healthcheck(*, pid: int | None, socket: str | None, as_json: bool) -> int:
    return probe.run(pid, socket, as_json=as_json)


command: click.Command = addressed(
    "healthcheck",
    "Exit with 0 if the running stand answers requests, with 1 if it does not or there is none.",
)(_healthcheck)
