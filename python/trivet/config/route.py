"""`[[route]]`: policies by path; the first match counts."""

from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.duration import Duration
from trivet.config.value.size import Size


class Route(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy for the requests of some paths."""

    path: Annotated[
        str,
        Option(
            doc="Exact path, or a prefix that ends with `*`.",
            why="What the policy is for.",
            pattern=r"/[^*?#\s]*\*?",
            form="a path such as `/upload`, or a prefix such as `/upload/*`",
            applies="reload",
        ),
    ]

    request_buffering: Annotated[
        bool | None,
        Option(
            doc="Whether the whole content is there before the app gets the request.",
            why="Buffering keeps slow clients away from workers; an app that handles an upload "
            "as it comes wants it off.",
            applies="reload",
        ),
    ] = None

    request_body: Annotated[
        Size | None,
        Option(
            doc="Size of a request's content (413), in place of `limits.request_body`.",
            why="One path takes uploads, the others need not.",
            spec="RFC 9110 section 15.5.14",
            applies="reload",
        ),
    ] = None

    timeout: Annotated[
        Duration | None,
        Option(
            doc="Time from a request's arrival to the head of its response (504), in place of "
            "`timeouts.request`; `off` for none.",
            why="A report takes minutes, and nothing else should.",
            maximum="1d",
            zero="off",
            spec="RFC 9110 section 15.6.5",
            applies="reload",
        ),
    ] = None

    cancel_on_disconnect: Annotated[
        bool | None,
        Option(
            doc="Whether a running request is interrupted when its client leaves: WSGI code gets "
            "`trivet.errors.ClientDisconnected`, an ASGI task is cancelled.",
            why="Most code should end what it began; a long search that nobody waits for need "
            "not. ASGI apps hear of it in any case (`http.disconnect`).",
            applies="reload",
        ),
    ] = None
