"""`trivet stop`: end the running stand, and wait for its end."""

from __future__ import annotations

import click

from trivet.cli.running import Conversation, addressed, show_json
from trivet.wire import stand_control as wire


@click.option("--now", is_flag=True, help="Cut off the requests that are running.")
def _stop(*, pid: int | None, socket: str | None, as_json: bool, now: bool) -> int:
    stand = Conversation(pid, socket)
    request = wire.StopAsked(version=wire.STAND_CONTROL_VERSION, now=now)
    reply = stand.ask(request, wire.Stopping)
    if not as_json and not now:
        click.echo(f"stopping: requests in flight have {reply.graceful_s:g} s", err=True)
    stand.wait_for_end()
    if as_json:
        show_json(reply)
    else:
        click.echo("stopped")
    return 0


command: click.Command = addressed(
    "stop",
    "Stop the running stand and wait until it is gone: requests in flight are finished.",
)(_stop)
