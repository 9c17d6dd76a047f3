"""What a stand is started from, made of settings, the apps that were found, and listeners."""

import dataclasses
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trivet.config import ConfiguredApp, Loaded, Origin, Settings, to_edge_config
from trivet.config.discovery import Discovered
from trivet.config.incidents import Incidents
from trivet.errors import wants_colour
from trivet.supervisor.fleet.lifetime import LifetimePlan
from trivet.supervisor.fleet.plan import FleetPlan
from trivet.supervisor.listen.listeners import Listener
from trivet.supervisor.screen import AppLine, Screen, Voice
from trivet.supervisor.spawn import Surroundings
from trivet.supervisor.start.identity import Identity, identity_of
from trivet.supervisor.start.interpreter import python_for
from trivet.supervisor.tasks.processes import TaskPlan, task_plan
from trivet.wire import control, edge_config, fork_control, worker_control


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPlan:
    """What the workers of one app are started from."""

    fleet: FleetPlan
    target: worker_control.AppTarget
    threads: int
    mount: str
    hooks: worker_control.Hooks
    around: Surroundings
    preload: bool

    def start_message(self, number: int) -> worker_control.Start:
        """Return a worker's first message, but for the numbers of its descriptors."""
        return worker_control.Start(
            worker=number,
            app=self.target,
            hooks=self.hooks,
            threads=self.threads,
            multiprocess=self.fleet.workers > 1,
            mount=self.mount,
            link_fd=-1,
            claim_fd=-1,
            doorbell_fd=-1,
        )

    def preload_message(self) -> fork_control.Preload:
        """Return a fork server's first message."""
        return fork_control.Preload(app=self.target, hooks=self.hooks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a stand is started from."""

    edge_config: edge_config.EdgeConfig
    listeners: Sequence[Listener]
    apps: Sequence[AppPlan]
    """By the number that the edge knows them by; without any, the edge answers alone."""
    graceful_s: float
    """How long a stop may take where there is no app that says so."""
    tasks: Sequence[TaskPlan]
    control: str | None
    """Where the control socket is: a path, `@`, or `None` for none."""
    incidents: Incidents
    identity: Identity | None
    """As whom the edge runs; `None` for who the supervisor is."""
    watch: tuple[Sequence[Path], Sequence[str], Sequence[str]] | None
    """Folders, and the patterns of names that count and that do not; `None` for no watching."""
    touch: Path | None
    """File whose touching reloads."""
    screen: Screen
    voice: Voice


def make_plan(loaded: Loaded, apps: Sequence[Discovered], listeners: Sequence[Listener]) -> Plan:
    """Put together what the processes need to be told; `apps` are those of `loaded`, as found."""
    found = list(zip(loaded.apps, apps, strict=True))
    plans = [_app_plan(configured, app) for configured, app in found]
    return Plan(
        edge_config=_edge_config(loaded, apps, listeners),
        listeners=listeners,
        apps=plans,
        graceful_s=loaded.settings.server.graceful_timeout.seconds,
        tasks=_task_plans(loaded, plans),
        control=loaded.settings.control.socket,
        incidents=loaded.settings.incidents,
        identity=identity_of(loaded.settings.server.user, loaded.settings.server.group),
        watch=_watch(loaded),
        touch=loaded.settings.reload.touch,
        screen=_screen(loaded, apps, listeners),
        voice=_voice(loaded),
    )


def renewed_plan(plan: Plan, loaded: Loaded, apps: Sequence[Discovered]) -> Plan:
    """Make the plan of a reload: other workers, behind the same listeners and the same edge.

    Raises:
        ConfigError: There is no such user, or a Python cannot run the app.
    """
    plans = [_app_plan(configured, app) for configured, app in zip(loaded.apps, apps, strict=True)]
    return dataclasses.replace(
        plan,
        edge_config=_edge_config(loaded, apps, plan.listeners),
        apps=plans,
        tasks=_task_plans(loaded, plans),
        watch=_watch(loaded),
        touch=loaded.settings.reload.touch,
        voice=_voice(loaded),
    )


def _edge_config(
    loaded: Loaded, apps: Sequence[Discovered], listeners: Sequence[Listener]
) -> edge_config.EdgeConfig:
    return to_edge_config(
        loaded.settings,
        [
            edge_config.Listener(name=each.name, port=each.port, unix=each.is_unix)
            for each in listeners
        ],
        apps=[
            (app.target, configured.settings)
            for configured, app in zip(loaded.apps, apps, strict=True)
        ],
        colour=wants_colour(sys.stdout, os.environ),
    )


def _app_plan(configured: ConfiguredApp, app: Discovered) -> AppPlan:
    settings = configured.settings
    server = settings.server
    return AppPlan(
        fleet=FleetPlan(
            name=configured.name,
            workers=server.workers,
            graceful_s=server.graceful_timeout.seconds,
            load_s=server.load_timeout.seconds,
            grace_s=settings.timeouts.interrupt_grace.seconds,
            folder=settings.chdir,
            threads=server.threads,
            max_workers=server.max_workers or 0,
            surge=settings.reload.surge,
            warm_up=_warm_up(settings),
            lifetime=LifetimePlan(
                max_requests=server.max_requests,
                max_requests_jitter=server.max_requests_jitter,
                max_age_s=server.max_age.seconds if server.max_age else None,
                max_memory=server.max_memory.bytes if server.max_memory else None,
            ),
        ),
        target=app_target(configured, app),
        threads=server.threads,
        mount=server.root_path,
        hooks=hooks_of(settings),
        around=surroundings(settings),
        preload=server.preload,
    )


def _warm_up(settings: Settings) -> control.WarmUp | None:
    reload = settings.reload
    if not reload.warm_up:
        return None
    return control.WarmUp(
        paths=reload.warm_up,
        host=reload.warm_up_host,
        timeout_ms=settings.server.load_timeout.milliseconds,
    )


def _task_plans(loaded: Loaded, apps: Sequence[AppPlan]) -> list[TaskPlan]:
    graceful_s = loaded.settings.server.graceful_timeout.seconds
    plans = []
    for each in loaded.tasks:
        app = apps[each.app] if each.app is not None else None
        around = app.around if app else surroundings(loaded.settings)
        plans.append(task_plan(each, around, app.target.directory if app else "", graceful_s))
    return plans


def surroundings(settings: Settings) -> Surroundings:
    """Say where, as whom and by which Python an app's processes run.

    Raises:
        ConfigError: There is no such user, or the Python cannot run the app.
    """
    identity = identity_of(settings.server.user, settings.server.group)
    return Surroundings(
        environment=settings.env,
        folder=settings.chdir,
        python=python_for(settings.python, identity),
        identity=identity,
    )


def hooks_of(settings: Settings) -> worker_control.Hooks:
    """Say it as the worker reads it."""
    hooks = settings.hooks
    return worker_control.Hooks(
        on_start=hooks.on_start or "",
        post_fork=hooks.post_fork or "",
        on_ready=hooks.on_ready or "",
        on_exit=hooks.on_exit or "",
    )


def app_target(configured: ConfiguredApp, app: Discovered) -> worker_control.AppTarget:
    """Say it as the worker reads it."""
    return worker_control.AppTarget(
        name=app.target,
        module=app.module,
        expression=app.expression,
        factory=configured.settings.factory,
        directory=str(app.directory),
        interface=configured.settings.interface,
        async_views=configured.settings.async_views,
    )


def _watch(loaded: Loaded) -> tuple[Sequence[Path], Sequence[str], Sequence[str]] | None:
    reload = loaded.settings.reload
    if not reload.enabled:
        return None
    own = dict.fromkeys(app.settings.chdir for app in loaded.apps)
    folders = reload.directories or tuple(own)
    if not folders:
        return None  # without an app there is no code that could change
    return [folder.absolute() for folder in folders], reload.include, reload.exclude


def _screen(loaded: Loaded, apps: Sequence[Discovered], listeners: Sequence[Listener]) -> Screen:
    watch = _watch(loaded)
    return Screen(
        apps=[
            AppLine(
                name=configured.name,
                target=app.target,
                because=app.found_because,
                mount=configured.settings.server.root_path,
                workers=configured.settings.server.workers,
                threads=configured.settings.server.threads,
                workers_because=_because(configured, "server.workers"),
            )
            for configured, app in zip(loaded.apps, apps, strict=True)
        ],
        serving=[
            (_address(each), "" if number else _because(loaded, "server.bind"))
            for number, each in enumerate(listeners)
        ],
        watching=", ".join(map(str, watch[0])) if watch else "",
        tasks=[each.name for each in loaded.tasks],
        folders=[
            (f"{static.path} from {static.folder}", _asked_by(origin))
            for static, origin in zip(loaded.settings.static, loaded.rows["static"], strict=True)
        ],
        stop="Ctrl-C stops" if sys.stderr.isatty() else "SIGTERM stops",
    )


def _asked_by(origin: Origin) -> str:
    return (origin.reason or "as named") if origin.text == "argument" else str(origin)


def _address(listener: Listener) -> str:
    if listener.is_unix:
        return listener.name
    if listener.is_inherited:
        host, port = listener.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    return f"http://{listener.name}"


def _because(loaded: Loaded | ConfiguredApp, path: str) -> str:
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
