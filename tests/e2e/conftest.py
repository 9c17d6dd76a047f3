"""Fixtures of the end-to-end tests."""

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.program import Project
from tests.e2e.stand import Stand, start

Serve = Callable[..., Stand]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start stands that end with the test: `serve(source, *arguments, **options)`.

    `source` is the text of `app.py`, or a folder with an app. Whatever is still running at the
    end of the test is stopped, and must have stopped cleanly.
    """
    stands: list[Stand] = []

    def begin(source: str | Path, *arguments: str, **options: Any) -> Stand:
        folder = source if isinstance(source, Path) else tmp_path / "app"
        if isinstance(source, str):
            folder.mkdir(exist_ok=True)
            (folder / "app.py").write_text(textwrap.dedent(source))
        stand = start(*arguments, cwd=folder, **options)
        stands.append(stand)
        return stand

    yield begin
    for stand in stands:
        if stand.process.poll() is None:
            try:
                assert stand.stop() == 0, stand.describe()
            finally:
                stand.kill()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Give an empty folder in which `trivet` can be run to its end."""
    folder = tmp_path / "app"
    folder.mkdir(exist_ok=True)
    return Project(folder)
