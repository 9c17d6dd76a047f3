"""What is agreed about a background task, as the settings say it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTerms:
    """What is agreed about a task; times in seconds.

    `app` is the number of the app that it belongs to, `None` for none of several; `every_s` is
    `None` for a task that is to run all the time; `graceful_s` is what it gets to end.
    """

    name: str
    app: int | None
    restart: Literal["always", "on_failure", "never"]
    every_s: float | None
    graceful_s: float
