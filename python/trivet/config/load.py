"""From flags, environment and file to the settings.

Strategy: each source first says what it was given, as it was written (`Raw`). Then each option
takes the value of the highest source that has it: flag, `TRIVET_…`, a platform's variable, file,
default. All that is wrong is collected and told at once; nothing falls back in silence.

Length: one load, from its sources to its checks, to be read from top to bottom.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from trivet.config import listeners, static_flag
from trivet.config.edge import to_edge_config
from trivet.config.loaded import DEFAULT, ConfiguredApp, ConfiguredTask, Loaded, Origin, Raw
from trivet.config.option import Definition, definitions, fields_of, rows_type, without_none
from trivet.config.settings import Settings
from trivet.config.source import environment, file
from trivet.config.source.dotenv import read_env_file
from trivet.config.source.platform import Platform, connection_limit
from trivet.config.suggestion import nearest
from trivet.config.task import Task
from trivet.config.value.kind import BadValueError, read_value
from trivet.config.value.path import expanded, is_folder
from trivet.errors import ConfigError, Notice

NO_APP: Final = "none"
"""The name for no app: routes and folders answer alone."""
_PLATFORM = 2
"""Position of the platforms' variables among the sources."""


def load(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    cwd: Path,
    platform: Platform | None = None,
) -> Loaded:
    """Load the configuration.

    Args:
        flags: By option path, as text, list of texts or boolean; `None` and empty lists count as
            not given. `config` names the file to read in place of the one that is found, and
            `False` has none looked for; `app` is the argument of the command, and `static` may
            hold `StaticRow`s.
        environ: The environment variables.
        cwd: Absolute folder where the command was started.
        platform: The machine; looked at if `None`.

    Raises:
        ConfigError: All that is wrong, each with its place.
    """
    return _Loading(environ, cwd, platform or Platform.detect(environ)).run(flags)


