"""A number of bytes as an operator writes it: `64k`, `10m`, `16 MiB`, or a bare number."""

import re
from decimal import Decimal
from functools import total_ordering
from typing import Final

_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_FORM: Final = re.compile(
    r"([0-9]{1,20}(?:\.[0-9]{1,9})?)\s?([kmgt]?)(i?b)?", re.ASCII | re.IGNORECASE
)
_LARGEST: Final = 2**63 - 1
"""What a file offset of Linux can hold."""


@total_ordering
class Size:
    """A number of bytes.

    Units are powers of 1024, with or without `B` and `i`: nginx, Docker and PHP read `10m` so, and
    a limit that is 5 % wider than its reader thought refuses nobody.

    Raises:
        ValueError: If the text has another form, is no whole number of bytes, or too large; the
            message completes "`option` …".
    """

    __slots__ = ("bytes",)

    bytes: int

    def __init__(self, value: "str | int | float | Size") -> None:
        self.bytes = value.bytes if isinstance(value, Size) else _bytes(value)

    def __str__(self) -> str:
        for unit in ("t", "g", "m", "k"):
            count, rest = divmod(self.bytes, 1024 ** _POWERS[unit])
            if count and not rest:
                return f"{count} {unit.upper()}iB"
        return f"{self.bytes} B"

    def __repr__(self) -> str:
        return f"Size({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Size):
            return NotImplemented
        return self.bytes == other.bytes

    def __lt__(self, other: "Size") -> bool:
        return self.bytes < other.bytes

    def __hash__(self) -> int:
        return hash((Size, self.bytes))


def _bytes(value: str | float) -> int:
    found = _FORM.fullmatch(str(value).strip())
    if isinstance(value, bool) or found is None:
        raise ValueError("must be a size")
    exact = Decimal(found[1]) * 1024 ** _POWERS[found[2].lower()]
    if exact != int(exact):
        raise ValueError("must be a whole number of bytes")
    if exact > _LARGEST:
        raise ValueError("is larger than any file can be")
    return int(exact)
