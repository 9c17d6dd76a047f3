"""`trivet serve`: find the app and hold it."""

from __future__ import annotations

import os
from typing import Any

import click

from trivet.cli.options import configured, load_configuration, loader


@click.option("--print-config", is_flag=True, help="Show the configuration, and exit.")
@click.option("--check-config", is_flag=True, help="As `trivet check`.")
def _serve(*, print_config: bool, check_config: bool, **parameters: Any) -> int:  # noqa: ANN401 - one per option
    """Serve an app: web server, application server, and what the framework knows.

    APP is `module:attribute`, `module:factory()`, a module, a file or a folder. Left out, it is
    looked for: what TRIVET_APP, the configuration file, FLASK_APP or manage.py names, else
    app.py, wsgi.py, main.py or asgi.py, here, in a package or in src/.

    Each option has its variable too (TRIVET_WORKERS), and its place in trivet.toml or
    [tool.trivet] of pyproject.toml. `trivet config` shows all of them.
    """
    if check_config:
        from trivet.cli.check import check

        return check(parameters)
    if print_config:
        from trivet.cli.config import show

        return show(load_configuration(parameters))
    loaded = load_configuration(parameters)
    from trivet.config.discovery import discover

    apps = [discover(app, os.environ) for app in loaded.apps]
    from trivet import supervisor

    return supervisor.run(loaded, apps, again=loader(parameters))


command = configured("serve")(_serve)
