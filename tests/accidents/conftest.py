"""Fixtures of the accidents."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.program import MARK, Project, marked
from tests.e2e.stand import Stand, start
from tests.waiting import wait_until

Serve = Callable[..., Stand]


@pytest.fixture
def project(tmp_path: Path, root: Path) -> Project:
    """Give a folder with the app of the accidents in it."""
    shutil.copy(root / "tests/accidents/apps/accident.py", tmp_path / "accident.py")
    return Project(tmp_path)


@pytest.fixture
def serve(project: Project) -> Iterator[Serve]:
    """Start stands with the app of the accidents; none of their processes may outlive the test."""
    mark = uuid.uuid4().hex
    stands: list[Stand] = []

    def begin(
        *arguments: str, workers: int = 2, app: str = "accident:app", **options: Any
    ) -> Stand:
        command = [app, "--workers", str(workers), *arguments]
        stand = start(*command, cwd=project.folder, env={MARK: mark}, **options)
        stands.append(stand)
        return stand

    yield begin
    (project.folder / "release").touch()
    for stand in stands:
        if stand.process.poll() is None:
            stand.stop()
    wait_until(lambda: not marked(mark), lambda: f"left: {marked(mark)}")
