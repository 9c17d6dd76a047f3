"""`trivet task …`: a background task's process; started by the supervisor, never by hand."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the task to its end; returns the exit code."""
    from trivet.worker.task import main as run

    return run(list(arguments))
