"""`trivet files`: a folder, and no app."""

from __future__ import annotations

from typing import Any

import click

from trivet.cli.options import configured, load_configuration, loader
from trivet.config.load import NO_APP
from trivet.config.static_flag import StaticRow

INDEX = "index.html"


def of_folder(folder: str, because: str, **more: tuple[str, object]) -> dict[str, Any]:
    """Make the parameters of `trivet serve` that have a folder served at `/`, and no app.

    Args:
        folder: As it was written.
        because: Why, for people; empty where it was asked for.
        more: Further options of `[[static]]`: how the command line calls it, and its value.
    """
    values = {"path": ("FOLDER", "/"), "folder": ("FOLDER", folder), **more}
    return {"app": NO_APP, "static": (StaticRow(values=values, because=because),)}


@click.option(
    "--cache-control", metavar="VALUE", help="Cache-Control of every file: `max-age=600`."
)
@click.option(
    "--spa", is_flag=True, help="Answer with /index.html where there is no such file (single page)."
)
@click.option("--listing", is_flag=True, help="List folders that have no index.html.")
@click.argument("folder", default=".")
def _files(
    *,
    folder: str,
    listing: bool,
    spa: bool,
    cache_control: str | None,
    **parameters: Any,  # noqa: ANN401 - one per option
) -> int:
    """Serve the files of FOLDER (the one here if left out), without an app and its workers.

    No configuration file is looked for, and `-c` names one. Hidden files, and whatever lies
    outside of the folder, are never served.
    """
    more: dict[str, tuple[str, object]] = {}
    if listing:
        more["listing"] = ("--listing", True)
    if spa:
        more["fallback"] = ("--spa", [f"/{INDEX}"])
    if cache_control:
        more["cache_control"] = ("--cache-control", {"**": cache_control})
    own = of_folder(folder, "", **more)
    parameters["static"] = (*own["static"], *(parameters["static"] or ()))
    parameters |= {"app": own["app"], "config": parameters["config"] or False}
    loaded = load_configuration(parameters)
    from trivet import supervisor

    return supervisor.run(loaded, (), again=loader(parameters))


command = configured("files", takes_app=False)(_files)
