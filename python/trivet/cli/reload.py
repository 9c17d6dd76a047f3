"""`trivet reload`: new workers, with configuration and code as they are now."""

from __future__ import annotations

import click

from trivet.cli.running import Conversation, addressed, show_json
from trivet.errors import AppLoadError, ConfigError, TrivetError
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
    if reply.outcome != "failed":
        return 0
    return ConfigError.exit_code if reply.problems else AppLoadError.exit_code


def _error(reply: wire.Reloaded) -> TrivetError:
    if reply.problems:
        click.echo(reply.text, err=True)
        return ConfigError.together([each.to_config_error() for each in reply.problems])
    if reply.failure is None:
        return AppLoadError(reply.text, code="app.died")
    error = reply.failure.to_error()
    click.echo(reply.text, err=True)
    return error


command: click.Command = addressed(
    "reload",
    "Read the configuration again, let new workers take over from the present ones, and wait "
    "until they do. Where they cannot load the app, the present ones go on, and the exit code is "
    "3; where the configuration has errors, it is 2.",
)(_reload)
