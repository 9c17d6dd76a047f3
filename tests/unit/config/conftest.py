from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from trivet.config import Loaded, Platform, load

Load = Callable[..., Loaded]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that nothing outside of the test is above of."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def load_in(project: Path) -> Load:
    """Load with a small machine outside of a container, from `project` if not told otherwise."""

    def run(
        flags: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        **machine: object,
    ) -> Loaded:
        facts = {"cpus": 2, "cpus_because": "2 CPUs usable", **machine}
        platform = Platform(**facts)  # type: ignore[arg-type]
        return load(flags or {}, environ or {}, cwd or project, platform)

    return run
