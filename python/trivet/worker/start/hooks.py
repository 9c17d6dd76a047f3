"""Calling what the operator has hooked into the life of a worker.

Hooks run in worker processes (and `on_start`, with `preload`, in the fork server), never in the
supervisor: what they import or break is the app's, and goes with it.
"""

import importlib
import inspect
import sys
from dataclasses import dataclass
from typing import Any

from trivet.errors import AppLoadError
from trivet.wire.worker_control import AppTarget, Hooks
from trivet.worker import traces


@dataclass(frozen=True, slots=True)
class HookedWorker:
    """What a hook is called with.

    Attributes:
        number: of the worker, never used twice in a stand; 0 in a fork server.
        app: the app; `None` in `on_start`, which comes before it.
    """

    number: int
    app: Any


def call(name: str, hooks: Hooks, worker: HookedWorker) -> None:
    """Call a hook that comes before the worker serves, if there is one.

    Raises:
        AppLoadError: It does not exist or raised: such a worker must not serve.
    """
    dotted: str = getattr(hooks, name)
    if not dotted:
        return
    try:
        hook = _find(name, dotted)
        hook(worker)
    except AppLoadError:
        raise
    except (Exception, SystemExit) as error:
        raise AppLoadError(
            f"the hook `{name}` failed: {traces.summarise(error)}",
            code="app.hook",
            hint=f"`{dotted}` is called with one argument, the worker",
            place=traces.place_of(traces.app_frame(error.__traceback__)),
            detail=traces.format_trimmed(error),
        ) from error


def call_and_go_on(name: str, hooks: Hooks, worker: HookedWorker) -> None:
    """Call a hook after which the worker goes on, whatever it raises: that is logged."""
    try:
        call(name, hooks, worker)
    except AppLoadError as error:
        sys.stderr.write(f"{error.message}\n{error.detail or ''}")


def prepare(target: AppTarget) -> None:
    """Put the app's folder in front on `sys.path`, where hooks are looked for too."""
    if target.directory not in sys.path[:1]:
        sys.path.insert(0, target.directory)


def _find(name: str, dotted: str) -> Any:  # noqa: ANN401 - whatever is there
    module, _, path = dotted.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if inspect.iscoroutinefunction(found):
        raise AppLoadError(
            f"the hook `{name}` is a coroutine function: `{dotted}`",
            code="app.hook",
            hint="hooks are plain functions; an ASGI app's lifespan is for what must be awaited",
        )
    return found
