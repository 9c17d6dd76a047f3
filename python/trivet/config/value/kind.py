"""How the written form of an option becomes its value, by the option's type.

Text is parsed here once; what comes out is checked and needs no check after that.
"""

import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from trivet.config.option import Option, without_none
from trivet.config.suggestion import nearest
from trivet.config.value.bind import Bind
from trivet.config.value.command import Command
from trivet.config.value.duration import Duration
from trivet.config.value.limit_key import LimitKey
from trivet.config.value.path import expanded
from trivet.config.value.peer import Peer
from trivet.config.value.rate import Rate
from trivet.config.value.size import Size
from trivet.config.value.umask import Umask

_TRUE: Final = {"1", "true", "yes", "on"}
_FALSE: Final = {"0", "false", "no", "off"}
_NOUNS: Final[Mapping[object, tuple[str, str]]] = {
    bool: ("`true` or `false`", "true"),
    int: ("a whole number", "4"),
    str: ("text", '"text"'),
    Path: ("a path", '"./folder"'),
    Duration: ("a duration", '"30s", "500ms" or 30'),
    Size: ("a size", '"64k", "16 MiB" or 65536'),
    Bind: (
        "an address to listen on",
        '"127.0.0.1:8000", ":8000", "unix:/run/app.sock" or "fd://3"',
    ),
    Command: ("a command", '"python jobs.py" or ["python", "jobs.py"]'),
    Umask: ("a umask in octal", '"027"'),
    Peer: ("an address or network", '"10.0.0.0/8", "unix" or "*"'),
    Rate: ("a rate", '"20/s" or "100/m burst 50"'),
    LimitKey: (
        "a key",
        '"address", "address/24", "field:X-Api-Key", "cookie:session" or "route"',
    ),
}


