"""Refuses a server that the app starts while it is being imported.

Strategy: a classic first app ends with an unguarded `app.run()`. Imported as it stands it would
serve by itself, for ever, and with `debug=True` start its own reloader. So while the app is being
imported the functions that serve until they are stopped are replaced by one that raises, as soon
as their module is there. Only calls of the importing thread count: a metrics server that runs in
a thread of its own, such as that of `prometheus_client`, is no second server for the app.
"""

import functools
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from trivet.worker import traces

GUARDED: Mapping[str, Sequence[str]] = {
    "aiohttp.web": ["run_app"],
    "bottle": ["run"],
    "cheroot.server": ["HTTPServer.serve"],
    "eventlet.wsgi": ["server"],
    "flask.app": ["Flask.run"],
    "flask_socketio": ["SocketIO.run"],
    "gevent.baseserver": ["BaseServer.serve_forever"],
    "quart.app": ["Quart.run"],
    "socketserver": ["BaseServer.serve_forever"],
    "uvicorn.main": ["run"],
    "uvicorn.server": ["Server.run"],
    "waitress": ["serve"],
    "werkzeug.serving": ["run_simple"],
}
"""What serves until it is stopped, by module."""

# With it, Flask itself ignores `app.run()`: for a Flask that does not run through `Flask.run`.
_FLASK_VARIABLE = "FLASK_RUN_FROM_CLI"


class ServerStartedError(BaseException):
    """The app has started a server; no `except Exception` of an app gets in its way.

    Attributes:
        call: what was called, as `Flask.run`.
        frame: where in the app.
    """

    def __init__(self, call: str, frame: traceback.FrameSummary | None) -> None:
        super().__init__(call)
        self.call = call
        self.frame = frame


@contextmanager
def no_servers() -> Iterator[None]:
    """Refuse servers of this thread while the block runs.

    Raises:
        ServerStartedError: out of the call that would have served.
    """
    guard = _Guard()
    before = os.environ.get(_FLASK_VARIABLE)
    os.environ[_FLASK_VARIABLE] = "true"
    sys.meta_path.insert(0, guard)
    try:
        for name in GUARDED.keys() & sys.modules.keys():
            guard.patch(sys.modules[name])
        yield
    finally:
        sys.meta_path.remove(guard)
        guard.undo()
        # A program that the app starts later may well be a Flask app that serves by itself.
        os.environ.pop(_FLASK_VARIABLE, None)
        if before is not None:
            os.environ[_FLASK_VARIABLE] = before


class _Guard(MetaPathFinder):
    """Finds guarded modules as the others do, and patches them when they have been executed."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._originals: list[tuple[Any, str, Any]] = []
        self._is_active = True

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname not in GUARDED:
            return None
        finders = [finder for finder in sys.meta_path if finder is not self]
        specs = (finder.find_spec(fullname, path, target) for finder in finders)
        spec = next((spec for spec in specs if spec), None)
        if spec and spec.loader:
            self._patch_after(spec.loader)
        return spec

    def _patch_after(self, loader: Any) -> None:  # noqa: ANN401 - loaders of any kind
        execute: Callable[[ModuleType], None] = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self.patch(module)

        loader.exec_module = exec_module

    def patch(self, module: ModuleType) -> None:
        for dotted in GUARDED[module.__name__]:
            *path, name = dotted.split(".")
            owner: Any = module
            for part in path:
                owner = getattr(owner, part, None)
            original = getattr(owner, name, None)
            if original is not None and self._is_active:
                self._originals.append((owner, name, original))
                call = dotted if path else f"{module.__name__.partition('.')[0]}.{name}"
                setattr(owner, name, self._refusing(original, call))

    def _refusing(self, original: Callable[..., Any], call: str) -> Callable[..., Any]:
        @functools.wraps(original)
        def refuse(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the original
            if self._is_active and threading.get_ident() == self._thread:
                raise ServerStartedError(call, _caller())
            return original(*args, **kwargs)

        return refuse

    def undo(self) -> None:
        self._is_active = False
        for owner, name, original in reversed(self._originals):
            setattr(owner, name, original)


def _caller() -> traceback.FrameSummary | None:
    frames = traceback.extract_stack()
    return next((frame for frame in reversed(frames) if traces.is_app_file(frame.filename)), None)
