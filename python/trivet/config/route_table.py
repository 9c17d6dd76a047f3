"""The list of routes as the edge goes through it, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from trivet.config.access_lists import AccessLists
from trivet.config.explain import written
from trivet.config.option import fields_of
from trivet.config.route import Route
from trivet.config.routing import routes
from trivet.wire import edge_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trivet.config.loaded import Loaded

_REQUESTS: Final = frozenset(
    {"path", "regex", "host", "method", "scheme", "field", "query", "client"}
)
"""What says which requests a route is for."""
_ANSWERS: Final = frozenset({"app", "redirect", "rewrite", "respond", "status", "content_type"})
"""What says who answers."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A route.

    Attributes:
        number: Its place in the list, from 1.
        name: As in messages and logs: `route 3 (/upload/*)`.
        origin: Where it was written.
        requests: Which requests it is for; all where every part is empty.
        clients: Who they are for, as it was written; everybody if empty.
        policy: How they are treated, as it would stand in the file, by option.
        action: Who answers; `None` where that is left to others.
    """

    number: int
    name: str
    origin: str
    requests: edge_config.Match
    clients: tuple[str, ...]
    policy: Mapping[str, str]
    action: (
        edge_config.ToApp
        | edge_config.Files
        | edge_config.Redirect
        | edge_config.Respond
        | edge_config.Rewrite
        | None
    )


def table(loaded: Loaded) -> list[Row]:
    """List the routes, in the order in which the edge looks at them."""
    listed = routes(loaded.settings, AccessLists(loaded.settings))
    return [_row(number, route, loaded) for number, route in enumerate(listed, 1)]


def requests_text(row: Row) -> str:
    """Say which requests a route is for: `GET, HEAD https example.com /a/* ?v=2`."""
    clients = [f"from {', '.join(row.clients)}"] if row.clients else []
    return " ".join([*_requests(row.requests), *clients]) or "all"


def action_text(row: Row) -> str:
    """Say what becomes of its requests."""
    match row.action:
        case edge_config.ToApp():
            return "the app"
        case edge_config.Files() as files:
            rest = ", else on" if files.falls_through else ""
            return f"files of {files.folder}{rest}"
        case edge_config.Redirect(status=status, location=location):
            return f"{status}, to {location}"
        case edge_config.Respond(status=status):
            return str(status)
        case edge_config.Rewrite(path=path):
            return f"again as {path}"
        case _:
            return "on"


def policy_text(row: Row) -> str:
    """Say how its requests are treated: `timeout = 5s, request_body = 5m`."""
    return ", ".join(f"{option} = {value}" for option, value in row.policy.items())


def decided_text(row: Row, part: str) -> str:
    """Say what a route sets of a part of the treatment, which one option or several make up."""
    if part in row.policy:
        return f"{part} = {row.policy[part]}"
    options = [option for option in row.policy if option.endswith(f"_{part}")]
    return ", ".join(f"{option} = {row.policy[option]}" for option in options) or part


def _row(number: int, route: edge_config.Route, loaded: Loaded) -> Row:
    kind, at, *_ = route.name.split()
    written_at = loaded.rows[kind][int(at) - 1]
    own = loaded.settings.route[int(at) - 1] if kind == "route" else None
    return Row(
        number=number,
        name=route.name,
        origin=str(written_at),
        requests=route.requests,
        clients=own.client if own else (),
        policy=dict(_policy(own)) if own else {},
        action=route.action,
    )


def _policy(route: Route) -> Iterator[tuple[str, str]]:
    for name, _, default, _ in fields_of(Route):
        value = getattr(route, name)
        if name not in _REQUESTS | _ANSWERS and value != default:
            yield name, written(value)


def _requests(requests: edge_config.Match) -> Iterator[str]:
    if requests.methods:
        yield ", ".join(requests.methods)
    if requests.secure is not None:
        yield "https" if requests.secure else "http"
    if requests.hosts:
        yield ", ".join(requests.hosts)
    if requests.path:
        yield f"~{requests.path.text}" if requests.path.is_regex else requests.path.text
    for each in requests.query:
        yield f"?{each.name}={each.value}"
    for each in requests.fields:
        yield f"[{each.name}: {each.value}]"
