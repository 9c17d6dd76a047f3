"""Reading `tests/vectors/`, which `crates/trivet-wire/tests/vectors.rs` reads too."""

import json
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parent.parent / "vectors"


def vectors(folder: str) -> list[Any]:
    """Return a folder's vectors as parameters, each with its file's name as id."""
    files = sorted((VECTORS / folder).glob("*.json"))
    assert files
    return [pytest.param(json.loads(file.read_text("utf-8")), id=file.stem) for file in files]
