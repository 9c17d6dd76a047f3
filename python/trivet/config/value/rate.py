"""How many requests may come in a time: `20/s`, `100/m burst 50`, `5/10s`."""

import re
from typing import Final

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}
_FORM: Final = re.compile(
    r"([0-9]{1,9})\s*/\s*([0-9]{0,6})\s*([smh])(?:\s+burst\s+([0-9]{1,9}))?", re.ASCII
)
_LONGEST_S: Final = 24 * 3600


class Rate:
    """A number of requests, the seconds that it is for, and how many may come at once.

    Left out, the burst is the number of requests: `100/m` lets a hundred come at once, and after
    that one in 0.6 s. `0` is no limit.

    Raises:
        ValueError: If the text has another form; the message completes "`option` …".
    """

    __slots__ = ("burst", "per_s", "requests")

    requests: int
    per_s: int
    burst: int

    def __init__(self, value: "str | int | Rate") -> None:
        if isinstance(value, Rate):
            self.requests, self.per_s, self.burst = value.requests, value.per_s, value.burst
        elif value == 0:
            self.requests, self.per_s, self.burst = 0, 1, 1
        else:
            self.requests, self.per_s, self.burst = _parsed(str(value))

    def __str__(self) -> str:
        if not self.requests:
            return "off"
        seconds, unit = max((s, unit) for unit, s in _SECONDS.items() if self.per_s % s == 0)
        count = self.per_s // seconds
        text = f"{self.requests}/{count if count > 1 else ''}{unit}"
        return text if self.burst == self.requests else f"{text} burst {self.burst}"

    def __repr__(self) -> str:
        return f"Rate({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rate):
            return NotImplemented
        ours = (self.requests, self.per_s, self.burst)
        return ours == (other.requests, other.per_s, other.burst)

    def __hash__(self) -> int:
        return hash((Rate, self.requests, self.per_s, self.burst))


def _parsed(text: str) -> tuple[int, int, int]:
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise ValueError("must be a rate")
    requests, count, unit, burst = found.groups()
    per_s = int(count or 1) * _SECONDS[unit]
    if not 0 < per_s <= _LONGEST_S:
        raise ValueError("must be for one day at the most")
    if int(requests) < 1 or (burst is not None and int(burst) < 1):
        raise ValueError("must let one request through at least")
    return int(requests), per_s, int(requests if burst is None else burst)
