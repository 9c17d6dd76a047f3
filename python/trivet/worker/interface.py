"""What kind of app a callable is, and which framework made it."""

import functools
import importlib.metadata
import inspect
from collections.abc import Iterator, Mapping
from typing import Literal

Interface = Literal["wsgi", "asgi"]

ARGUMENTS: Mapping[Interface, int] = {"wsgi": 2, "asgi": 3}
"""How many arguments the callable of each interface takes."""

# By top-level module: the name for people, and the distribution that knows the version.
_FRAMEWORKS: Mapping[str, tuple[str, str]] = {
    "bottle": ("Bottle", "bottle"),
    "django": ("Django", "django"),
    "falcon": ("Falcon", "falcon"),
    "fastapi": ("FastAPI", "fastapi"),
    "flask": ("Flask", "flask"),
    "litestar": ("Litestar", "litestar"),
    "pyramid": ("Pyramid", "pyramid"),
    "quart": ("Quart", "quart"),
    "starlette": ("Starlette", "starlette"),
}

# Where a middleware keeps the app that it wraps.
_INNER_NAMES = ("app", "wsgi_app", "application")
_LAYERS = 8


def interface_of(app: object) -> Interface:
    """Tell ASGI from WSGI by the callable: `async`, or three arguments without a default."""
    inner = _unwrapped(app)
    call = inner if inspect.isroutine(inner) or inspect.isclass(inner) else type(inner).__call__
    if inspect.iscoroutinefunction(call):
        return "asgi"
    # Of a `partial` its own signature counts: what it has bound already is not asked for.
    is_asgi = takes(app, ARGUMENTS["asgi"]) and not takes(app, ARGUMENTS["wsgi"])
    return "asgi" if is_asgi else "wsgi"


def takes(app: object, arguments: int) -> bool:
    """Tell whether it can be called with so many; of what cannot be inspected, assume so."""
    try:
        inspect.signature(app).bind(*[None] * arguments)  # type: ignore[arg-type]
    except TypeError:
        return False
    except ValueError:  # native code without a signature
        return True
    return True


def framework_of(app: object) -> str:
    """Return `Flask 3.1.3`, or nothing for a framework that is not known here."""
    for layer in layers(app):
        for cls in type(layer).__mro__:
            if known := _FRAMEWORKS.get(cls.__module__.partition(".")[0]):
                return " ".join(filter(None, [known[0], _version(known[1])]))
    return ""


def layers(app: object) -> Iterator[object]:
    """Yield the app, and what it wraps, outermost first, as far as attributes tell."""
    for _ in range(_LAYERS):
        yield app
        app = next(
            (vars_of[name] for name in _INNER_NAMES if name in (vars_of := _vars(app))), None
        )
        if app is None:
            return


def _vars(app: object) -> Mapping[str, object]:
    try:
        return getattr(app, "__dict__", {})
    except Exception:  # noqa: BLE001 - a proxy, such as Flask's `request`, raises what it likes
        return {}


def _unwrapped(app: object) -> object:
    while isinstance(app, functools.partial):
        app = app.func
    return app


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
