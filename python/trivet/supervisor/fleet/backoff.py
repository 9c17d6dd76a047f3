"""How long to wait before something that died is started again."""

from dataclasses import dataclass

FIRST_S = 0.1
"""Short enough that a single crash is hardly seen."""

LONGEST_S = 30.0
"""Long enough that a crash loop costs nothing, short enough that a repair is soon picked up."""

STABLE_S = 30.0
"""Whoever lived that long is well again, and its next death counts as a first one."""


@dataclass(slots=True)
class Backoff:
    """Doubling waits for one process's place; `failures` counts those in a row."""

    failures: int = 0

    def next_delay(self, lived_s: float) -> float:
        """Return the seconds to wait after a death that ended a life of `lived_s` seconds."""
        if lived_s >= STABLE_S:
            self.failures = 0
        # The exponent is bounded, so that months of failures do not make a huge number.
        delay = min(FIRST_S * 2.0 ** min(self.failures, 16), LONGEST_S)
        self.failures += 1
        return delay
