"""`trivet edge --control-fd N`: the edge process; started by the supervisor, never by hand."""

from __future__ import annotations

from collections.abc import Sequence

from trivet import _trivet


def main(arguments: Sequence[str]) -> int:
    """Hand the process over to the engine; the return value is its exit code."""
    flag, descriptor = arguments
    if flag != "--control-fd":
        raise SystemExit("trivet edge: started by the supervisor, never by hand")
    return _trivet.run_edge(int(descriptor))
