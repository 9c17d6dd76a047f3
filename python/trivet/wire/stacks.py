"""Where code is, in one line: `app.py:88 report -> db.py:41 run -> psycopg/cursor.py:97 execute`.

Worker and supervisor both say it: the worker of itself, the supervisor of a worker that cannot
speak any more. Strategy: what the app's developer knows is shown whole, of libraries only the
innermost frame. A path tells what it is, so that it may be another interpreter's.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import dropwhile
from pathlib import Path
from typing import NamedTuple

MOST_FRAMES = 12
"""Longer stacks lose their middle."""

_MACHINERY = re.compile(r"/trivet/(?:cli|wire|worker)/[^/]+\.py$|/trivet/__main__\.py$")
_LIBRARY = re.compile(r".*/(?:(?:site|dist)-packages|lib/python3\.\d+t?)/")
_DUMPED_THREAD = re.compile(r"(?:Current thread|Thread) 0x[0-9a-f]+.*\(most recent call first\):")
_DUMPED_FRAME = re.compile(r'  File "(.*)", line (\d+|\?\?\?) in (.*)')


class Place(NamedTuple):
    """A line of a stack."""

    file: str
    line: int
    function: str


def shown(stack: Iterable[Place], folder: Path) -> str:
    """Show a stack, outermost frame first; `folder` is where the app's paths start from.

    What is outside of Trivet's own call of the app, and Trivet itself, is left out. Empty where
    nothing is left.
    """
    places = list(stack)
    if any(map(_is_machinery, places)):
        places = list(dropwhile(lambda place: not _is_machinery(place), places))
    places = [place for place in places if not _is_machinery(place)]
    kept = [place for place in places if not _is_library(place)] or places[:-1]
    if places and places[-1] not in kept[-1:]:
        kept.append(places[-1])
    frames = [
        f"{_short(place.file, folder)}:{place.line or '?'} {place.function}" for place in kept
    ]
    if len(frames) > MOST_FRAMES:
        frames[3 : 4 - MOST_FRAMES] = ["…"]
    return " -> ".join(frames)


def dumped(text: str) -> Iterator[Sequence[Place]]:
    """Read what `faulthandler` writes of all threads: their stacks, each outermost frame first."""
    stack: list[Place] | None = None
    for line in text.splitlines():
        if _DUMPED_THREAD.fullmatch(line):
            if stack:
                yield stack[::-1]
            stack = []
        elif stack is not None and (frame := _DUMPED_FRAME.fullmatch(line)):
            number = int(frame[2]) if frame[2].isdecimal() else 0
            stack.append(Place(frame[1], number, frame[3]))
    if stack:
        yield stack[::-1]


def _is_machinery(place: Place) -> bool:
    return _MACHINERY.search(place.file) is not None


def _is_library(place: Place) -> bool:
    return place.file.startswith("<") or _LIBRARY.match(place.file) is not None


def _short(file: str, folder: Path) -> str:
    """Return the path as its developer would say it: a library's below its folder."""
    if found := _LIBRARY.match(file):
        return file[found.end() :]
    path = Path(file)
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)