class _Loading:
    """One load: the sources, what was found wrong so far, and what to tell."""

    def __init__(self, environ: Mapping[str, str], cwd: Path, platform: Platform) -> None:
        self.environ = environ
        self.cwd = cwd
        self.platform = platform
        self.known = definitions(Settings)
        self.problems: list[ConfigError] = []
        self.notices: list[Notice] = []
        self.sources: list[Mapping[str, Raw]] = []
        self.origins: dict[str, Origin] = {}
        self.values: dict[str, Any] = {}

    def run(self, flags: Mapping[str, object]) -> Loaded:
        upper = [
            self._flag_values(flags),
            environment.own_values(self.known, self.environ, self.cwd),
            environment.platform_values(self.known, self.environ, self.cwd),
        ]
        self.notices += environment.notices(self.known, self.environ)
        found = self._file(flags.get("config"), upper)
        self.sources = static_flag.merged([*upper, found.values if found else {}])
        self.problems += found.problems if found else ()
        rows = {each.path for each in self.known if rows_type(each.type)}
        for definition in self.known:
            if definition.section not in rows:
                self._decide(definition)
        self._decide_listeners()
        self._check_folders()
        self._read_env_files()
        self._check_conflicts()
        self._check_access()
        self._check_routes()
        apps = self._apps(found.apps if found else {})
        tasks = self._tasks(apps)
        if not self.problems:
            self._check_reach(apps)
        if self.problems:
            raise ConfigError.together(sorted(self.problems, key=_position))
        self._warn()
        return Loaded(
            settings=_build(Settings, "", self.values),
            origins=self.origins,
            notices=tuple(self.notices),
            file=found.path if found else None,
            apps=apps,
            tasks=tasks,
            rows={name: tuple(row[""].origin for row in self._rows(name)) for name in _ROUTED},
        )

    def _flag_values(self, flags: Mapping[str, object]) -> dict[str, Raw]:
        values = {}
        for each in self.known:
            value = flags.get(each.path)
            if value is None or value == ():
                continue
            if rows_type(each.type):
                if each.path == "static" and isinstance(value, (list, tuple)):
                    values[each.path] = static_flag.raw(value, self.cwd, self._problem)
                continue
            name = each.option.flag or each.path
            if value is False and each.option.off:
                name = each.option.off
            origin = Origin(f"flag {name}" if each.option.flag else "argument")
            values[each.path] = Raw(each.path, name, value, origin, self.cwd)
        return values

    def _file(self, told: object, upper: Sequence[Mapping[str, Raw]]) -> file.ConfigFile | None:
        is_wanted = told is not False
        told = told or self.environ.get(environment.CONFIG)
        if told:
            return file.read(self.cwd / expanded(str(told)), self.cwd)
        if not is_wanted:
            return None
        chdir = next((source["chdir"] for source in upper if "chdir" in source), None)
        path = file.find(self.cwd / str(chdir.value) if chdir else self.cwd)
        return file.read(path, self.cwd) if path else None

    def _decide(self, definition: Definition) -> None:
        """Take an option's value from the highest source; a lower file is checked all the same."""
        path = definition.path
        raws = [source[path] for source in self.sources if path in source]
        automatic = self._automatic(path)
        self.values[path], self.origins[path] = definition.default, DEFAULT
        if automatic:
            self.values[path], reason = automatic
            self.origins[path] = Origin(DEFAULT.text, reason)
        for raw in reversed(raws):
            if raw is raws[0] or raw.origin.place:
                self.values[path], self.origins[path] = self._value(definition, raw)

    def _value(self, definition: Definition, raw: Raw) -> tuple[Any, Origin]:
        """Convert what was written; `auto` is what the machine decides, with its reason."""
        automatic = self._automatic(definition.path)
        if automatic and definition.option.takes_auto and raw.value == "auto":
            value, reason = automatic
            return value, Origin(raw.origin.text, reason, raw.origin.place)
        return self._converted(definition, raw), raw.origin

    def _automatic(self, path: str) -> tuple[Any, str] | None:
        """Give the value and the reason of an option that the machine decides."""
        if path == "chdir":
            return self.cwd, "where Trivet was started"
        decide = _AUTOMATIC.get(path)
        return decide(self.platform) if decide else None

    def _converted(self, definition: Definition, raw: Raw) -> Any:  # noqa: ANN401 - any option
        row = rows_type(definition.type)
        if row is not None and isinstance(raw.value, list):
            return tuple(self._row(row, definition.path + ".", each) for each in raw.value)
        if row is not None and isinstance(raw.value, dict):
            named = raw.value.items()
            return {name: self._row(row, definition.path + ".", each) for name, each in named}
        try:
            value = read_value(definition.type, definition.option, raw.value, raw.base)
        except BadValueError as problem:
            self._problem(raw, str(problem), problem.hint)
            return definition.default
        if (
            raw.origin.place
            and without_none(definition.type)[0] is int
            and isinstance(raw.value, str)
        ):
            message = f'{definition.name} "{raw.value}" read as the number {value}'
            self.notices.append(
                Notice("note", message, "config.text_number", None, raw.origin.place)
            )
        return value

    def _row(self, row: type[msgspec.Struct], prefix: str, raws: Mapping[str, Raw]) -> Any:  # noqa: ANN401 - as above
        values = {
            each.path: self._converted(each, raws[each.path]) if each.path in raws else each.default
            for each in definitions(row, prefix)
        }
        return _build(row, prefix, values)

    def _decide_listeners(self) -> None:
        sources = [
            listeners.Source(
                bind=self._of(source, "server.bind"),
                host=self._of(source, "server.host"),
                port=self._of(source, "server.port"),
                raws={path: raw for path, raw in source.items() if path in _LISTENERS},
                is_platform=position == _PLATFORM,
            )
            for position, source in enumerate(self.sources)
        ]
        if any(_LISTENERS.intersection(source) for source in self.sources) and self.problems:
            return  # what is wrong with them is told already
        try:
            decision = listeners.decide(sources, self.platform.container)
        except ConfigError as problem:
            self.problems.append(problem)
            return
        self.values["server.bind"] = decision.bind
        self.origins["server.bind"] = decision.origin
        self.notices += decision.notices

    def _of(self, source: Mapping[str, Raw], path: str) -> Any:  # noqa: ANN401 - as above
        """Convert a value of one source; that it cannot be is told by `_decide`."""
        definition = next(each for each in self.known if each.path == path)
        if path not in source:
            return None
        raw = source[path]
        try:
            return read_value(definition.type, definition.option, raw.value, raw.base)
        except BadValueError:
            return None

    def _check_folders(self) -> None:
        for path in (
            "chdir",
            "app_dir",
            "buffers.folder",
            "incidents.directory",
            "reload.directories",
        ):
            self._check_folder(self._highest(path), self.values[path])

    def _check_folder(self, raw: Raw | None, value: Any) -> None:  # noqa: ANN401 - as above
        if raw:
            for folder in value if isinstance(value, tuple) else (value,):
                if folder and not is_folder(folder):
                    shown = file.shown(folder, self.cwd) if value is not folder else raw.value
                    code = "config.file_missing"
                    self._problem(raw, f"names no folder: `{shown}`", None, code=code)

    def _read_env_files(self) -> None:
        self.values["env"] = self._env_files(self.values["env_file"]) | self.values["env"]

    def _env_files(self, paths: Sequence[Path]) -> dict[str, str]:
        variables: dict[str, str] = {}
        for path in paths:
            try:
                variables |= read_env_file(path, file.shown(path, self.cwd))
            except ConfigError as problem:
                self.problems.append(problem)
        return variables

    def _apps(self, tables: Mapping[str, Mapping[str, Raw]]) -> tuple[ConfiguredApp, ...]:
        """Make the apps: one for each table, else the only one, or none where that is asked for."""
        if not tables and self.values["app"] == NO_APP:
            self._check_alone()
            return ()
        if not tables:
            settings = _build(Settings, "", self.values)
            folder = self._app_folder(settings)
            return (ConfiguredApp(name="", settings=settings, origins=self.origins, folder=folder),)
        if named := self._highest("app"):
            hint = "leave it out: the tables say what is served"
            self._problem(named, "contradicts the tables `[app.…]`", hint, code="config.conflict")
        apps = tuple(self._app(name, raws) for name, raws in tables.items())
        self._check_mounts(apps, tables)
        return apps

    def _check_alone(self) -> None:
        """Refuse a stand without apps that has nothing else to serve either."""
        raw = self._highest("app")
        if raw and not any(map(self._rows, _ROUTED)):
            hint = "write a `[[static]]`, or `trivet files FOLDER`"
            self._problem(raw, "is `none`, and nothing else is served", hint)

    def _app(self, name: str, raws: Mapping[str, Raw]) -> ConfiguredApp:
        values, origins = dict(self.values), dict(self.origins)
        for each in self.known:
            if raw := raws.get(each.path):
                written = raw
                if each.path == "server.root_path" and raw.value == "/":
                    written = msgspec.structs.replace(raw, value="")
                values[each.path], origins[each.path] = self._value(each, written)
        files = self._env_files(values["env_file"]) if "env_file" in raws else {}
        own = values["env"] if "env" in raws else {}
        values["env"] = self.values["env"] | files | own
        for path in ("chdir", "app_dir"):
            self._check_folder(raws.get(path), values[path])
        settings = _build(Settings, "", values)
        named_here = "app" in raws and not ("chdir" in raws or self._highest("chdir"))
        folder = settings.app_dir or (raws["app"].base if named_here else settings.chdir)
        return ConfiguredApp(name=name, settings=settings, origins=origins, folder=folder)

    def _check_mounts(
        self, apps: Sequence[ConfiguredApp], tables: Mapping[str, Mapping[str, Raw]]
    ) -> None:
        """Refuse two apps at one path: nobody could say which of them a request is for."""
        mounted: dict[str, str] = {}
        for app in apps:
            path = app.settings.server.root_path
            first = mounted.setdefault(path, app.name)
            if first == app.name:
                continue
            raw = tables[app.name].get("server.root_path")
            place = raw.origin.place if raw else None
            text = f"apps `{first}` and `{app.name}` have the same path, `{path or '/'}`"
            hint = f'give one of them another: [app.{app.name}] path = "/{app.name}"'
            code = "config.conflict"
            self.problems.append(ConfigError(text, code=code, hint=hint, place=place))

    def _tasks(self, apps: Sequence[ConfiguredApp]) -> tuple[ConfiguredTask, ...]:
        """Say of each task which app it belongs to, and what variables it has."""
        written = self._highest("task")
        tables: Mapping[str, Mapping[str, Raw]] = written.value if written else {}  # type: ignore[assignment]
        return tuple(
            self._task(name, tables[name], task, apps) for name, task in self.values["task"].items()
        )

    def _task(
        self, name: str, raws: Mapping[str, Raw], task: Task, apps: Sequence[ConfiguredApp]
    ) -> ConfiguredTask:
        command, run = raws.get("task.command"), raws.get("task.run")
        restart, every = raws.get("task.restart"), raws.get("task.every")
        if command and run:
            self._fight(run, command, "a task runs one of them")
        elif not (command or run):
            hint = f'write `command = "…"` or `run = "module:function"` below [task.{name}]'
            self._problem(raws[""], "has nothing to run", hint, code="config.missing_option")
        if restart and every and task.every:
            self._fight(restart, every, "what runs every so often is started again anyway")
        self._check_folder(raws.get("task.chdir"), task.chdir)
        names = [app.name for app in apps]
        app = 0 if len(apps) == 1 else None
        if task.app is not None:
            app = names.index(task.app) if task.app in names else None
        if task.app is not None and app is None:
            meant = nearest(task.app, names)
            hint = f"did you mean `{meant}`?" if meant else "an app is a table [app.NAME]"
            self._problem(raws["task.app"], f"names no app: `{task.app}`", hint)
        elif run and not names:
            self._problem(run, "needs an app, and there is none", "`command` needs none")
        elif run and app is None:
            hint = f'write `app = "{names[0]}"` below [task.{name}]'
            self._problem(run, "needs an app, and there are several", hint)
        base = self.values["env"] if app is None else apps[app].settings.env
        env = base | self._env_files(task.env_file) | task.env
        return ConfiguredTask(name=name, task=msgspec.structs.replace(task, env=env), app=app)

    def _check_conflicts(self) -> None:
        for source in self.sources:
            access, access_file = source.get("log.access"), source.get("log.access_file")
            if access and access_file and self.values["log.access"] is False:
                self._fight(access, access_file)
        live, ready = self._highest("health.live"), self._highest("health.ready")
        if live and ready and self.values[live.path] == self.values[ready.path] is not None:
            self._fight(ready, live, "a live stand is not always ready: give them two paths")
        workers, most = self._highest("server.workers"), self._highest("server.max_workers")
        highest = self.values["server.max_workers"]
        if most and highest is not None and highest < self.values["server.workers"]:
            hint = "`workers` is how many there are at least"
            self._fight(most, workers or Raw("", "workers", None, DEFAULT, self.cwd), hint)
        head, target = self._highest("limits.request_head"), self._highest("limits.request_target")
        if head and target and self.values[target.path] > self.values[head.path]:
            self._fight(target, head, "a request's target is a part of its head")

    def _check_access(self) -> None:
        written = {path: raw for path in _ACCESS if (raw := self._highest(path))}
        if written:
            from trivet.config import access_check  # noqa: PLC0415 - as below

            settings = _build(Settings, "", self.values)
            shown = partial(file.shown, cwd=self.cwd)
            self.problems += access_check.check(settings, written, self._problem, shown)

    def _check_routes(self) -> None:
        rows = {name: self._rows(name) for name in _ROUTED}
        if any(rows.values()) and not self._lacks_values():
            from trivet.config import route_check  # noqa: PLC0415 - 3 ms that few starts need

            settings = _build(Settings, "", self.values)
            route_check.check(settings, rows, self._problem)

    def _lacks_values(self) -> bool:
        """Say whether a row lacks what it needs, which is told already."""
        rows = [row for name in _ROUTED for row in self.values[name]]
        return any(msgspec.NODEFAULT in msgspec.structs.astuple(row) for row in rows)

    def _rows(self, name: str) -> list[Mapping[str, Raw]]:
        raw = self._highest(name)
        return raw.value if raw and isinstance(raw.value, list) else []

    def _check_reach(self, apps: Sequence[ConfiguredApp]) -> None:
        """Refuse a route that no request ever reaches: it was meant to do something."""
        if not any(map(self._rows, _ROUTED)):
            return
        from trivet.wire import routes  # noqa: PLC0415 - as above

        settings = _build(Settings, "", self.values)
        config = to_edge_config(settings, (), apps=[(app.name, app.settings) for app in apps])
        if found := routes.unreachable(config):
            route, cover = found
            table, number, *_ = route.split()
            raw = self._rows(table)[int(number) - 1][""]
            text = f"{route} is never reached: {cover} answers all its requests"
            place = raw.origin.place
            hint = "put it before that one, or take it out"
            self.problems.append(ConfigError(text, code="config.conflict", hint=hint, place=place))

    def _fight(self, one: Raw, other: Raw, hint: str | None = None) -> None:
        self._problem(one, f"contradicts `{other.name}`", hint, code="config.conflict")

    def _warn(self) -> None:
        if "*" in self.values["proxy.trusted"]:
            raw = self._highest("proxy.trusted")
            self.notices.append(
                Notice(
                    "warning",
                    f"`{raw.name if raw else 'proxy.trusted'}` believes every client about its "
                    "address and scheme",
                    "config.trusts_everyone",
                    "fine if only a proxy can reach Trivet; else name the proxy's address",
                    raw.origin.place if raw else None,
                )
            )

    def _app_folder(self, settings: Settings) -> Path:
        """Tell where the app is: a file that names one, but no `chdir`, means its own folder."""
        if settings.app_dir:
            return settings.app_dir
        app = self._highest("app")
        if app and app.origin.place and not self._highest("chdir"):
            return app.base
        return settings.chdir

    def _highest(self, path: str) -> Raw | None:
        return next((source[path] for source in self.sources if path in source), None)

    def _problem(
        self, raw: Raw, message: str, hint: str | None, *, code: str = "config.bad_value"
    ) -> None:
        text = f"`{raw.name}` {message}"
        self.problems.append(ConfigError(text, code=code, hint=hint, place=raw.origin.place))