class BadValueError(ValueError):
    """A written form that its option does not take; the message completes "`option` …"."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def read_value(type_: object, option: Option, raw: object, base: Path) -> Any:  # noqa: ANN401 - any option
    """Turn what was written into the option's value.

    Args:
        type_: The option's type, as annotated.
        option: Its limits and special words.
        raw: Text from a flag or variable, or what the TOML file holds.
        base: Folder that relative paths start from.

    Raises:
        BadValueError: If the option does not take it.
    """
    bare, takes_none = without_none(type_)
    if takes_none and (raw is None or raw == option.none):
        return None
    if option.zero and raw == option.zero:
        raw = 0
    if option.multiline and isinstance(raw, str) and "\0" not in raw:
        return raw
    try:
        value = _read(bare, raw, base)
    except BadValueError:
        raise
    except ValueError as problem:
        raise _explained(bare, option, raw, str(problem)) from None
    _check_range(bare, option, value)
    return value


def noun(type_: object) -> str:
    """Name the type for people: "a duration"."""
    bare, _ = without_none(type_)
    arguments = typing.get_args(bare)
    if typing.get_origin(bare) is tuple:
        return f"a list of {noun(arguments[0]).removeprefix('an ').removeprefix('a ')} values"
    if typing.get_origin(bare) is Literal:
        return "one of " + ", ".join(f"`{word}`" for word in arguments)
    if typing.get_origin(bare) is dict:
        return "a table of names and texts"
    return _NOUNS[bare][0]


def _read(type_: Any, raw: object, base: Path) -> Any:  # noqa: ANN401 - as above
    origin = typing.get_origin(type_)
    if origin is tuple:
        (item, _) = typing.get_args(type_)
        return tuple(_read(item, each, base) for each in _items(raw))
    if origin is dict:
        return _read_table(raw)
    if origin is Literal:
        return _read_choice(typing.get_args(type_), raw)
    return _SCALARS[type_](raw, base)


def _items(raw: object) -> list[object]:
    if isinstance(raw, str):
        return [part for part in (part.strip() for part in raw.split(",")) if part]
    if isinstance(raw, tuple):
        return [item for part in raw for item in _items(part)]
    return list(raw) if isinstance(raw, list) else [raw]


def _read_choice(words: tuple[str, ...], raw: object) -> str:
    if isinstance(raw, str) and raw in words:
        return raw
    meant = nearest(str(raw), words)
    choices = ", ".join(f"`{word}`" for word in words)
    hint = f"did you mean `{meant}`?" if meant else None
    raise BadValueError(f"must be one of {choices}, not {_shown(raw)}", hint)


def _read_table(raw: object) -> dict[str, str]:
    if isinstance(raw, tuple):
        table = {}
        for pair in raw:
            name, equals, value = str(pair).partition("=")
            if not (name and equals):
                raise BadValueError(f"takes `NAME=value`, not {_shown(pair)}")
            table[name] = value
        return table
    if not isinstance(raw, dict):
        raise BadValueError(f"must be a table of names and texts, not {_shown(raw)}")
    for name, value in raw.items():
        if not isinstance(value, str):
            raise BadValueError(
                f"must be text for `{name}`, not {_shown(value)}", "put it in quotes"
            )
    return dict(raw)


def _read_bool(raw: object, _base: Path) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in _TRUE | _FALSE:
        return raw.strip().lower() in _TRUE
    raise ValueError("must be `true` or `false`")


def _read_int(raw: object, _base: Path) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and re.fullmatch(r"[0-9][0-9_]{0,18}", raw.strip(), re.ASCII):
        return int(raw)
    raise ValueError("must be a whole number")


def _read_text(raw: object, _base: Path) -> str:
    if isinstance(raw, str) and raw.isprintable():
        return raw
    raise ValueError("must be text on one line")


def _read_path(raw: object, base: Path) -> Path:
    if not isinstance(raw, (str, Path)) or not str(raw) or "\0" in str(raw):
        raise ValueError("must be a path")
    # `..` is left to the kernel, which knows where a symbolic link leads.
    return base / expanded(raw)


def _read_duration(raw: object, _base: Path) -> Duration:
    if isinstance(raw, (str, int, float)):
        return Duration(raw)
    raise ValueError("must be a duration")


def _read_size(raw: object, _base: Path) -> Size:
    if isinstance(raw, (str, int, float)):
        return Size(raw)
    raise ValueError("must be a size")


def _read_command(raw: object, _base: Path) -> Command:
    if isinstance(raw, str) or (isinstance(raw, list) and all(isinstance(w, str) for w in raw)):
        return Command(raw)
    raise ValueError("must be a command")


def _read_umask(raw: object, _base: Path) -> Umask:
    if isinstance(raw, str):
        return Umask(raw)
    raise ValueError("must be a umask in octal")


def _read_bind(raw: object, _base: Path) -> Bind:
    if isinstance(raw, (str, int)) and not isinstance(raw, bool):
        return Bind.parse(str(raw))
    raise ValueError("must be an address to listen on")


def _read_rate(raw: object, _base: Path) -> Rate:
    if isinstance(raw, str) or (isinstance(raw, int) and raw == 0):
        return Rate(raw)
    raise ValueError("must be a rate")


def _read_limit_key(raw: object, _base: Path) -> LimitKey:
    if isinstance(raw, str):
        return LimitKey(raw)
    raise ValueError("must be a key")


def _read_peer(raw: object, _base: Path) -> Peer:
    if isinstance(raw, str):
        return Peer(raw)
    raise ValueError("must be an address or network")


_SCALARS: Final[Mapping[object, Any]] = {
    bool: _read_bool,
    int: _read_int,
    str: _read_text,
    Path: _read_path,
    Duration: _read_duration,
    Size: _read_size,
    Command: _read_command,
    Umask: _read_umask,
    Bind: _read_bind,
    Peer: _read_peer,
    Rate: _read_rate,
    LimitKey: _read_limit_key,
}


def _check_range(type_: Any, option: Option, value: Any) -> None:  # noqa: ANN401 - as above
    texts = [each for each in value if isinstance(each, str)] if isinstance(value, tuple) else []
    for text in [value] if isinstance(value, str) else texts:
        if option.pattern and not re.fullmatch(option.pattern, text):
            raise BadValueError(f"must be {option.form}, not {_shown(text)}")
    if option.form and _is_outside(type_, option, value):
        raise BadValueError(f"must be {option.form}, not {value}")
    if option.minimum is not None and value < type_(option.minimum):
        raise BadValueError(f"must be at least {type_(option.minimum)}, not {value}")
    if option.maximum is not None and value > type_(option.maximum):
        raise BadValueError(f"must be at most {type_(option.maximum)}, not {value}")


def _is_outside(type_: Any, option: Option, value: Any) -> bool:  # noqa: ANN401 - as above
    low, high = option.minimum, option.maximum
    return (low is not None and value < type_(low)) or (high is not None and value > type_(high))


def _explained(type_: object, option: Option, raw: object, message: str) -> BadValueError:
    words = [f"`{word}`" for word in option.words]
    if not message.startswith("must be"):
        return BadValueError(message)
    if option.form:
        return BadValueError(f"must be {option.form}, not {_shown(raw)}")
    item = typing.get_args(type_)[0] if typing.get_origin(type_) is tuple else type_
    example = _NOUNS[item][1] if item in _NOUNS else None
    hint = " or ".join([f"write {example}", *words]) if example else None
    alternatives = "".join(f" or {word}" for word in words)
    return BadValueError(f"{message}{alternatives}, not {_shown(raw)}", hint)


def _shown(raw: object) -> str:
    if isinstance(raw, bool):
        return f"`{str(raw).lower()}`"
    if isinstance(raw, dict):
        return "a table"
    if isinstance(raw, (list, tuple)):
        return "a list"
    return f"`{raw}`"
