"""`trivet check`: would it start?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from trivet.cli.options import configured, load_configuration


def check(parameters: Mapping[str, Any]) -> int:
    """Check configuration and app, and say what was found; errors are raised."""
    loaded = load_configuration(parameters)
    from trivet.config.discovery import discover

    app = discover(loaded, os.environ)
    from trivet.supervisor.check import check_app

    report = check_app(loaded, app)
    what = ", ".join(filter(None, [report.framework, report.interface.upper()]))
    click.echo(f"configuration  {loaded.file or 'no file'}: no errors")
    click.echo(f"app            {app.target}: loaded in {report.seconds:.2f} s ({what})")
    return 0


def _check(**parameters: Any) -> int:  # noqa: ANN401 - one per option
    """Check the configuration, and load the app once in a process that is thrown away.

    Takes the options of `trivet serve`. Exits with 0 if it would start, 2 if the configuration is
    wrong, 3 if the app does not load.
    """
    return check(parameters)


command = configured("check")(_check)
