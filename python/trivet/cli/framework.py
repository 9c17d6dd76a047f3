"""What `trivet routes` and `trivet explain` ask of apps: those that load, and nobody else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trivet.config import to_edge_config
from trivet.errors import AppLoadError
from trivet.wire.worker_control import AppRoutes, RoutesAsked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivet.config import ConfiguredApp, Loaded
    from trivet.config.discovery import Discovered
    from trivet.wire.edge_config import EdgeConfig

LISTED = RoutesAsked(method="GET", scheme="http", host="localhost", mount="", path="")
"""The question for all routes, and for none in particular."""


def discovered(loaded: Loaded) -> list[Discovered | AppLoadError]:
    """Find the apps; what cannot be found is told, and is no failure."""
    from trivet.config.discovery import discover

    found: list[Discovered | AppLoadError] = []
    for each in loaded.apps:
        try:
            found.append(discover(each, os.environ))
        except AppLoadError as problem:
            found.append(problem)
    return found


def target_of(app: ConfiguredApp, found: Discovered | AppLoadError) -> str:
    """Name an app for people."""
    if isinstance(found, AppLoadError):
        return app.settings.app or app.name or "app"
    return found.target


def edge_config_of(loaded: Loaded, found: Sequence[Discovered | AppLoadError]) -> EdgeConfig:
    """Make what the edge would be told, but for its listeners."""
    pairs = zip(loaded.apps, found, strict=True)
    apps = [(target_of(app, each), app.settings) for app, each in pairs]
    return to_edge_config(loaded.settings, (), apps=apps)


def routes_of(
    app: ConfiguredApp, found: Discovered | AppLoadError, asked: RoutesAsked
) -> AppRoutes:
    """Ask the app's framework; an app that cannot be loaded is told as the answer's problem."""
    from trivet.supervisor.check import ask_routes

    try:
        if isinstance(found, AppLoadError):
            raise found
        return ask_routes(app, found, asked)
    except AppLoadError as problem:
        text = f"it does not load: {problem} (`trivet check` shows more)"
        return AppRoutes(is_known=False, routes=(), taken=None, problem=text)
