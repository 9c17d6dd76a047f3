"""What the app's framework does with which requests, as far as it can be asked.

Only the route tables of Flask and Quart, Django, Starlette and FastAPI are read: nothing of the
app is called, but for what their own matching calls.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from trivet.wire.worker_control import AppRoute, AppRoutes, RoutesAsked
from trivet.worker.interface import layers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST: Final = 10_000
"""Routes that are told: they go in one message."""
_ADDED: Final = frozenset({"HEAD", "OPTIONS"})
"""Methods that frameworks add to what an app asks for."""
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_DEPTH: Final = 20


def answer(app: object, asked: RoutesAsked) -> AppRoutes:
    """List the routes of the app's framework, and say which of them a request takes.

    What raises on the way is told as the answer's `problem`.
    """
    try:
        return _answer(app, asked)
    except Exception as error:  # noqa: BLE001 - frameworks and their apps raise what they like
        problem = f"its routes cannot be read: {type(error).__name__}: {error}"
        return AppRoutes(is_known=False, routes=(), taken=None, problem=problem)


def _answer(app: object, asked: RoutesAsked) -> AppRoutes:
    for layer in layers(app):
        if hasattr(getattr(layer, "url_map", None), "iter_rules"):
            return _told(_of_flask(layer), _in_flask(layer, asked))
        package = type(layer).__module__.partition(".")[0]
        if package == "django":
            return _told(_of_django(), _in_django(asked))
        own = getattr(layer, "routes", None)
        if isinstance(own, list):
            return _told(_of_starlette(own, ""), _in_starlette(own, asked))
    return AppRoutes(is_known=False, routes=(), taken=None, problem="")


def _told(routes: Iterable[AppRoute], taken: tuple[AppRoute | None, str]) -> AppRoutes:
    found = tuple(itertools.islice(routes, MOST))
    return AppRoutes(is_known=True, routes=found, taken=taken[0], problem=taken[1])


def _route(methods: Iterable[str] | None, path: str, endpoint: str) -> AppRoute:
    """Make a route; of its methods those are left out that every route has."""
    known = set(methods or ())
    shown = known - _ADDED or known
    rank = {method: at for at, method in enumerate(_METHODS)}
    ordered = sorted(shown, key=lambda method: (rank.get(method, len(rank)), method))
    return AppRoute(methods=tuple(ordered), path=path, endpoint=endpoint)


# Flask and Quart: a `Map` of Werkzeug's.


def _of_flask(app: Any) -> Iterator[AppRoute]:  # noqa: ANN401 - no framework is imported here
    for rule in app.url_map.iter_rules():
        yield _of_rule(app, rule)


def _of_rule(app: Any, rule: Any) -> AppRoute:  # noqa: ANN401 - as above
    view = getattr(app, "view_functions", {}).get(rule.endpoint)
    return _route(rule.methods, rule.rule, _named(view) if view else rule.endpoint)


def _in_flask(app: Any, asked: RoutesAsked) -> tuple[AppRoute | None, str]:  # noqa: ANN401 - as above
    if not asked.path:
        return None, ""
    from werkzeug.exceptions import HTTPException  # noqa: PLC0415 - the app's, and it is there
    from werkzeug.routing import RequestRedirect  # noqa: PLC0415 - as above

    bound = app.url_map.bind(asked.host, script_name=asked.mount or "/", url_scheme=asked.scheme)
    try:
        rule, _ = bound.match(asked.path, asked.method, return_rule=True)
    except RequestRedirect as redirect:
        return None, f"{redirect.code}, to {redirect.new_url}"
    except HTTPException as problem:
        return None, f"{problem.code} {problem.name}: no route of the app is for it"
    return _of_rule(app, rule), ""


# Django: its resolver, which is one for the whole process.


def _of_django() -> Iterator[AppRoute]:
    from django.urls import get_resolver  # noqa: PLC0415 - as above

    yield from _of_patterns(get_resolver().url_patterns, "/", 0)


def _of_patterns(patterns: Iterable[Any], prefix: str, depth: int) -> Iterator[AppRoute]:
    for each in patterns:
        path = prefix + str(each.pattern)
        inner = getattr(each, "url_patterns", None)
        if inner is None:
            yield _route(None, path, each.lookup_str)
        elif depth < _DEPTH:
            yield from _of_patterns(inner, path, depth + 1)


def _in_django(asked: RoutesAsked) -> tuple[AppRoute | None, str]:
    if not asked.path:
        return None, ""
    from django.urls import Resolver404, resolve  # noqa: PLC0415 - as above

    try:
        match = resolve(asked.path)
    except Resolver404:
        return None, "404 Not Found: no route of the app is for it"
    return _route(None, f"/{match.route}", match._func_path), ""  # noqa: SLF001 - there is no other name for it


# Starlette and FastAPI: lists of routes, some of which hold others.


def _of_starlette(routes: Iterable[Any], prefix: str, depth: int = 0) -> Iterator[AppRoute]:
    for each in routes:
        path = prefix + str(getattr(each, "path", ""))
        inner = getattr(each, "routes", None)
        if inner and depth < _DEPTH:
            yield from _of_starlette(inner, path, depth + 1)
        else:
            yield _of_route(each, path)


def _of_route(route: Any, path: str) -> AppRoute:  # noqa: ANN401 - as above
    endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
    return _route(getattr(route, "methods", None), path, _named(endpoint))


def _in_starlette(
    routes: Iterable[Any],
    asked: RoutesAsked,
    prefix: str = "",
    scope: dict[str, Any] | None = None,
    depth: int = 0,
) -> tuple[AppRoute | None, str]:
    if not asked.path:
        return None, ""
    scope = scope or {
        "type": "http",
        "method": asked.method,
        "path": asked.mount + asked.path,
        "root_path": asked.mount,
        "headers": [(b"host", asked.host.encode("latin-1", "replace"))],
    }
    partial = False
    for each in routes:
        match, inner_scope = each.matches(scope)
        path = prefix + str(getattr(each, "path", ""))
        if match.name == "PARTIAL":
            partial = True
        elif match.name == "FULL":
            inner = getattr(each, "routes", None)
            if not inner or depth >= _DEPTH:
                return _of_route(each, path), ""
            return _in_starlette(inner, asked, path, {**scope, **inner_scope}, depth + 1)
    answer = "405 Method Not Allowed" if partial else "404 Not Found"
    return None, f"{answer}: no route of the app is for it"


def _named(endpoint: Any) -> str:  # noqa: ANN401 - as above
    """Name a function or an object as one would look for it."""
    if endpoint is None:
        return ""
    if not hasattr(endpoint, "__qualname__"):
        endpoint = getattr(endpoint, "func", None) or type(endpoint)
    return f"{endpoint.__module__}.{endpoint.__qualname__}"
