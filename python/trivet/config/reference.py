"""What is made from the definitions of the options: reference pages and the JSON Schema."""

import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from trivet.config.explain import written
from trivet.config.option import (
    Definition,
    app_keys,
    definitions,
    has_names,
    rows_type,
    without_none,
)
from trivet.config.settings import Settings
from trivet.config.source.environment import has_variable
from trivet.config.value.bind import Bind
from trivet.config.value.command import Command
from trivet.config.value.duration import Duration
from trivet.config.value.kind import noun
from trivet.config.value.limit_key import LimitKey
from trivet.config.value.peer import Peer
from trivet.config.value.rate import Rate
from trivet.config.value.size import Size
from trivet.config.value.umask import Umask
from trivet.errors import CODES

_HEAD: Final = (
    "<!-- Made by `python -m trivet.config.generate`; changes belong in `python/trivet/`. -->"
)
_SCHEMAS: Final[Mapping[object, Mapping[str, Any]]] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    str: {"type": "string"},
    Path: {"type": "string"},
    Duration: {"type": ["string", "number"], "pattern": r"^[0-9.]+ ?(ms|s|m|h|d)?$"},
    Command: {"type": ["string", "array"], "items": {"type": "string"}},
    Umask: {"type": "string", "pattern": r"^(0o)?[0-7]{1,4}$"},
    Size: {"type": ["string", "number"], "pattern": r"^[0-9.]+ ?[kmgtKMGT]?(i?[bB])?$"},
    Bind: {"type": ["string", "integer"]},
    Peer: {"type": "string"},
    Rate: {"type": "string"},
    LimitKey: {"type": "string"},
}
_ACTORS: Final = {
    "config": "Configuration (exit code 2, or a note)",
    "usage": "Command line (exit code 2)",
    "app": "The app (exit code 3)",
}


def default_text(definition: Definition) -> str:
    """Write an option's default for people; empty if there is nothing to say."""
    option = definition.option
    if option.auto:
        return option.auto
    if definition.default is msgspec.NODEFAULT or definition.default in (None, (), {}, ""):
        return ""
    if isinstance(definition.default, bool) and not definition.default:
        return ""
    return written(definition.default).replace('"', "")


def options_page() -> str:
    """Make `docs/reference/options.md`."""
    lines = [
        _HEAD,
        "",
        "# Options",
        "",
        "Each option stands in `trivet.toml`, or below `[tool.trivet]` in `pyproject.toml`.",
        "A flag beats the variable, the variable beats what a platform sets, that beats the file.",
        "`trivet config` shows each value and where it came from.",
    ]
    section = None
    for each in definitions(Settings):
        if each.section != section and not rows_type(each.type):
            section = each.section
            lines += ["", f"## {_heading(section) if section else 'At the top'}"]
        if not rows_type(each.type):
            lines += ["", *_option_lines(each)]
    lines += ["", *_app_lines()]
    return "\n".join(lines) + "\n"


def _heading(section: str) -> str:
    rows = next((one for one in definitions(Settings) if one.path == section), None)
    if rows is None:
        return f"`[{section}]`"
    return f"`[{section}.NAME]`" if has_names(rows.type) else f"`[[{section}]]`"


def errors_page() -> str:
    """Make `docs/reference/errors.md`."""
    lines = [_HEAD, "", "# Error codes", "", "Each message of Trivet has a code, which stays."]
    group = None
    for code, meaning in sorted(CODES.items(), key=lambda item: (_rank(item[0]), item[0])):
        prefix = code.partition(".")[0]
        if prefix != group:
            group = prefix
            lines += ["", f"## {_ACTORS.get(prefix, prefix.capitalize())}", ""]
            lines += ["| code | meaning |", "| --- | --- |"]
        lines.append(f"| `{code}` | {meaning} |")
    return "\n".join(lines) + "\n"


