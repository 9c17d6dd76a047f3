"""Questions about files of addresses, answered by the code that the edge reads them with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def check_file(path: Path) -> tuple[int, str] | None:
    """Tell what is wrong with a file of addresses, and in which line; 0 for none of them."""
    from trivet import _trivet  # noqa: PLC0415 - few configurations have lists

    return _trivet.check_address_file(str(path))
