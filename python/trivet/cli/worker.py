"""`trivet worker --control-fd N`: a worker process; started by the supervisor, never by hand."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the app until the supervisor or the edge says stop; returns the exit code."""
    from trivet.worker.process import main as run

    return run(list(arguments))
