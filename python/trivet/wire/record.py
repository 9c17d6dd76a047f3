"""Records as JSON lines, for messages whose both ends are Python of one installation.

msgspec carries the contracts with the edge; what a worker reads and writes does without it. The
interpreter of an app need not have msgspec, whose compiled part fits one version of Python only,
and it would cost every worker several megabytes.
"""

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Union

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Callable[[type], type]:
        """Mark for type checkers only."""
        return lambda decorated: decorated


class RecordError(ValueError):
    """A line is no whole record of the wanted type; the message says where it is not."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Record:
    """A frozen, keyword-only record; a subclass only lists its fields.

    A field is `str`, `int`, `float`, `bool`, a `Literal`, another record, `X | None`, a tuple, or
    `dict[str, X]`. A subclass with a `tag` is a message: its line holds the tag under `type`.
    """

    TAG: ClassVar[str] = ""

    def __init_subclass__(cls, *, tag: str = "") -> None:
        super().__init_subclass__()
        cls.TAG = tag
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)


def encode(record: Record) -> bytes:
    """Return the record as a line, with its line end."""
    value = ({"type": record.TAG} if record.TAG else {}) | _plain(record)
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes, messages: Mapping[str, type[Record]]) -> Record:
    """Return the message that a line holds.

    Args:
        line: without or with its line end.
        messages: every message that may come here, by tag.

    Raises:
        RecordError: for anything but one whole message: no field has a default, and a field that
            is not known is refused.
    """
    try:
        value = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"no JSON: {error}") from error
    tag = value.pop("type", None) if isinstance(value, dict) else None
    message = messages.get(tag) if isinstance(tag, str) else None
    if message is None:
        raise RecordError(f"no message of these types: {', '.join(messages)}")
    return _record(message, value, message.TAG)


def by_tag(*messages: type[Record]) -> dict[str, type[Record]]:
    """Return the messages by tag, for `decode`."""
    return {message.TAG: message for message in messages}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a field holds
    if isinstance(value, Record):
        fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}  # type: ignore[arg-type]
        return {name: _plain(each) for name, each in fields.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value


@functools.cache
def _hints(record: type[Record]) -> dict[str, Any]:
    hints = typing.get_type_hints(record)
    return {each.name: hints[each.name] for each in dataclasses.fields(record)}  # type: ignore[arg-type]


def _record(record: type[Record], value: object, where: str) -> Record:
    if not isinstance(value, dict):
        raise RecordError(f"`{where}` must be an object")
    hints: dict[str, Any] = _hints(record)  # type: ignore[arg-type]
    if differing := hints.keys() ^ value.keys():
        what = "is missing" if differing & hints.keys() else "is not known"
        raise RecordError(f"`{where}.{min(differing)}` {what}")
    return record(
        **{name: _read(hint, value[name], f"{where}.{name}") for name, hint in hints.items()}
    )


def _read(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401, PLR0911 - one line per kind of type
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        (bare,) = (each for each in arguments if each is not types.NoneType)
        return None if value is None else _read(bare, value, where)
    if origin is Literal and isinstance(value, str) and value in arguments:
        return value
    if origin is tuple and isinstance(value, list):
        return _tuple(arguments, value, where)
    if origin is dict and isinstance(value, dict):
        return {name: _read(arguments[1], each, f"{where}.{name}") for name, each in value.items()}
    if isinstance(hint, type) and issubclass(hint, Record):
        return _record(hint, value, where)
    if type(value) is hint:
        return value
    if hint is float and type(value) is int:
        return float(value)
    raise RecordError(f"`{where}` has a value of another type")


def _tuple(items: tuple[Any, ...], value: list[Any], where: str) -> tuple[Any, ...]:
    if items[-1] is Ellipsis:
        items = items[:1] * len(value)
    if len(items) != len(value):
        raise RecordError(f"`{where}` must have {len(items)} elements")
    return tuple(_read(hint, each, where) for hint, each in zip(items, value, strict=True))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")
