"""What is said about an option, once, beside its type and its default.

From it come the TOML key, the variable, the flag, the reference page and the JSON Schema.
"""

import types
import typing
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """The record in an option's annotation."""

    doc: str
    """What it does, in one sentence."""
    why: str
    """Why it exists, or why its default is what it is."""
    flag: str | None = None
    """The flag of `trivet serve`, such as `--bind`; none has it in file and environment only."""
    short: str | None = None
    aliases: tuple[str, ...] = ()
    """Flags of other servers with the same meaning."""
    off: str | None = None
    """The flag that says no to a boolean."""
    env: str | None = None
    """A variable that platforms and other servers use for it; it ranks below `TRIVET_…`."""
    metavar: str | None = None
    minimum: int | str | None = None
    maximum: int | str | None = None
    pattern: str | None = None
    """Regular expression that the whole text must match."""
    form: str | None = None
    """What that expression describes, for messages: "a path such as `/shop`"."""
    multiline: bool = False
    """Whether a text may have several lines."""
    unit: str | None = None
    none: str | None = None
    """The word that means `None`."""
    zero: str | None = None
    """The word that means 0."""
    auto: str | None = None
    """How the machine decides when the option is left out."""
    takes_auto: bool = True
    """Whether that can be asked for with the word `auto`."""
    in_app: str | None = None
    """The key in an `[app.NAME]` table that sets it for one app; none for the whole stand only."""
    applies: Literal["reload", "restart"] = "restart"
    """Whether a rolling reload is enough for a change, or Trivet must start anew.

    The workers that a reload starts read what they are started from, and the edge takes other
    settings while it runs: only what belongs to its sockets and threads, to the supervisor, or to
    the number of apps and tasks has to wait.
    """
    spec: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """Words with a meaning of their own, beside the values of the type."""
        return tuple(word for word in (self.none, self.zero, self._auto_word) if word)

    @property
    def _auto_word(self) -> str | None:
        return "auto" if self.auto and self.takes_auto else None


class Definition(msgspec.Struct, frozen=True):
    """An option as found in the tree of settings."""

    path: str
    """Dotted, as in the file: `server.bind`, `route.path`."""
    type: Any
    default: Any
    """`msgspec.NODEFAULT` if the option must be given."""
    option: Option

    @property
    def variable(self) -> str:
        """The environment variable: named after the flag if there is one, else after the path."""
        flag = self.option.flag
        name = flag.lstrip("-") if flag else self.path.removeprefix("server.")
        return "TRIVET_" + name.replace("-", "_").replace(".", "_").upper()

    @property
    def section(self) -> str:
        """Dotted path of the table that holds the option; empty at the top."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The key within its table."""
        return self.path.rpartition(".")[2]

    @property
    def flags(self) -> tuple[str, ...]:
        """Every spelling on the command line, the canonical one first."""
        option = self.option
        names = (option.flag, option.short, *option.aliases)
        return tuple(name for name in names if name)


def fields_of(section: type[msgspec.Struct]) -> Iterator[tuple[str, Any, Any, Option | None]]:
    """List name, type, default and record of each field; a nested section has no record."""
    hints = typing.get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        hint = hints[field.name]
        if typing.get_origin(hint) is Annotated:
            bare, record = typing.get_args(hint)
            yield field.name, bare, default, record
        else:
            yield field.name, hint, default, None


def rows_type(type_: object) -> type[msgspec.Struct] | None:
    """Tell the type of a row if this is made of tables: `[[route]]`, or `[task.NAME]`."""
    if typing.get_origin(type_) in {tuple, dict}:
        row = typing.get_args(type_)[1 if has_names(type_) else 0]
        if isinstance(row, type) and issubclass(row, msgspec.Struct) and fields_known(row):
            return row
    return None


def has_names(type_: object) -> bool:
    """Say whether the rows of an option made of tables have names: `[task.NAME]`."""
    return typing.get_origin(type_) is dict


def fields_known(section: type[msgspec.Struct]) -> bool:
    """Say whether every field of a Struct carries an `Option`: values such as `Bind` do not."""
    return all(record is not None for *_, record in fields_of(section))


@lru_cache(maxsize=8)
def definitions(root: type[msgspec.Struct], prefix: str = "") -> tuple[Definition, ...]:
    """List every option below `root`, in the order of the source.

    What a row of an option made of tables holds follows it, with its name as the section.
    """
    found: list[Definition] = []
    for name, type_, default, record in fields_of(root):
        path = prefix + name
        if record is None:
            found += definitions(type_, path + ".")
            continue
        row = rows_type(type_)
        found.append(Definition(path, type_, default, record))
        if row is not None:
            found += definitions(row, path + ".")
    return tuple(found)


def app_keys(root: type[msgspec.Struct]) -> dict[str, Definition]:
    """Map the keys of an `[app.NAME]` table to the options that they set for that app."""
    return {each.option.in_app: each for each in definitions(root) if each.option.in_app}


def without_none(type_: object) -> tuple[Any, bool]:
    """Take `None` out of `X | None`; the second value says whether it was there."""
    if typing.get_origin(type_) in {typing.Union, types.UnionType}:
        rest = [each for each in typing.get_args(type_) if each is not types.NoneType]
        if len(rest) == 1:
            return rest[0], True
    return type_, False
