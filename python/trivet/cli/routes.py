"""`trivet routes`: what is done with which requests."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from trivet.cli.framework import LISTED, discovered, routes_of, target_of
from trivet.cli.options import configured, load_configuration
from trivet.config.route_table import action_text, policy_text, requests_text, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivet.config import Loaded
    from trivet.config.route_table import Row
    from trivet.wire.worker_control import AppRoute


class AppRow(msgspec.Struct, frozen=True, kw_only=True):
    """An app at the end of the list, with what its framework tells."""

    name: str
    target: str
    mount: str
    is_known: bool
    routes: list[dict[str, Any]]
    problem: str


def rows_json(rows: Sequence[Row], apps: Sequence[AppRow]) -> bytes:
    """Say it for programs."""
    return msgspec.json.format(msgspec.json.encode({"routes": rows, "apps": apps}), indent=2)


@click.option("--no-app", "without", is_flag=True, help="Do not load the app for its own routes.")
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON document.")
def _routes(*, as_json: bool, without: bool, **parameters: Any) -> int:  # noqa: ANN401 - one per option
    """List what is done with which requests, in the order in which they are looked at.

    First what `[[site]]`, `[[route]]` and `[[static]]` say, each with the line that it stands on,
    then the apps. The routes of Flask, Django, Starlette and FastAPI are shown below their app,
    which is loaded for that in a process that is thrown away.
    """
    loaded = load_configuration(parameters)
    rows, apps = table(loaded), _apps(loaded, without=without)
    if as_json:
        sys.stdout.write(rows_json(rows, apps).decode() + "\n")
    else:
        click.echo("\n".join([*_lines(rows), *(line for app in apps for line in _app_lines(app))]))
    return 0


def _apps(loaded: Loaded, *, without: bool) -> list[AppRow]:
    rows = []
    for app, found in zip(loaded.apps, discovered(loaded), strict=True):
        told = None if without else routes_of(app, found, LISTED)
        rows.append(
            AppRow(
                name=app.name,
                target=target_of(app, found),
                mount=app.settings.server.root_path,
                is_known=bool(told and told.is_known),
                routes=[_plain(each) for each in told.routes] if told else [],
                problem=told.problem if told else "",
            )
        )
    return sorted(rows, key=lambda row: -len(row.mount))


def _plain(route: AppRoute) -> dict[str, Any]:
    return {"methods": list(route.methods), "path": route.path, "endpoint": route.endpoint}


def _lines(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return ["no routes: every request is for the app"]
    cells = [("", "route", "requests", "sets", "answer", "from")]
    cells += [
        (
            str(row.number),
            row.name if row.name.startswith("site") else row.name.partition(" (")[0],
            requests_text(row),
            policy_text(row),
            action_text(row),
            row.origin,
        )
        for row in rows
    ]
    return aligned(cells)


def _app_lines(app: AppRow) -> list[str]:
    name = f"{app.name}: " if app.name else ""
    head = f"app  {name}{app.target}, for {app.mount or ''}/*"
    lines = ["", head]
    if app.problem:
        lines.append(f"  {app.problem}")
    cells = [
        (", ".join(each["methods"]) or "any", app.mount + each["path"], each["endpoint"])
        for each in app.routes
    ]
    return [*lines, *(f"  {line}" for line in aligned(cells))]


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Put cells into columns, without those that are empty in every row."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:]) or len(rows) == 1]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]


command = configured("routes")(_routes)
