"""`trivet check`: would it start?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from trivet.cli.options import configured, load_configuration


def check(parameters: Mapping[str, Any]) -> int:
    """Check configuration and apps, and say what was found; errors are raised."""
    loaded = load_configuration(parameters)
    from trivet.config.discovery import discover

    found = [(each, discover(each, os.environ)) for each in loaded.apps]
    from trivet.supervisor.check import check_app

    lines = [f"configuration  {loaded.file or 'no file'}: no errors"]
    for each, app in found:
        report = check_app(each, app)
        what = ", ".join(filter(None, [report.framework, report.interface.upper()]))
        name = f"{each.name}: " if each.name else ""
        loaded_in = f"loaded in {report.seconds:.2f} s ({what})"
        lines.append(f"app            {name}{app.target}: {loaded_in}")
    if not loaded.apps:
        lines.append("app            none: routes and folders answer")
    click.echo("\n".join(lines))
    return 0


def _check(**parameters: Any) -> int:  # noqa: ANN401 - one per option
    """Check the configuration, and load the app once in a process that is thrown away.

    Takes the options of `trivet serve`. Exits with 0 if it would start, 2 if the configuration is
    wrong, 3 if the app does not load.
    """
    return check(parameters)


command = configured("check")(_check)
