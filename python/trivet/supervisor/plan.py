"""What a stand is started from, made of the settings, the app that was found, and the listeners."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trivet.config import Loaded, to_edge_config
from trivet.config.discovery import Discovered
from trivet.errors import wants_colour
from trivet.supervisor.listen.listeners import Listener
from trivet.supervisor.screen import Screen, Voice
from trivet.wire import edge_config, worker_control


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a stand is started from."""

    edge_config: edge_config.EdgeConfig
    listeners: Sequence[Listener]
    app: worker_control.AppTarget
    workers: int
    threads: int
    mount: str
    environment: Mapping[str, str]
    folder: Path
    """Where workers run."""
    graceful_s: float
    load_s: float
    watch: tuple[Sequence[Path], Sequence[str], Sequence[str]] | None
    """Folders, and the patterns of names that count and that do not; `None` for no watching."""
    screen: Screen
    voice: Voice


def make_plan(loaded: Loaded, app: Discovered, listeners: Sequence[Listener]) -> Plan:
    """Put together what the processes need to be told."""
    settings = loaded.settings
    server = settings.server
    return Plan(
        edge_config=to_edge_config(
            settings,
            [
                edge_config.Listener(name=each.name, port=each.port, unix=each.is_unix)
                for each in listeners
            ],
            app=app.target,
            colour=wants_colour(sys.stdout, os.environ),
        ),
        listeners=listeners,
        app=app_target(loaded, app),
        workers=server.workers,
        threads=server.threads,
        mount=server.root_path,
        environment=settings.env,
        folder=settings.chdir,
        graceful_s=server.graceful_timeout.seconds,
        load_s=server.load_timeout.seconds,
        watch=_watch(loaded),
        screen=_screen(loaded, app, listeners),
        voice=_voice(loaded),
    )


def app_target(loaded: Loaded, app: Discovered) -> worker_control.AppTarget:
    """Say it as the worker reads it."""
    return worker_control.AppTarget(
        name=app.target,
        module=app.module,
        expression=app.expression,
        factory=loaded.settings.factory,
        directory=str(app.directory),
        interface=loaded.settings.interface,
    )


def _watch(loaded: Loaded) -> tuple[Sequence[Path], Sequence[str], Sequence[str]] | None:
    reload = loaded.settings.reload
    if not reload.enabled:
        return None
    folders = reload.directories or (loaded.settings.chdir,)
    return [folder.absolute() for folder in folders], reload.include, reload.exclude


def _screen(loaded: Loaded, app: Discovered, listeners: Sequence[Listener]) -> Screen:
    watch = _watch(loaded)
    return Screen(
        app=app.target,
        app_because=app.found_because,
        serving=[
            (_address(each), "" if number else _because(loaded, "server.bind"))
            for number, each in enumerate(listeners)
        ],
        workers=loaded.settings.server.workers,
        threads=loaded.settings.server.threads,
        workers_because=_because(loaded, "server.workers"),
        watching=", ".join(map(str, watch[0])) if watch else "",
        stop="Ctrl-C stops" if sys.stderr.isatty() else "SIGTERM stops",
    )


def _address(listener: Listener) -> str:
    if listener.is_unix:
        return listener.name
    if listener.is_inherited:
        host, port = listener.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return f"http://{listener.name}"


def _because(loaded: Loaded, path: str) -> str:
    origin = loaded.origins[path]
    who = "" if origin.text == "default" else origin.text
    return ": ".join(filter(None, [who, origin.reason]))


def _voice(loaded: Loaded) -> Voice:
    log = loaded.settings.log
    return Voice(
        json=log.format == "json",
        colour=log.format != "json" and wants_colour(sys.stderr, os.environ),
        level=log.level,
        # Unasked, a person who pipes the output still reads the first lines.
        json_from_start=log.format == "json" and loaded.origins["log.format"].text != "default",
    )
