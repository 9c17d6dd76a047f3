"""`--static PATH=FOLDER`, and what else of the command line becomes a `[[static]]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from trivet.config.loaded import Origin, Raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_FLAG: Final = "--static"


class StaticRow(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that a command was told to serve.

    Attributes:
        values: By name of the option of `[[static]]`: how the command line calls it, and its value.
        because: Why it is served, for people; empty where it was asked for.
    """

    values: Mapping[str, tuple[str, object]]
    because: str = ""


def raw(
    given: Sequence[str | StaticRow], cwd: Path, tell: Callable[[Raw, str, str | None], None]
) -> Raw:
    """Say it as the file would: rows of what was written.

    Args:
        given: `PATH=FOLDER`, or a folder with more options.
        cwd: Folder that theirs are relative to.
        tell: Told of what is no `PATH=FOLDER`.
    """
    origin = Origin(f"flag {_FLAG}")
    rows = []
    for each in given:
        if isinstance(each, StaticRow):
            rows.append(_row(each.values, cwd, Origin("argument", each.because)))
            continue
        path, equals, folder = each.partition("=")
        if path.startswith("/") and equals and folder:
            rows.append(_row({"path": (_FLAG, path), "folder": (_FLAG, folder)}, cwd, origin))
        else:
            written = Raw("static", _FLAG, each, origin, cwd)
            hint = "the path comes first, then the folder: `--static /static=./static`"
            tell(written, f"must be `PATH=FOLDER`, not `{each}`", hint)
    return Raw("static", _FLAG, rows, origin, cwd)


def merged(
    sources: Sequence[Mapping[str, Raw]],
) -> list[Mapping[str, Raw]]:
    """Put the folders of the flags before those of the file; they replace those at their paths."""
    upper, *between, lower = sources
    if "static" not in upper or "static" not in lower:
        return list(sources)
    flags, written = upper["static"], lower["static"]
    own = flags.value if isinstance(flags.value, list) else []
    rest = written.value if isinstance(written.value, list) else []
    taken = {_path(row) for row in own}
    kept = [row for row in rest if "static.host" in row or _path(row) not in taken]
    both = msgspec.structs.replace(flags, value=[*own, *kept])
    without = {path: raw for path, raw in lower.items() if path != "static"}
    return [{**upper, "static": both}, *between, without]


def _row(values: Mapping[str, tuple[str, object]], cwd: Path, origin: Origin) -> Mapping[str, Raw]:
    itself = Raw("static", _FLAG, None, origin, cwd)
    raws = {
        f"static.{option}": Raw(f"static.{option}", name, value, origin, cwd)
        for option, (name, value) in values.items()
    }
    return {"": itself, **raws}


def _path(row: Mapping[str, Raw]) -> str:
    written = row.get("static.path")
    return str(written.value).rstrip("/") if written else ""
