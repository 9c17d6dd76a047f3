"""Questions about routes, answered by the code that the edge runs: the same rule is never here too.

The native module is imported with the first question: most configurations have no routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivet.wire.edge_config import EdgeConfig


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is asked about."""

    method: str
    secure: bool
    authority: str
    """Host, and port if there is one."""
    path: str
    """Decoded, without dot segments."""
    query: str
    """As sent, without `?`."""
    fields: tuple[tuple[str, str], ...]
    """Names in lower case."""
    client: str | None
    """Its address; `None` for a Unix socket."""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one route means for a request."""

    route: str
    mismatch: str | None
    """The part of the route that does not hold; `None` where it matches."""
    decides: tuple[str, ...]
    """Options of the request's treatment that it decides."""
    action: str
    """What it does with the request, in words; empty where that is left to others."""


class Explained(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way of a request through the routes."""

    steps: tuple[Step, ...]
    reaches_app: bool
    path: str
    """In the end, after rewriting."""


def check_pattern(kind: Literal["host", "path", "regex", "value"], text: str) -> list[str]:
    """Check a pattern and return the names in it.

    Raises:
        ValueError: What is wrong with it; completes "`option` …".
    """
    from trivet import _trivet  # noqa: PLC0415 - as above

    return _trivet.check_pattern(kind, text)


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
    """Tell the way of a request through the routes, as the edge goes it.

    Raises:
        ValueError: A route has a bad part.
    """
    from trivet import _trivet  # noqa: PLC0415 - as above

    answer = _trivet.explain_request(config.to_json(), msgspec.json.encode(asked))
    return msgspec.json.decode(answer, type=Explained)
