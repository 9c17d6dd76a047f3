"""Permission bits that new files do not get."""

import re
from typing import Final

_FORM: Final = re.compile(r"(?:0o)?[0-7]{1,4}", re.ASCII)
_GREATEST: Final = 0o777


class Umask:
    """A umask, written in octal as shells do: `022`, `0o027`.

    A number of TOML is refused: `22` would be read as the decimal that nobody means.

    Attributes:
        bits: What new files do not get.

    Spec: POSIX umask().
    """

    __slots__ = ("bits",)

    bits: int

    def __init__(self, written: str) -> None:
        """Parse.

        Raises:
            ValueError: For anything but octal digits up to `777`.
        """
        if not _FORM.fullmatch(written):
            raise ValueError("must be a umask in octal")
        self.bits = int(written.removeprefix("0o"), 8)
        if self.bits > _GREATEST:
            raise ValueError("must be a umask in octal")

    def __str__(self) -> str:
        return f"{self.bits:03o}"

    def __repr__(self) -> str:
        return f"Umask({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Umask):
            return NotImplemented
        return self.bits == other.bits

    def __hash__(self) -> int:
        return hash((Umask, self.bits))
