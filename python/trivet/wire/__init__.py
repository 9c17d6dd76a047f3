"""The Python face of the crate `trivet-wire`: what crosses the borders between processes.

Each module has the file name and the type names of its counterpart in Rust.
"""

from __future__ import annotations

WIRE_VERSION = 1
"""The version of every contract; must equal the crate's, or two installations are mixed."""


def check_version(theirs: int) -> None:
    """Refuse what another installation wrote.

    Raises:
        ValueError: The version is not ours; msgspec makes a `ValidationError` of it.
    """
    if theirs != WIRE_VERSION:
        raise ValueError(f"wire version {theirs}, but this installation speaks {WIRE_VERSION}")
