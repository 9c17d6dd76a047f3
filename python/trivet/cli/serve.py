"""`trivet serve`: find the app and hold it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from trivet.cli.files import INDEX, of_folder
from trivet.cli.options import configured, load_configuration, loader
from trivet.config.value.path import expanded, is_file
from trivet.errors import AppLoadError

if TYPE_CHECKING:
    from trivet.config import Loaded
    from trivet.config.discovery import Discovered


@click.option("--print-config", is_flag=True, help="Show the configuration, and exit.")
@click.option("--check-config", is_flag=True, help="As `trivet check`.")
def _serve(*, print_config: bool, check_config: bool, **parameters: Any) -> int:  # noqa: ANN401 - one per option
    """Serve an app: web server, application server, and what the framework knows.

    APP is `module:attribute`, `module:factory()`, a module, a file or a folder; the files of a
    folder without an app, but with an index.html, are served as they are. Left out, it is looked
    for: what TRIVET_APP, the configuration file, FLASK_APP or manage.py names, else
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
    try:
        apps = _discovered(loaded)
    except AppLoadError as problem:
        if not _is_bare_site(loaded, parameters, problem):
            raise
        parameters |= _as_files(loaded, parameters)
        loaded, apps = load_configuration(parameters), []
    from trivet import supervisor

    return supervisor.run(loaded, apps, again=loader(parameters))


def _discovered(loaded: Loaded) -> list[Discovered]:
    from trivet.config.discovery import discover

    return [discover(app, os.environ) for app in loaded.apps]


def _is_bare_site(loaded: Loaded, parameters: Mapping[str, Any], problem: AppLoadError) -> bool:
    """Say whether what was named is a folder without an app, but with a page.

    Raises:
        AppLoadError: None was named, but the present folder is one: its files are not served
            unasked, for nobody has said that they are for everybody.
    """
    if problem.code != "app.not_found":
        return False
    folder = loaded.apps[0].folder
    if parameters["app"]:
        return is_file(folder / expanded(parameters["app"]) / INDEX)
    if loaded.settings.app is None and is_file(folder / INDEX):
        problem.hint = "`trivet files` serves the files of this folder"
    return False


def _as_files(loaded: Loaded, parameters: Mapping[str, Any]) -> dict[str, Any]:
    folder = loaded.apps[0].folder / expanded(parameters["app"])
    own = of_folder(str(folder), f"no app in it, but an {INDEX}")
    return {**own, "static": (*own["static"], *(parameters["static"] or ()))}


command = configured("serve")(_serve)
