"""From `[[site]]`, `[[route]]` and `[[static]]` to the one list of routes that the edge gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trivet.wire import edge_config
from trivet.wire.edge_config import (
    AddField,
    Match,
    NamedValue,
    PathPattern,
    Policy,
    Redirect,
    RemoveField,
    SetField,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trivet.config.access_lists import AccessLists
    from trivet.config.route import Route
    from trivet.config.settings import Settings
    from trivet.config.site import Site
    from trivet.config.static import Static
    from trivet.config.value.limit_key import LimitKey

MOVED: Final = 308
"""The status of a redirection that keeps the method and is remembered."""
_READING: Final = ("GET", "HEAD")
_CODINGS: Final = (edge_config.Coding.ZSTD, edge_config.Coding.BR, edge_config.Coding.GZIP)
_NO_POLICY: Final = Policy(
    request_buffering=None,
    request_body_bytes=None,
    timeout_ms=None,
    cancel_on_disconnect=None,
    compress=None,
    request_fields=(),
    response_fields=(),
    allow=None,
    deny=None,
    rate_limit=None,
    max_concurrency=None,
)


def routes(settings: Settings, lists: AccessLists) -> tuple[edge_config.Route, ...]:
    """List the routes in the order in which the edge looks at them.

    Their names begin with the name of the table and its number: `route 3`. `lists` gets the
    addresses that they name.
    """
    return (
        *(route for at, site in enumerate(settings.site, 1) for route in _of_site(at, site)),
        *(_route(at, route, lists) for at, route in enumerate(settings.route, 1)),
        *(
            route
            for at, static in sorted(enumerate(settings.static, 1), key=_specific)
            for route in _of_static(at, static)
        ),
    )


def prefix(static: Static) -> str:
    """Give the path that stands before the names of a folder's files, with its slash."""
    return static.path.rstrip("/") + "/"


def _specific(numbered: tuple[int, Static]) -> tuple[int, bool]:
    """Order folders: the longest path first, then those for some hosts only."""
    static = numbered[1]
    return -len(prefix(static)), not static.host


def _of_site(number: int, site: Site) -> Iterator[edge_config.Route]:
    name = f"site {number}"
    bare = tuple(dict.fromkeys(host.removeprefix("www.") for host in site.host))
    hosts = (*bare, *(f"www.{host}" for host in bare)) if site.www else site.host
    if site.https:
        requests = _match(hosts=hosts, secure=False)
        yield _moved(f"{name} (https)", requests, "https://{hostname}{path}{?query}")
    for host in bare if site.www else ():
        wrong, right = (host, f"www.{host}") if site.www == "add" else (f"www.{host}", host)
        to = "{scheme}://" + right + "{:port}{path}{?query}"
        yield _moved(f"{name} (www)", _match(hosts=(wrong,)), to)
    if site.trailing_slash == "add":
        pattern, to = r"(?<trimmed>/(?:.*/)?[^/.]+)", "{trimmed}/{?query}"
    elif site.trailing_slash == "remove":
        pattern, to = r"(?<trimmed>/.*[^/])/+", "{trimmed}{?query}"
    else:
        return
    path = PathPattern(is_regex=True, text=pattern)
    requests = _match(hosts=hosts, path=path, methods=_READING)
    yield _moved(f"{name} (trailing slash)", requests, to)


def _moved(name: str, requests: Match, location: str) -> edge_config.Route:
    action = Redirect(status=MOVED, location=location)
    return edge_config.Route(name=name, requests=requests, policy=_NO_POLICY, action=action)


def _match(
    *,
    hosts: Sequence[str] = (),
    secure: bool | None = None,
    path: PathPattern | None = None,
    methods: Sequence[str] = (),
) -> Match:
    return Match(
        hosts=tuple(hosts),
        secure=secure,
        path=path,
        methods=tuple(methods),
        fields=(),
        query=(),
        clients=(),
    )


