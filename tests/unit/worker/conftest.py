"""Apps that a test writes and loads, in a Python that is put back as it was."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit import fake_native

try:
    from trivet import _trivet  # noqa: F401 - whether it is there is the question
except ImportError:  # unit tests run before the engine is built
    fake_native.install()

from trivet.errors import AppLoadError, render
from trivet.wire.worker_control import AppTarget
from trivet.worker.loading import LoadedApp, load_app

Load = Callable[..., LoadedApp]


@pytest.fixture
def app_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder, current and importable from; what is imported is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def load(app_folder: Path) -> Load:
    def load_source(source: str | None = None, name: str = "app:app", **more: Any) -> LoadedApp:
        if source is not None:
            (app_folder / "app.py").write_text(source)
        module, _, expression = name.partition(":")
        values: dict[str, Any] = {
            "name": name,
            "module": module,
            "expression": expression,
            "factory": False,
            "directory": str(app_folder),
            "interface": "auto",
            "async_views": "shared",
        }
        return load_app(AppTarget(**{**values, **more}))

    return load_source


@pytest.fixture
def failure(load: Load) -> Callable[..., str]:
    """Return what the developer sees of an app that does not load."""

    def load_and_fail(*args: Any, **more: Any) -> str:
        with pytest.raises(AppLoadError) as caught:
            load(*args, **more)
        return render(caught.value)

    return load_and_fail
