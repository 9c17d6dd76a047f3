"""Apps that the end-to-end tests serve, and how one stand serves many tests."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.stand import Stand, start

APPS = Path(__file__).parent
ROOT = APPS.parents[2]


@contextmanager
def serving(
    *arguments: str, cwd: Path = APPS, env: Mapping[str, str] | None = None
) -> Iterator[Stand]:
    """Serve for the block; it must then stop cleanly, whatever was asked of it."""
    stand = start(*arguments, cwd=cwd, env={"PYTHONPATH": str(ROOT), **(env or {})})
    try:
        yield stand
        assert stand.stop() == 0, stand.describe()
    finally:
        stand.kill()
