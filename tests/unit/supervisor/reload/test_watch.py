"""What counts as a change of the source."""

import importlib.util
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from trivet.supervisor.reload import watch
from trivet.supervisor.reload.watch import Wanted, Watcher, describe_changes

from tests.waiting import wait_until

FOLDER = Path("/srv/shop")
WANTED = Wanted(["*.py", ".env"], [".venv", "__pycache__", "*_pb2.py"])


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("app.py", True),
        ("shop/models.py", True),
        (".env", True),
        ("app.py~", False),
        ("notes.txt", False),
        (".venv/lib/flask.py", False),
        ("shop/__pycache__/models.py", False),
        ("shop/api_pb2.py", False),
    ],
)
def test_patterns_decide(name: str, counts: bool) -> None:  # noqa: FBT001 - a column of the table
    assert WANTED(str(FOLDER / name), [FOLDER]) is counts


def test_a_pattern_does_not_reach_above_the_watched_folder() -> None:
    inside = Path("/srv/.venv/shop")
    assert WANTED(str(inside / "app.py"), [inside])


def test_changes_are_told_briefly() -> None:
    names = [str(FOLDER / "app.py")]
    assert describe_changes(names, [FOLDER]) == "app.py changed"
    assert describe_changes([*names, "/a", "/b"], [FOLDER]) == "app.py and 2 more changed"
    assert describe_changes(["/etc/x"], [FOLDER]) == "/etc/x changed"


@pytest.fixture(params=["watchfiles", "polling"])
def watcher(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watcher]:
    if request.param == "watchfiles":
        pytest.importorskip("watchfiles")
    else:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        monkeypatch.setattr(watch, "POLL_S", 0.01)
    (tmp_path / "old.py").touch()
    told = threading.Event()
    watcher = Watcher([tmp_path], ["*.py"], ["__pycache__"], told.set)
    watcher.start()
    yield watcher
    watcher.stop()
    watcher._thread.join()


@pytest.mark.slow
def test_a_change_is_noticed(watcher: Watcher, tmp_path: Path) -> None:
    file, seen = tmp_path / "new.py", set()

    def is_noticed() -> bool:
        # Once may be before the thread has begun to watch.
        file.write_text(file.read_text() + "x" if file.exists() else "")
        (tmp_path / "notes.txt").write_text(file.read_text())
        seen.update(watcher.take())
        return bool(seen)

    wait_until(is_noticed, "the change")
    assert seen == {str(file)}
