"""Environment files: `NAME=value` on each line, as Docker, Compose and systemd write them."""

import re
from pathlib import Path
from typing import Final

from trivet.errors import ConfigError, Place

_LINE: Final = re.compile(
    r"""(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)\s*=\s*
    (?: "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>[^']*)' | (?P<plain>[^"'].*?|) )
    \s*(?:(?<=\s)\#.*)?""",
    re.VERBOSE,
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}


def read_env_file(file: Path, shown: str) -> dict[str, str]:
    r"""Read the variables of a file.

    Plain values reach to the end of the line or to ` #`; `'single'` quotes keep every character;
    `"double"` ones know `\n`, `\t`, `\r`, and a backslash before any other character keeps that.
    Nothing is expanded.

    Args:
        file: Where to read.
        shown: How messages call it.

    Raises:
        ConfigError: If it cannot be read, or for the first line of another form.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(
            f"cannot read the environment file `{shown}`: {_reason(problem)}",
            code="config.file_missing",
        ) from None
    variables = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if not found:
            raise ConfigError(
                "a line of an environment file is not `NAME=value`",
                code="config.bad_env_file",
                place=Place(shown, number, 1, len(line), line),
            )
        variables[found["name"]] = _value(found)
    return variables


def _value(found: re.Match[str]) -> str:
    if found["double"] is not None:
        return re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), found["double"])
    return found["single"] if found["single"] is not None else found["plain"]


def _reason(problem: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8" if isinstance(problem, UnicodeDecodeError) else str(problem.strerror)
