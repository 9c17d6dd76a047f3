"""Waiting for a condition instead of for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 20.0
"""Long past anything that works; only what is broken waits for so long."""
LOOK_S = 0.005


def wait_until(
    condition: Callable[[], T | None],
    otherwise: Callable[[], str] | str,
    deadline_s: float = DEADLINE_S,
) -> T:
    """Return the first true value of `condition`.

    Raises:
        AssertionError: It stayed false until the deadline; `otherwise` says what was waited for,
            or, called, what was seen.
    """
    pause = time.sleep  # the one pause in the tests, between two looks
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if value := condition():
            return value
        pause(LOOK_S)
    waited = f"waited {deadline_s:g} s for {otherwise}"
    raise AssertionError(waited if isinstance(otherwise, str) else otherwise())
