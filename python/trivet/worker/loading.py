"""From the name of an app to the app: import, attribute or factory call, interface.

Whatever goes wrong is told as an `AppLoadError`: which line of the app, what was looked for, what
is there instead, and what to type.
"""

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from trivet.errors import AppLoadError
from trivet.wire.worker_control import AppTarget
from trivet.worker import load_errors, traces
from trivet.worker.expression import Expression, candidates
from trivet.worker.guard import ServerStartedError, no_servers
from trivet.worker.interface import ARGUMENTS, Interface, framework_of, interface_of, takes


@dataclass(frozen=True, slots=True)
class LoadedApp:
    """The app, ready to be called."""

    app: Any
    interface: Interface
    framework: str
    seconds: float


def load_app(target: AppTarget) -> LoadedApp:
    """Import the app and make it, once, in this process.

    Leaves `target.directory` in front on `sys.path`, whatever happens.

    Raises:
        AppLoadError: if there is no app, or it cannot be loaded.
    """
    started = time.perf_counter()
    if target.directory not in sys.path[:1]:
        sys.path.insert(0, target.directory)
    if not os.access(target.directory, os.R_OK | os.X_OK):
        raise load_errors.folder_closed(target)
    with _told(target), no_servers():
        module = importlib.import_module(target.module)
    app = _app_in(module, target)
    interface = _checked_interface(app, target)
    return LoadedApp(app, interface, framework_of(app), time.perf_counter() - started)


def _app_in(module: ModuleType, target: AppTarget) -> Any:  # noqa: ANN401 - whatever is there
    expression = _expression(module, target)
    found: Any = module
    for name in expression.path:
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise load_errors.no_attribute(target, module, ".".join(expression.path)) from error
    if not expression.is_call:
        return found
    if not callable(found):
        raise load_errors.not_callable(target, found)
    return _made(found, expression, target)


def _expression(module: ModuleType, target: AppTarget) -> Expression:
    if not target.expression:
        names = candidates(module)
        if not names:
            raise load_errors.no_app(target, module)
        return names[0]
    try:
        expression = Expression.parse(target.expression)
    except ValueError as error:
        raise load_errors.bad_expression(target, error) from error
    return expression.called() if target.factory else expression


def _made(factory: Any, expression: Expression, target: AppTarget) -> Any:  # noqa: ANN401 - as above
    with _told(target), no_servers():
        try:
            app = factory(*expression.arguments, **expression.keywords)
        except TypeError as error:
            if error.__traceback__ and error.__traceback__.tb_next is None:
                raise load_errors.bad_call(target, error) from error
            raise
    if app is None:
        raise load_errors.made_nothing(target)
    return app


def _checked_interface(app: object, target: AppTarget) -> Interface:
    if not callable(app):
        raise load_errors.not_callable(target, app)
    found = interface_of(app) if target.interface == "auto" else target.interface
    if not takes(app, ARGUMENTS[found]):
        raise load_errors.wrong_signature(target, app, found)
    return found


@contextlib.contextmanager
def _told(target: AppTarget) -> Iterator[None]:
    """Turn whatever the app's own code raises into an `AppLoadError`."""
    try:
        yield
    except AppLoadError:
        raise
    except ServerStartedError as error:
        raise load_errors.starts_a_server(error) from None
    except ModuleNotFoundError as error:
        raise load_errors.missing_module(target, error) from error
    except SyntaxError as error:
        raise load_errors.syntax_error(target, error) from error
    except (Exception, SystemExit) as error:
        raise load_errors.raised(target, error) from error


def describe_import(thread: int) -> str:
    """Return where a thread is right now: `models.py:12 in connect`, as far as the app goes."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - documented, and the only way
    while frame is not None:
        code = frame.f_code
        if traces.is_app_file(code.co_filename):
            shown = traces.shown_path(code.co_filename)
            return f"{shown}:{frame.f_lineno} in {code.co_name}"
        frame = frame.f_back
    return ""
