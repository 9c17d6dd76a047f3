"""A command line, without a shell."""

import shlex
from collections.abc import Sequence
from typing import Final

_FORM: Final = "must be a command"


class Command:
    """A program and its arguments: text that is cut as a shell would, or a list of texts.

    Nothing else of a shell is there: no variables, no `*`, no `|`.

    Attributes:
        words: The program first; at least one.

    Spec: POSIX shell command language, section 2.2 (quoting).
    """

    __slots__ = ("words",)

    words: tuple[str, ...]

    def __init__(self, written: str | Sequence[str]) -> None:
        """Parse.

        Raises:
            ValueError: For no program, or a quotation without an end.
        """
        try:
            words = shlex.split(written) if isinstance(written, str) else list(written)
        except ValueError:
            raise ValueError("has a quotation mark without its partner") from None
        if not words or not words[0] or any("\0" in word for word in words):
            raise ValueError(_FORM)
        self.words = tuple(words)

    def __str__(self) -> str:
        return shlex.join(self.words)

    def __repr__(self) -> str:
        return f"Command({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Command):
            return NotImplemented
        return self.words == other.words

    def __hash__(self) -> int:
        return hash((Command, self.words))