_ACCESS: Final = ("list", "access.allow", "access.deny", "route")
_ROUTED: Final = ("site", "route", "static")
_LISTENERS: Final = frozenset({"server.bind", "server.host", "server.port"})


def _position(problem: ConfigError) -> tuple[bool, str, int]:
    """Order problems: flags and variables first, then as they stand in the file."""
    place = problem.place
    return (place is not None, place.file if place else "", place.line if place else 0)


def _workers(machine: Platform) -> tuple[int, str]:
    return machine.cpus, machine.cpus_because


def _edge_threads(machine: Platform) -> tuple[int, str]:
    return max(1, min(4, machine.cpus // 4)), machine.cpus_because


def _connections(machine: Platform) -> tuple[int, str]:
    wanted = Settings().limits.connections
    reason = f"{machine.descriptors} file descriptors allowed"
    return connection_limit(machine.descriptors, wanted), reason


def _log_format(machine: Platform) -> tuple[str, str]:
    if machine.is_terminal:
        return "text", "standard output is a terminal"
    return "json", "standard output is no terminal"


def _spool_folder(machine: Platform) -> tuple[Path | None, str]:
    if machine.spool_folder:
        return machine.spool_folder, "the first that can be written to"
    return None, "no folder can be written to"


_AUTOMATIC: Final[Mapping[str, Callable[[Platform], tuple[Any, str]]]] = {
    "server.workers": _workers,
    "server.edge_threads": _edge_threads,
    "limits.connections": _connections,
    "log.format": _log_format,
    "buffers.folder": _spool_folder,
}
"""How the machine decides what is left to it: the value, and the reason for people."""


def _build(section: type[msgspec.Struct], prefix: str, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
    """Make a section, and those in it, from values by option path."""
    return section(
        **{
            name: values[prefix + name]
            if record is not None
            else _build(type_, prefix + name + ".", values)
            for name, type_, _, record in fields_of(section)
        }
    )
