"""Each option with its value and where it came from, for people."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from trivet.config.loaded import ConfiguredApp, Loaded
from trivet.config.option import Definition, app_keys, definitions, fields_of, rows_type
from trivet.config.settings import Settings
from trivet.config.suggestion import nearest
from trivet.errors import ConfigError


class Line(msgspec.Struct, frozen=True):
    """An option as `trivet config` shows it: the value as it would stand in the file."""

    path: str
    value: str
    origin: str


class Change(msgspec.Struct, frozen=True):
    """An option that another load gave another value."""

    path: str
    before: str
    after: str
    applies: str
    """`reload` or `restart`: what brings the new value into force."""


def explained(loaded: Loaded) -> tuple[Line, ...]:
    """Show every option in the order of the reference, then what the apps have of their own."""
    stand = (
        Line(each.path, written(_value(loaded.settings, each.path)), str(loaded.origins[each.path]))
        for each in _shown()
    )
    apps = (
        Line(path, written(_value(app.settings, each.path)), str(app.origins[each.path]))
        for path, app, each in _of_apps(loaded)
        if app.origins[each.path] != loaded.origins[each.path]
    )
    return (*stand, *apps)


def value_of(loaded: Loaded, path: str) -> str:
    """Show one option, of the stand or, as `app.NAME.KEY`, of one app.

    Raises:
        ConfigError: If there is none of this name.
    """
    apps = {name: (app, each) for name, app, each in _of_apps(loaded)}
    if path in apps:
        app, definition = apps[path]
        return written(_value(app.settings, definition.path))
    names = [*(each.path for each in _shown()), *apps]
    if path not in names:
        meant = nearest(path, names)
        hint = f"did you mean `{meant}`?" if meant else "`trivet config` lists every option"
        raise ConfigError(f"unknown option `{path}`", code="config.unknown_option", hint=hint)
    return written(_value(loaded.settings, path))


def sources(loaded: Loaded) -> tuple[str, ...]:
    """List what was read, the highest first, each with the options that it decided."""
    by_text: dict[str, list[str]] = {}
    for path, origin in loaded.origins.items():
        if origin.text != "default":
            by_text.setdefault(origin.text, []).append(path)
    lines = [f"{text}: {', '.join(paths)}" for text, paths in by_text.items()]
    read = f"file: {loaded.file}" if loaded.file else "file: none found"
    return (read, *lines)


def changes(before: Settings, after: Settings) -> tuple[Change, ...]:
    """Compare two loads, as a reload does."""
    found = []
    for each in _shown():
        old, new = _value(before, each.path), _value(after, each.path)
        if old != new:
            found.append(Change(each.path, written(old), written(new), each.option.applies))
    return tuple(found)


def written(value: object) -> str:
    """Write a value as it would stand in the file; `None` as `none`."""
    if value is None or isinstance(value, (bool, int)):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        return _inline(value.items())
    if isinstance(value, msgspec.Struct) and type(value).__str__ is msgspec.Struct.__str__:
        # A row shows what it says, not what it leaves out.
        return _inline(
            (name, getattr(value, name))
            for name, _, default, _ in fields_of(type(value))
            if getattr(value, name) != default
        )
    return msgspec.json.encode(str(value)).decode()


def _inline(pairs: Any) -> str:  # noqa: ANN401 - pairs of a name and any value
    shown = [f"{name} = {written(value)}" for name, value in pairs if value is not None]
    return f"{{ {', '.join(shown)} }}" if shown else "{}"


def _of_apps(loaded: Loaded) -> Iterator[tuple[str, ConfiguredApp, Definition]]:
    """List what each `[app.NAME]` can say, under the name that it has in the file."""
    for app in loaded.apps:
        if app.name:
            for key, definition in app_keys(Settings).items():
                yield f"app.{app.name}.{key}", app, definition


def _shown() -> Iterator[Definition]:
    rows = {each.path for each in definitions(Settings) if rows_type(each.type)}
    return (each for each in definitions(Settings) if each.section not in rows)


def _value(settings: Settings, path: str) -> object:
    value: object = settings
    for name in path.split("."):
        value = getattr(value, name)
    return value if not isinstance(value, Path) else str(value)
