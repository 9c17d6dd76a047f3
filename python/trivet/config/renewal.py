"""What another load changes for a stand that runs: what a reload takes, and what has to wait.

Strategy: each option says what a change of it needs (`Option.applies`). Those that need a new
start keep the value that they have, so that nothing is ever half in force.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from trivet.config.explain import changes
from trivet.config.loaded import ConfiguredApp, ConfiguredTask, Loaded, Origin
from trivet.config.option import app_keys, definitions, fields_of
from trivet.config.settings import Settings
from trivet.config.task import Task


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration for the processes that a reload starts.

    Attributes:
        loaded: What holds from now on; the same apps and tasks as before, in the same order.
        changed: Names of what the reload brings into force, as in the file.
        pending: Names of what was changed, too, but needs a new start.
    """

    loaded: Loaded
    changed: tuple[str, ...]
    pending: tuple[str, ...]


def renewed(before: Loaded, after: Loaded) -> Renewal:
    """Take from `after` what a reload can bring into force; the rest stays as in `before`."""
    found = list(_changes(before, after))
    return Renewal(
        loaded=Loaded(
            settings=_mixed(Settings, before.settings, after.settings),
            origins=_origins(before.origins, after.origins),
            notices=after.notices,
            file=after.file,
            apps=tuple(_apps(before, after)),
            tasks=tuple(_tasks(before, after)),
            rows=after.rows,
        ),
        changed=tuple(name for name, applies in found if applies == "reload"),
        pending=tuple(name for name, applies in found if applies == "restart"),
    )


def _mixed(section: type[msgspec.Struct], before: Any, after: Any) -> Any:  # noqa: ANN401 - any section
    """Make a section of the new values that a reload can take, and of the old ones."""
    values = {}
    for name, type_, _, option in fields_of(section):
        old, new = getattr(before, name), getattr(after, name)
        if option is None:
            values[name] = _mixed(type_, old, new)
        else:
            values[name] = new if option.applies == "reload" else old
    return section(**values)


def _origins(before: Mapping[str, Origin], after: Mapping[str, Origin]) -> dict[str, Origin]:
    reloaded = {each.path for each in definitions(Settings) if each.option.applies == "reload"}
    return {path: (after if path in reloaded else before)[path] for path in before}


def _apps(before: Loaded, after: Loaded) -> Iterator[ConfiguredApp]:
    by_name = {app.name: app for app in after.apps}
    for app in before.apps:
        new = by_name.get(app.name)
        if new is None:
            yield app
            continue
        yield ConfiguredApp(
            name=app.name,
            settings=_mixed(Settings, app.settings, new.settings),
            origins=_origins(app.origins, new.origins),
            folder=new.folder,
        )


def _tasks(before: Loaded, after: Loaded) -> Iterator[ConfiguredTask]:
    by_name = {each.name: each for each in after.tasks}
    for each in before.tasks:
        new = by_name.get(each.name)
        task = _mixed(Task, each.task, new.task) if new else each.task
        yield msgspec.structs.replace(each, task=task)


def _changes(before: Loaded, after: Loaded) -> Iterator[tuple[str, str]]:
    """Name what differs, and what each of it needs."""
    differing = changes(before.settings, after.settings)
    paths = [each.path for each in differing]
    for each in differing:
        origins = before.origins[each.path].text, after.origins[each.path].text
        # What the machine decides is no change that anybody has made.
        is_decided = origins == ("default", "default") and each.path != "env"
        is_told = each.path == "task" or (each.path == "server.bind" and _has_short_form(paths))
        if each.path == "app" and bool(before.apps) != bool(after.apps):
            yield each.path, "restart"  # whether there are apps at all
        elif not (is_decided or is_told):
            yield each.path, each.applies
    yield from _tables("app", [app.name for app in before.apps], [app.name for app in after.apps])
    yield from _of_apps(before, after, paths)
    names = [task.name for task in before.tasks], [task.name for task in after.tasks]
    yield from _tables("task", *names)
    yield from _of_tasks(before, after)


def _has_short_form(paths: Sequence[str]) -> bool:
    return "server.host" in paths or "server.port" in paths


def _tables(kind: str, before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys([*before, *after]):
        if name and (name in before) != (name in after):
            yield f"[{kind}.{name}]", "restart"


def _of_apps(before: Loaded, after: Loaded, told: Sequence[str]) -> Iterator[tuple[str, str]]:
    by_name = {app.name: app for app in after.apps}
    for app in before.apps:
        new = by_name.get(app.name)
        if new is None or not app.name:
            continue
        paths = {each.path: each.applies for each in changes(app.settings, new.settings)}
        for key, definition in app_keys(Settings).items():
            if definition.path in paths and definition.path not in told:
                yield f"app.{app.name}.{key}", paths[definition.path]


def _of_tasks(before: Loaded, after: Loaded) -> Iterator[tuple[str, str]]:
    written = after.settings.task
    by_name = {each.name: each for each in after.tasks}
    for each in before.tasks:
        new = by_name.get(each.name)
        if new is None:
            continue
        for name, _, _, option in fields_of(Task):
            if getattr(each.task, name) == getattr(new.task, name) or option is None:
                continue
            # Variables of the app's are told there.
            if name != "env" or written[each.name].env or written[each.name].env_file:
                yield f"task.{each.name}.{name}", option.applies
