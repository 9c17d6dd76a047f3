"""`trivet reload`: new workers with the code as it is now, and how that went."""

from __future__ import annotations

import click

from trivet.cli.running import Conversation, addressed, show_json
from trivet.errors import AppLoadError
from trivet.wire import stand_control as wire


@click.option("--no-wait", is_flag=True, help="Ask for it, and do not wait for the outcome.")
def _reload(*, pid: int | None, socket: str | None, as_json: bool, no_wait: bool) -> int:
    request = wire.ReloadAsked(version=wire.STAND_CONTROL_VERSION, wait=not no_wait)
    stand = Conversation(pid, socket)
    reply = stand.ask(request, wire.Reloaded, patience_s=None)
    if as_json:
        show_json(reply)
    elif reply.outcome == "failed":
        raise _error(reply)
    else:
        click.echo(reply.text)
    return 3 if reply.outcome == "failed" else 0


def _error(reply: wire.Reloaded) -> AppLoadError:
    if reply.failure is None:
        return AppLoadError(reply.text, code="app.died")
    error = reply.failure.to_error()
    click.echo(reply.text, err=True)
    return error


command: click.Command = addressed(
    "reload",
    "Let new workers take over from the present ones, and wait until they do. Where they cannot "
    "load the app, the present ones go on, and the exit code is 3.",
)(_reload)
