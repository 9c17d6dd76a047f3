"""Where each key stands in a TOML text.

Strategy: `tomllib` decodes the text and judges it, but forgets positions. This scanner walks a
text that `tomllib` has accepted once more, only to note where keys start; it decodes nothing but
keys and judges nothing, so the grammar that it knows is small: keys, strings, brackets, comments.
"""

import re
from typing import Any, Final

from trivet.config.source.toml import loads
from trivet.errors import Place

Path = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRINGS: Final = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL),
    re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_ATOM: Final = re.compile(r"[^\s,\]}#]+(?: [0-9][^\s,\]}#]*)?")
"""A number, boolean or date; a date may have one space before its time."""


def places(text: str, file: str) -> dict[Path, Place]:
    """Map every key path of a valid TOML text to the place of its key.

    Paths hold table names and, for `[[arrays]]` and lists, the position in the array:
    `("route", 0, "path")`. Elements of lists are there too, with the place of the value.
    """
    scanner = _Scanner(text, file)
    scanner.document()
    return scanner.found


class _Scanner:
    """One walk over a text; `position` is the next character that nobody has looked at."""

    def __init__(self, text: str, file: str) -> None:
        # As tomllib does it, so that line ends inside strings are one character.
        self.text = text.replace("\r\n", "\n")
        self.file = file
        self.lines = self.text.split("\n")
        self.position = 0
        self.found: dict[Path, Place] = {}
        self.lengths: dict[Path, int] = {}
        """How many tables each `[[array]]` has so far."""

    def document(self) -> None:
        prefix: Path = ()
        self._skip(_BLANK)
        while self.position < len(self.text):
            if self._at("["):
                prefix = self._header()
            else:
                self._pair(prefix)
            self._skip(_BLANK)

    def _header(self) -> Path:
        is_array = self._at("[[")
        self.position += 1 + is_array
        self._skip(_SPACE)
        start = self.position
        keys, end = self._dotted_key()
        path: Path = ()
        for key in keys[:-1]:
            path = self._inside((*path, key))
        path = (*path, keys[-1])
        self._note(path, start, end)
        self._skip(_SPACE)
        self.position += 1 + is_array
        if is_array:
            self.lengths[path] = self.lengths.get(path, 0) + 1
            path = self._inside(path)
            self._note(path, start, end)
        return path

    def _inside(self, path: Path) -> Path:
        """Give the last table of an array, the path itself for anything else."""
        return (*path, self.lengths[path] - 1) if path in self.lengths else path

    def _pair(self, prefix: Path) -> None:
        start = self.position
        keys, end = self._dotted_key()
        path = prefix
        for key in keys:
            path = (*path, key)
            self._note(path, start, end)
        self._skip(_SPACE)
        self.position += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._at("["):
            self._array(path)
        elif self._at("{"):
            self._inline_table(path)
        elif self._at('"') or self._at("'"):
            self._string()
        else:
            self._skip(_ATOM)

    def _array(self, path: Path) -> None:
        self.position += 1
        self._skip(_BLANK)
        index = 0
        while not self._at("]"):
            start = self.position
            self._value((*path, index))
            self._note((*path, index), start, self.position)
            index += 1
            self._comma()
        self.position += 1

    def _inline_table(self, path: Path) -> None:
        self.position += 1
        self._skip(_BLANK)
        while not self._at("}"):
            self._pair(path)
            self._comma()
        self.position += 1

    def _comma(self) -> None:
        self._skip(_BLANK)
        if self._at(","):
            self.position += 1
            self._skip(_BLANK)

    def _dotted_key(self) -> tuple[list[str], int]:
        """Read a key; the second value is its end without the space behind it."""
        keys = [self._key()]
        end = self.position
        self._skip(_SPACE)
        while self._at("."):
            self.position += 1
            self._skip(_SPACE)
            keys.append(self._key())
            end = self.position
            self._skip(_SPACE)
        return keys, end

    def _key(self) -> str:
        start = self.position
        if not (self._at('"') or self._at("'")):
            self._skip(_BARE_KEY, at_least=1)
            return self.text[start : self.position]
        self._string()
        decoded: dict[str, Any] = loads(f"key = {self.text[start : self.position]}")
        return str(decoded["key"])

    def _string(self) -> None:
        for form in _STRINGS:
            if found := form.match(self.text, self.position):
                self.position = found.end()
                return
        raise AssertionError("a string of a valid TOML text has one of four forms")

    def _at(self, text: str) -> bool:
        return self.text.startswith(text, self.position)

    def _skip(self, form: re.Pattern[str], *, at_least: int = 0) -> None:
        found = form.match(self.text, self.position)
        end = found.end() if found else self.position
        if end - self.position < at_least:
            raise AssertionError("a key of a valid TOML text has at least one character")
        self.position = end

    def _note(self, path: Path, start: int, end: int) -> None:
        line = self.text.count("\n", 0, start)
        column = start - (self.text.rfind("\n", 0, start) + 1)
        width = min(end - start, len(self.lines[line]) - column)
        place = Place(self.file, line + 1, column + 1, width, self.lines[line])
        self.found.setdefault(path, place)
