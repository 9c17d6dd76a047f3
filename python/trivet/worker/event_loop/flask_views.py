"""Flask's `async def` views, on one event loop per worker.

Flask itself runs each of them on a loop of its own, which ends with the view; what the view has
opened dies with it. asgiref, which Flask asks for that, is not needed here.
"""

import functools
import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from trivet.worker.event_loop.shared import AsyncFunction, SharedLoop
from trivet.worker.interface import layers

_LAYERS = 32


def share_loop(app: object) -> SharedLoop | None:
    """Let the Flask apps in `app` run their async views on one loop, and return it.

    An app that says by itself how it runs them (`async_to_sync` or `ensure_sync`, as a method of
    its class or an attribute) is left alone.

    Returns:
        The loop, which begins with the first view; `None` where there is no such app.
    """
    flask = sys.modules.get("flask")
    if flask is None:
        return None
    apps = [each for each in _inside(app) if isinstance(each, flask.Flask)]
    plain = [each for each in apps if _is_plain(each, flask.Flask)]
    if not plain:
        return None
    shared = SharedLoop()
    for each in plain:
        each.async_to_sync = functools.partial(_on_loop, shared)
    return shared


def _on_loop(shared: SharedLoop, function: AsyncFunction) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the view
        return shared.run(function, *args, **kwargs)

    return call


def _is_plain(app: object, flask: type) -> bool:
    return all(
        name not in vars(app) and getattr(type(app), name) is getattr(flask, name)
        for name in ("async_to_sync", "ensure_sync")
    )


def _inside(app: object) -> Iterator[object]:
    """Yield the app and what it wraps, as far as attributes tell; dispatchers have several."""
    seen: set[int] = set()
    waiting = deque([app])
    while waiting and len(seen) < _LAYERS:
        for layer in layers(waiting.popleft()):
            if id(layer) in seen:
                break
            seen.add(id(layer))
            yield layer
            owner = getattr(layer, "__self__", None)
            mounts = vars(layer).get("mounts") if hasattr(layer, "__dict__") else None
            waiting += [] if owner is None else [owner]
            waiting += mounts.values() if isinstance(mounts, dict) else []
