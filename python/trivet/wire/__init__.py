"""The Python face of the crate `trivet-wire`: what crosses the borders between processes.

Each module has the file name and the type names of its counterpart in Rust.
"""

from __future__ import annotations

from typing import Final

WIRE_VERSION: Final = 1
"""The version of every contract; must equal the crate's, or two installations are mixed."""
