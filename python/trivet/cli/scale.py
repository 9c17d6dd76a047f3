"""`trivet scale`: another number of workers, while the stand runs."""

from __future__ import annotations

import re

import click

from trivet.cli.running import Conversation, addressed, show_json
from trivet.errors import ConfigError
from trivet.wire import stand_control as wire

_NUMBER = re.compile(r"[+-]?[0-9]{1,4}", re.ASCII)


@click.argument("workers", metavar="N|+N|-N")
@click.option("--app", metavar="NAME", help="One of several apps; all of them without it.")
def _scale(
    *, workers: str, app: str | None, pid: int | None, socket: str | None, as_json: bool
) -> int:
    if not _NUMBER.fullmatch(workers) or not -1024 <= int(workers) <= 1024:  # noqa: PLR2004
        raise ConfigError(
            f"`{workers}` is no number of workers",
            code="usage.bad_argument",
            hint="trivet scale 4, trivet scale +1 or trivet scale -1",
        )
    request = wire.ScaleAsked(
        version=wire.STAND_CONTROL_VERSION,
        app=app,
        workers=int(workers),
        is_change=workers[0] in "+-",
    )
    reply = Conversation(pid, socket).ask(request, wire.Scaled)
    if as_json:
        show_json(reply)
        return 0
    for each in reply.apps:
        name = f"{each.app}: " if each.app else ""
        count = f"{each.workers} worker{'' if each.workers == 1 else 's'}"
        click.echo(f"{name}{count} from now on")
    return 0


command: click.Command = addressed(
    "scale",
    "Have N workers from now on, or N more or fewer. The next start has what the "
    "configuration says.",
)(_scale)
# `-1` is a number here, and no option.
command.ignore_unknown_options = True
