"""`trivet config`: each option with its value and where it came from."""

from __future__ import annotations

import json
from typing import Any

import click

from trivet.cli.options import configured, load_configuration
from trivet.config import Loaded
from trivet.config.explain import explained, sources, value_of
from trivet.config.suggestion import nearest
from trivet.errors import ConfigError

_ACTIONS = ("show", "get", "sources", "schema")


def show(loaded: Loaded) -> int:
    """Print every option as it would stand in the file, with its origin as a comment."""
    lines = [(f"{line.path} = {line.value}", line.origin) for line in explained(loaded)]
    width = min(48, max(len(left) for left, _ in lines))
    for left, origin in lines:
        click.echo(f"{left:<{width}}  # {origin}")
    return 0


@click.argument("action", default="show", metavar="[show|get KEY|sources|schema]")
@click.argument("key", required=False, metavar="")
def _config(*, action: str, key: str | None, **parameters: Any) -> int:  # noqa: ANN401 - one per option
    r"""Show each option with its value and where it came from.

    Takes the options of `trivet serve`, and starts nothing.

    \b
    show       every option, as it would stand in trivet.toml
    get KEY    the value of one option
    sources    what was read, and what it decided
    schema     the JSON Schema of trivet.toml, for editors
    """
    if action not in _ACTIONS:
        meant = nearest(action, _ACTIONS)
        hint = f"did you mean `trivet config {meant}`?" if meant else f"trivet config get {action}"
        raise ConfigError(
            f"`trivet config` has no `{action}`", code="usage.bad_argument", hint=hint
        )
    if (action == "get") != (key is not None):
        raise ConfigError(
            "`trivet config get` takes the name of one option, the others take none",
            code="usage.bad_argument",
            hint="trivet config get server.bind",
        )
    if action == "schema":
        from trivet.config.reference import schema

        click.echo(json.dumps(schema(), indent=2))
        return 0
    loaded = load_configuration(parameters)
    if action == "show":
        return show(loaded)
    for line in [value_of(loaded, key)] if key else sources(loaded):
        click.echo(line)
    return 0


command = configured("config", takes_app=False)(_config)