def _route(number: int, route: Route, lists: AccessLists) -> edge_config.Route:
    path = None
    if route.regex is not None:
        path = PathPattern(is_regex=True, text=route.regex)
    elif route.path is not None:
        path = PathPattern(is_regex=False, text=route.path)
    pattern = route.regex if route.path is None else route.path
    return edge_config.Route(
        name=f"route {number}" + (f" ({pattern})" if pattern else ""),
        requests=Match(
            hosts=route.host,
            secure=None if route.scheme is None else route.scheme == "https",
            path=path,
            methods=route.method,
            fields=_named(route.field, lower=True),
            query=_named(route.query),
            clients=lists.numbers(route.client),
        ),
        policy=Policy(
            request_buffering=route.request_buffering,
            request_body_bytes=None if route.request_body is None else route.request_body.bytes,
            timeout_ms=None if route.timeout is None else route.timeout.milliseconds,
            cancel_on_disconnect=route.cancel_on_disconnect,
            compress=route.compress,
            request_fields=_field_changes(
                route.set_request_fields, route.add_request_fields, route.remove_request_fields
            ),
            response_fields=_field_changes(
                route.set_response_fields, route.add_response_fields, route.remove_response_fields
            ),
            allow=lists.numbers_or_none(route.allow),
            deny=lists.numbers_or_none(route.deny),
            rate_limit=_rate_limit(route),
            max_concurrency=_max_concurrency(route),
        ),
        action=_action(route),
    )


def _field_changes(
    to_set: Mapping[str, str], to_add: Mapping[str, str], to_remove: Sequence[str]
) -> tuple[AddField | RemoveField | SetField, ...]:
    return (
        *(SetField(name=name, value=value) for name, value in to_set.items()),
        *(AddField(name=name, value=value) for name, value in to_add.items()),
        *(RemoveField(name=name) for name in to_remove),
    )


def _rate_limit(route: Route) -> edge_config.RateLimit | None:
    rate = route.rate_limit
    if rate is None:
        return None
    by = _limit_key(route.rate_limit_by)
    return edge_config.RateLimit(requests=rate.requests, per_s=rate.per_s, burst=rate.burst, by=by)


def _max_concurrency(route: Route) -> edge_config.MaxConcurrency | None:
    if route.max_concurrency is None:
        return None
    by = _limit_key(route.max_concurrency_by)
    return edge_config.MaxConcurrency(requests=route.max_concurrency, by=by)


def _limit_key(
    key: LimitKey,
) -> edge_config.AddressKey | edge_config.CookieKey | edge_config.FieldKey | edge_config.RouteKey:
    if key.kind == "address":
        return edge_config.AddressKey(v4_prefix=key.v4_prefix, v6_prefix=key.v6_prefix)
    if key.kind == "cookie":
        return edge_config.CookieKey(name=key.name)
    if key.kind == "field":
        return edge_config.FieldKey(name=key.name)
    return edge_config.RouteKey()


def _action(
    route: Route,
) -> edge_config.ToApp | edge_config.Redirect | edge_config.Respond | edge_config.Rewrite | None:
    if route.app:
        return edge_config.ToApp()
    if route.redirect is not None:
        return Redirect(status=route.status or MOVED, location=route.redirect)
    if route.rewrite is not None:
        return edge_config.Rewrite(path=route.rewrite)
    if route.respond is not None or route.status is not None:
        return edge_config.Respond(
            status=route.status or 200, content_type=route.content_type, content=route.respond
        )
    return None


def _of_static(number: int, static: Static) -> Iterator[edge_config.Route]:
    below = prefix(static)
    name = f"static {number} ({below})"
    if below != "/":
        path = PathPattern(is_regex=False, text=below.rstrip("/"))
        requests = _match(hosts=static.host, path=path, methods=_READING)
        yield _moved(f"{name} (slash)", requests, below + "{?query}")
    yield edge_config.Route(
        name=name,
        requests=_match(hosts=static.host, path=PathPattern(is_regex=False, text=below + "*")),
        policy=_NO_POLICY,
        action=edge_config.Files(
            folder=str(static.folder),
            prefix=below,
            index=static.index,
            listing=static.listing,
            fallback=static.fallback,
            not_found=static.not_found,
            falls_through=static.next,
            precompressed=_CODINGS if static.precompressed else (),
            cache_control=_named(static.cache_control),
            immutable=static.immutable,
            types=_named(static.types, lower=True),
            well_known=static.well_known,
            memory_bytes=static.memory.bytes,
        ),
    )


def _named(table: Mapping[str, str], *, lower: bool = False) -> tuple[NamedValue, ...]:
    return tuple(
        NamedValue(name=name.lower() if lower else name, value=value)
        for name, value in table.items()
    )