def schema() -> dict[str, Any]:
    """Make the JSON Schema of the configuration file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Trivet",
        "description": "trivet.toml, and [tool.trivet] in pyproject.toml",
        **_table("", definitions(Settings)),
    }


def _table(section: str, known: tuple[Definition, ...]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for each in known:
        if each.section == section:
            properties[each.name] = _property(each, known)
    rows = {each.path for each in known if rows_type(each.type)}
    for name in dict.fromkeys(each.section for each in known):
        if name and name.rpartition(".")[0] == section and name != section and name not in rows:
            properties[name.rpartition(".")[2]] = _table(name, known)
    required = [
        each.name for each in known if each.section == section and each.default is msgspec.NODEFAULT
    ]
    table = {"type": "object", "additionalProperties": False, "properties": properties}
    return table | ({"required": required} if required else {})


def _app_tables() -> dict[str, Any]:
    """Describe `[app.NAME]`: for each app what the stand says for all."""
    keys = {key: _property(each, ()) for key, each in app_keys(Settings).items()}
    table = {"type": "object", "additionalProperties": False, "properties": keys}
    return {"type": "object", "additionalProperties": table}


def _property(definition: Definition, known: tuple[Definition, ...]) -> dict[str, Any]:
    option = definition.option
    described = {"description": f"{option.doc} {option.why}"}
    if rows_type(definition.type):
        row = _table(definition.path, known)
        if has_names(definition.type):
            return described | {"type": "object", "additionalProperties": row}
        return described | {"type": "array", "items": row}
    bare, _ = without_none(definition.type)
    if definition.path == "app" and known:
        return described | {"anyOf": [{"type": "string"}, _app_tables()]}
    form = dict(_form(bare))
    if bare is int:
        form |= {
            key: value
            for key, value in (("minimum", option.minimum), ("maximum", option.maximum))
            if value is not None
        }
    if option.pattern:
        # The form of a list holds that of its items.
        (form["anyOf"][0] if "anyOf" in form else form)["pattern"] = f"^(?:{option.pattern})$"
    words = list(option.words)
    takes_text = "string" in form.get("type", ()) and not option.pattern
    if words and not takes_text and "enum" not in form:
        form = {"anyOf": [form, {"enum": words}]}
    return described | form


def _form(type_: object) -> Mapping[str, Any]:
    arguments = typing.get_args(type_)
    origin = typing.get_origin(type_)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is tuple:
        item = dict(_form(arguments[0]))
        return {"anyOf": [item, {"type": "array", "items": item}]}
    if origin is dict:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    return _SCHEMAS[type_]


def _app_lines() -> Iterator[str]:
    yield "## `[app.NAME]`"
    yield ""
    yield "Several apps in one stand, each a table of its own in place of `app = …` at the top."
    yield "A key sets for this app what the option beside it sets for all; `env` adds to theirs."
    yield "A path belongs to the app with the longest `path` above it."
    yield ""
    yield "| key | option |"
    yield "| --- | --- |"
    for key, each in app_keys(Settings).items():
        yield f"| `{key}` | `{each.path}` |"


def _option_lines(definition: Definition) -> Iterator[str]:
    option = definition.option
    yield f"### `{definition.path}`"
    yield ""
    yield option.doc
    yield option.why
    yield ""
    for name, value in _facts(definition):
        yield f"- {name}: {value}"


def _facts(definition: Definition) -> Iterator[tuple[str, str]]:
    option = definition.option
    words = [f"`{word}`" for word in option.words if word not in typing.get_args(definition.type)]
    unit = f" {option.unit}" if option.unit else ""
    yield "value", " or ".join([option.form or noun(definition.type) + unit, *words])
    default = default_text(definition)
    if definition.default is msgspec.NODEFAULT:
        yield "default", "none, it must be given"
    elif option.auto:
        yield "default", default
    else:
        yield "default", f"`{written(definition.default)}`"
    if option.minimum is not None:
        yield "at least", f"`{option.minimum}`"
    if option.maximum is not None:
        yield "at most", f"`{option.maximum}`"
    flags = [*definition.flags, *([option.off] if option.off else [])]
    if flags:
        yield "flag", ", ".join(f"`{flag}`" for flag in flags)
    if has_variable(definition):
        variables = [definition.variable, *([option.env] if option.env else [])]
        yield "variable", ", ".join(f"`{variable}`" for variable in variables)
    needs = "a reload" if option.applies == "reload" else "a new start of Trivet"
    yield "a change needs", needs
    if option.spec:
        yield "standard", option.spec


def _rank(code: str) -> int:
    order = list(_ACTORS)
    prefix = code.partition(".")[0]
    return order.index(prefix) if prefix in order else len(order)
