"""Questions about routes, answered by the code that the edge runs: the same rule is never here too.

The native module is imported with the first question: most configurations have no routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trivet.wire.edge_config import EdgeConfig


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is asked about; nothing of it is repaired."""

    method: str
    target: str
    """As in the request line: path and query, percent-encoded."""
    fields: tuple[tuple[str, str], ...]
    """Names and values without line ends; `Host` is one of them."""
    secure: bool
    """Whether it comes over TLS."""
    peer: str | None
    """Address at the other end of the connection; `None` for a Unix socket."""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one route means for a request."""

    route: str
    mismatch: str | None
    """The part of the route that does not hold; `None` where it matches."""
    decides: tuple[str, ...]
    """Options of the request's treatment that it decides."""
    action: str
    """What it does with the request, in words; empty where that is left to others."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to a request that the gate does not let pass."""

    status: int
    reason: str
    """The reason phrase."""
    code: str
    detail: str


class Explained(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of a request, and its way through the routes."""

    answerer: Literal["access", "app", "gate", "nobody", "probe", "route"]
    """Who answers: `route` the last of `steps`; `access` where the stand is not for the client,
    `nobody` where no app has the path."""
    app: int | None
    """Number of the app."""
    refused: Refusal | None
    client: str | None
    """Address of the client, as trusted proxies tell."""
    scheme: str
    authority: str
    path: str
    """Decoded, without dot segments; empty if the gate refuses the request."""
    final_path: str
    """After rewriting; empty if no routes were asked."""
    is_forbidden: bool
    """Whether the routes do not let this client have it: 403."""
    is_circle: bool
    """Whether it is rewritten without end, or to what is no path."""
    steps: tuple[Step, ...]
    """The routes that were looked at, in order; those of a rewritten request follow."""


def check_pattern(kind: Literal["glob", "host", "path", "regex", "value"], text: str) -> list[str]:
    """Check a pattern and return the names in it.

    Raises:
        ValueError: What is wrong with it; completes "`option` …".
    """
    from trivet import _trivet  # noqa: PLC0415 - as above

    return _trivet.check_pattern(kind, text)


def check_media_types(types: Mapping[str, str]) -> None:
    """Check media types by file extension.

    Raises:
        ValueError: What is wrong with the first that is wrong.
    """
    from trivet import _trivet  # noqa: PLC0415 - as above

    _trivet.check_media_types(list(types.items()))


def check_field_name(message: Literal["request", "response"], name: str) -> None:
    """Check the name of a field that a route changes.

    Raises:
        ValueError: As above.
    """
    from trivet import _trivet  # noqa: PLC0415 - as above

    _trivet.check_field_name(message, name)


def check_template(
    kind: Literal["field", "location", "path"], text: str, names: Sequence[str]
) -> None:
    """Check the text of a field, redirect or rewrite that may use `names`.

    Raises:
        ValueError: As above.
    """
    from trivet import _trivet  # noqa: PLC0415 - as above

    _trivet.check_template(kind, text, list(names))


def unreachable(config: EdgeConfig) -> tuple[str, str] | None:
    """Name a route that no request reaches, and the one that is why.

    Raises:
        ValueError: A route has a bad part.
    """
    from trivet import _trivet  # noqa: PLC0415 - as above

    return _trivet.unreachable_route(config.to_json())


def explain(config: EdgeConfig, asked: Asked) -> Explained:
    """Tell what becomes of a request: the code of the edge judges it.

    Raises:
        ValueError: A route has a bad part.
    """
    from trivet import _trivet  # noqa: PLC0415 - as above

    answer = _trivet.explain_request(config.to_json(), msgspec.json.encode(asked))
    return msgspec.json.decode(answer, type=Explained)
