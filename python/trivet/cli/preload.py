"""`trivet preload --control-fd N`: a fork server; started by the supervisor, never by hand."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Import the app and fork workers of it until told to stop; returns the exit code."""
    from trivet.worker.start.fork_server import main as run

    return run(list(arguments))
