"""What is wrong with `[list.NAME]` and with what names lists: told with the line it stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trivet.config.suggestion import nearest
from trivet.config.value.peer import WORDS, Peer
from trivet.errors import ConfigError, Place
from trivet.wire import addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from trivet.config.address_list import AddressList
    from trivet.config.loaded import Raw
    from trivet.config.settings import Settings

    Tell = Callable[[Raw, str, str | None], None]


def check(
    settings: Settings, written: Mapping[str, Raw], tell: Tell, shown: Callable[[Path], str]
) -> list[ConfigError]:
    """Check the lists, and what names them.

    Args:
        settings: Their values.
        written: `list`, `route`, `access.allow` and `access.deny`, as far as they were written.
        tell: Told of each problem: where, what (completes "`option` …"), and a hint.
        shown: How messages name a file.

    Returns:
        What is wrong with the files of lists, with the lines in them.
    """
    problems: list[ConfigError] = []
    tables: Any = written["list"].value if "list" in written else {}
    for name, raws in tables.items():
        problems += _check_list(name, settings.list[name], raws, tell, shown)
    for raw, names in _named(settings, written):
        for name in names or ():
            if name not in settings.list:
                _check_name(name, raw, settings, tell)
    return problems


def _check_list(
    name: str,
    listed: AddressList,
    raws: Mapping[str, Raw],
    tell: Tell,
    shown: Callable[[Path], str],
) -> Iterator[ConfigError]:
    if name in WORDS:
        tell(raws[""], f"has the name of the addresses `{name}`", "give it another name")
    if not (listed.file or "list.networks" in raws):
        tell(raws[""], "has no addresses", "it needs `networks` or `file`")
    if listed.file and (found := addresses.check_file(listed.file)):
        line, problem = found
        if line:
            place = Place(shown(listed.file), line)
            yield ConfigError(problem, code="config.bad_value", place=place)
        else:
            problem = problem[:1].lower() + problem[1:]
            tell(raws["list.file"], f"cannot be used: {shown(listed.file)}: {problem}", None)


def _named(
    settings: Settings, written: Mapping[str, Raw]
) -> Iterator[tuple[Raw, Sequence[str] | None]]:
    for option in ("allow", "deny"):
        if f"access.{option}" in written:
            yield written[f"access.{option}"], getattr(settings.access, option)
    rows: Any = written["route"].value if "route" in written else []
    for route, raws in zip(settings.route, rows, strict=False):
        for option in ("client", "allow", "deny"):
            if f"route.{option}" in raws:
                yield raws[f"route.{option}"], getattr(route, option)


def _check_name(name: str, raw: Raw, settings: Settings, tell: Tell) -> None:
    try:
        Peer(name)
    except ValueError as problem:
        if "/" in name or ":" in name or name[:1].isdigit():
            tell(raw, str(problem), None)
            return
        meant = nearest(name, [*settings.list, *WORDS])
        hint = f"did you mean `{meant}`?" if meant else f"write [list.{name}], or an address"
        tell(raw, f"names no list: `{name}`", hint)
