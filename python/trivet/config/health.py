"""`[health]`: probes that the edge answers by itself."""

from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.duration import Duration

_PATTERN = r"/[^*?#\s]*"
_FORM = "a path such as `/readyz`"


class Health(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Probes that the edge answers by itself, however busy the workers are."""

    live: Annotated[
        str | None,
        Option(
            doc="Path that answers 200 while edge and supervisor live, also while they drain.",
            why="For what starts a dead container anew (Kubernetes' liveness probe, `/livez`). "
            "Off, since an app may have the path; it never reaches the app then.",
            metavar="PATH|off",
            none="off",
            pattern=_PATTERN,
            form=_FORM,
            applies="reload",
        ),
    ] = None

    ready: Annotated[
        str | None,
        Option(
            doc="Path that answers 200 while every app has a worker that takes requests, and 503 "
            "with the reason where one has none, or from the moment of a stop on.",
            why="For what sends the traffic: a load balancer, or Kubernetes' readiness probe "
            "(`/readyz`). Off, since an app may have the path.",
            metavar="PATH|off",
            none="off",
            pattern=_PATTERN,
            form=_FORM,
            applies="reload",
        ),
    ] = None

    drain_delay: Annotated[
        Duration,
        Option(
            doc="How long new connections are still served after a stop has begun, with `ready` "
            "saying 503; a part of `server.graceful_timeout`.",
            why="Whoever sends the traffic notices with the next probes, and must not run into "
            "closed doors until then. Without `ready` nobody would notice: no delay.",
            maximum="1h",
            applies="reload",
        ),
    ] = Duration("5s")

    log: Annotated[
        bool,
        Option(
            doc="Whether probes are written to the access log.",
            why="They come every few seconds and tell nothing: no.",
            applies="reload",
        ),
    ] = False
