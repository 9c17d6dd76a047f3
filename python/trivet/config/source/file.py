"""The configuration file: finding it, reading it, and telling where each value stands."""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from trivet.config.loaded import Origin, Raw
from trivet.config.option import Definition, app_keys, definitions, has_names, rows_type
from trivet.config.settings import Settings
from trivet.config.source.places import places
from trivet.config.source.toml import TOMLDecodeError, loads
from trivet.config.suggestion import nearest
from trivet.config.value.path import is_file
from trivet.errors import ConfigError, Place

NAME: Final = "trivet.toml"
PROJECT: Final = "pyproject.toml"
_TABLE: Final = ("tool", "trivet")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was read.

    Attributes:
        path: Absolute.
        values: By option path; the value of an array of tables is a list of such mappings, that
            of tables with names a mapping of them, each with itself under `""`.
        apps: By name of the `[app.NAME]` table, such a mapping each.
        problems: Everything in it that is no option, or has no place there.
    """

    path: Path
    values: Mapping[str, Raw]
    apps: Mapping[str, Mapping[str, Raw]]
    problems: tuple[ConfigError, ...]


def find(start: Path) -> Path | None:
    """Find the file for a folder: the nearest `trivet.toml` above it, else `[tool.trivet]`.

    A file further up in a folder that everybody may write to (`/tmp`) is not believed.
    """
    folders = [start, *(folder for folder in start.parents if not _is_public(folder))]
    for folder in folders:
        if is_file(folder / NAME):
            return folder / NAME
    for folder in folders:
        if is_file(folder / PROJECT) and _has_table(folder / PROJECT):
            return folder / PROJECT
    return None


def read(path: Path, cwd: Path) -> ConfigFile:
    """Read a file and sort its values by option.

    Args:
        path: Absolute.
        cwd: Folder that messages name the file from.

    Raises:
        ConfigError: If it cannot be read or is not TOML.
    """
    name = shown(path, cwd)
    if path.suffix == ".py":
        raise ConfigError(
            f"`{name}` is Python, but the configuration file is TOML",
            code="config.file_missing",
            hint=f"write the options to {NAME}: most have the names of gunicorn's settings",
        )
    text = _text(path, name)
    try:
        document: dict[str, Any] = loads(text)
    except TOMLDecodeError as problem:
        raise _syntax_error(str(problem), text, name) from None
    walk = _Walk(name, path.parent, places(text, name), is_project=path.name == PROJECT)
    if not walk.is_project:
        walk.table(document, (), "")
    else:
        tool = document.get("tool", {})
        table = tool.get("trivet", {}) if isinstance(tool, dict) else {}
        walk.table(table if isinstance(table, dict) else {}, _TABLE, "")
    return ConfigFile(path=path, values=walk.values, apps=walk.apps, problems=tuple(walk.problems))


class _Walk:
    """One pass over a decoded document, collecting values and problems."""

    def __init__(
        self,
        shown: str,
        folder: Path,
        found: Mapping[tuple[str | int, ...], Place],
        *,
        is_project: bool,
    ) -> None:
        self.shown = shown
        self.folder = folder
        self.places = found
        self.is_project = is_project
        self.known = {each.path: each for each in definitions(Settings)}
        self.sections = {each.section for each in self.known.values()}
        self.values: dict[str, Raw] = {}
        self.apps: dict[str, dict[str, Raw]] = {}
        self.problems: list[ConfigError] = []

    def table(self, table: Mapping[str, object], keys: tuple[str | int, ...], prefix: str) -> None:
        for key, value in table.items():
            path = prefix + key
            here = (*keys, key)
            definition = self.known.get(path)
            if path == "app" and isinstance(value, dict):
                self._apps(value, here)
            elif definition is not None:
                self.values[path] = self._raw(definition, value, here)
            elif path not in self.sections:
                self._unknown(path, here)
            elif isinstance(value, dict):
                self.table(value, here, path + ".")
            else:
                self._problem(
                    f"`{path}` is a table of options, not a value", here, f"write [{path}]"
                )

    def _apps(self, tables: Mapping[str, object], keys: tuple[str | int, ...]) -> None:
        known = app_keys(Settings)
        for name, table in tables.items():
            here = (*keys, name)
            if not isinstance(table, dict):
                hint = f'write `app = "…"` for the only app, or [app.{name}] with a target'
                self._problem(f"`app.{name}` is no table", here, hint)
                continue
            if not _NAME.fullmatch(name):
                hint = "letters, digits, - and _ make a name"
                self._problem(f"`{name}` is no name for an app", here, hint)
            self.apps[name] = {}
            for key, value in table.items():
                path, place = f"app.{name}.{key}", (*here, key)
                if definition := known.get(key):
                    origin = self._origin(place)
                    raw = Raw(definition.path, path, value, origin, self.folder)
                    self.apps[name][definition.path] = raw
                else:
                    meant = nearest(key, known)
                    hint = f"did you mean `{meant}`?" if meant else f"an app has {_listed(known)}"
                    message = f"unknown option `{path}`"
                    self._problem(message, place, hint, code="config.unknown_option")

    def _raw(self, definition: Definition, value: object, keys: tuple[str | int, ...]) -> Raw:
        if rows_type(definition.type) is not None:
            rows = self._named if has_names(definition.type) else self._rows
            value = rows(definition, value, keys)
        return Raw(definition.path, definition.path, value, self._origin(keys), self.folder)

    def _rows(
        self, definition: Definition, value: object, keys: tuple[str | int, ...]
    ) -> list[Mapping[str, Raw]]:
        found: list[Mapping[str, Raw]] = []
        if not (isinstance(value, list) and all(isinstance(row, dict) for row in value)):
            path = definition.path
            self._problem(f"`{path}` is an array of tables", keys, f"write [[{path}]]")
            return found
        for index, row in enumerate(value):
            inner = _Walk(self.shown, self.folder, self.places, is_project=self.is_project)
            inner.table(row, (*keys, index), definition.path + ".")
            self.problems += inner.problems
            for each in self._required(definition.path):
                if each.path not in inner.values:
                    self._problem(
                        f"a `[[{definition.path}]]` lacks `{each.name}`",
                        (*keys, index),
                        f"it needs {each.option.form or 'one'}",
                        code="config.missing_option",
                    )
            here = (*keys, index)
            itself = Raw(definition.path, definition.path, row, self._origin(here), self.folder)
            found.append({"": itself, **inner.values})
        return found

    def _named(
        self, definition: Definition, value: object, keys: tuple[str | int, ...]
    ) -> dict[str, Mapping[str, Raw]]:
        found: dict[str, Mapping[str, Raw]] = {}
        tables = value if isinstance(value, dict) else {"": value}
        for name, table in tables.items():
            here, path = (*keys, name), f"{definition.path}.{name}".rstrip(".")
            if not isinstance(table, dict):
                hint = f"write [{definition.path}.NAME]"
                self._problem(f"`{path}` is no table", here if name else keys, hint)
                continue
            if not _NAME.fullmatch(name):
                hint = "letters, digits, - and _ make a name"
                self._problem(f"`{name}` is no name for a {definition.path}", here, hint)
            inner = _Walk(self.shown, self.folder, self.places, is_project=self.is_project)
            inner.table(table, here, definition.path + ".")
            self.problems += inner.problems
            raws = {
                each.path: msgspec.structs.replace(
                    each, name=f"{path}.{each.path.rpartition('.')[2]}"
                )
                for each in inner.values.values()
            }
            itself = Raw(definition.path, path, table, self._origin(here), self.folder)
            found[name] = {"": itself, **raws}
        return found

    def _required(self, section: str) -> list[Definition]:
        return [
            each
            for each in self.known.values()
            if each.section == section and each.default is msgspec.NODEFAULT
        ]

    def _unknown(self, path: str, keys: tuple[str | int, ...]) -> None:
        meant = nearest(path, [*self.known, *filter(None, self.sections)])
        hint = f"did you mean `{meant}`?" if meant else "`trivet config` lists every option"
        if meant and meant.rpartition(".")[0] != path.rpartition(".")[0] and "." in meant:
            hint += f" (in the table [{meant.rpartition('.')[0]}])"
        self._problem(f"unknown option `{path}`", keys, hint, code="config.unknown_option")

    def _problem(
        self,
        message: str,
        keys: tuple[str | int, ...],
        hint: str,
        *,
        code: str = "config.bad_value",
    ) -> None:
        place = self.places.get(keys)
        self.problems.append(ConfigError(message, code=code, hint=hint, place=place))

    def _origin(self, keys: tuple[str | int, ...]) -> Origin:
        place = self.places.get(keys, Place(self.shown))
        where = f"{self.shown}:{place.line}" if place.line else self.shown
        return Origin(f"[tool.trivet] in {where}" if self.is_project else where, place=place)


def _text(path: Path, shown: str) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except OSError as problem:
        reason = str(problem.strerror)
    raise ConfigError(f"cannot read `{shown}`: {reason}", code="config.file_missing")


def _syntax_error(message: str, text: str, shown: str) -> ConfigError:
    found = re.fullmatch(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", message)
    lines = text.replace("\r\n", "\n").split("\n")
    reason = found[1] if found else message
    line = int(found[2]) if found and found[2] else len(lines)
    column = int(found[3]) if found and found[3] else 0
    return ConfigError(
        f"not valid TOML: {reason[:1].lower()}{reason[1:]}",
        code="config.bad_toml",
        place=Place(shown, line, column, 1, lines[line - 1]),
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _has_table(path: Path) -> bool:
    try:
        document = loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, TOMLDecodeError):
        return False  # a broken pyproject.toml is for other tools to report
    tool = document.get("tool")
    return isinstance(tool, dict) and isinstance(tool.get("trivet"), dict)


def _is_public(folder: Path) -> bool:
    try:
        return bool(folder.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return True


def shown(path: Path, cwd: Path) -> str:
    """Write a path as short as it can be from `cwd`."""
    relative = os.path.relpath(path, cwd)
    return min(relative, str(path), key=len)
