"""A span of time as an operator writes it: `10s`, `500ms`, `2m`, or a bare number of seconds."""

import re
from decimal import Decimal
from functools import total_ordering
from typing import Final

_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_FORM: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s?(ms|s|m|h|d)?", re.ASCII)
_LONGEST_MS: Final = 2**32 - 1
"""The edge counts milliseconds in 32 bits: a bit over 49 days."""


@total_ordering
class Duration:
    """A span of time, exact to the millisecond.

    A bare number counts seconds, as with every peer but one.

    Raises:
        ValueError: If the text has another form, is finer than a millisecond, or longer than
            49 days; the message completes "`option` …".
    """

    __slots__ = ("milliseconds",)

    milliseconds: int

    def __init__(self, value: "str | int | float | Duration") -> None:
        self.milliseconds = (
            value.milliseconds if isinstance(value, Duration) else _milliseconds(value)
        )

    @property
    def seconds(self) -> float:
        """The same span in seconds."""
        return self.milliseconds / 1000

    def __str__(self) -> str:
        for unit in ("d", "h", "m", "s"):
            count, rest = divmod(self.milliseconds, _UNITS_MS[unit])
            if count and not rest:
                return f"{count}{unit}"
        return f"{self.milliseconds}ms" if self.milliseconds else "0s"

    def __repr__(self) -> str:
        return f"Duration({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Duration):
            return NotImplemented
        return self.milliseconds == other.milliseconds

    def __lt__(self, other: "Duration") -> bool:
        return self.milliseconds < other.milliseconds

    def __hash__(self) -> int:
        return hash((Duration, self.milliseconds))


def _milliseconds(value: str | float) -> int:
    found = _FORM.fullmatch(str(value).strip())
    if isinstance(value, bool) or found is None:
        raise ValueError("must be a duration")
    exact = Decimal(found[1]) * _UNITS_MS[found[2] or "s"]
    if exact != int(exact):
        raise ValueError("must be a whole number of milliseconds")
    if exact > _LONGEST_MS:
        raise ValueError("must be at most 49 days")
    return int(exact)
