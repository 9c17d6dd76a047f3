"""`[limits]`: how much a client may send or hold."""

from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.size import Size


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a client may send or hold."""

    request_head: Annotated[
        Size,
        Option(
            doc="Size of a request's line and fields together (431).",
            why="Above what browsers send with the largest cookies that servers take: nginx and "
            "gunicorn allow about as much in sum.",
            minimum="1k",
            maximum="1m",
            spec="RFC 6585 section 5",
            applies="reload",
        ),
    ] = Size("32k")

    request_fields: Annotated[
        int,
        Option(
            doc="Number of fields of a request (431).",
            why="gunicorn's and Apache's number; browsers send about twenty.",
            minimum=8,
            maximum=256,
            spec="RFC 6585 section 5",
            applies="reload",
        ),
    ] = 100

    request_target: Annotated[
        Size,
        Option(
            doc="Size of a request's target: path and query (414).",
            why="The standard asks for 8000 bytes at least; nginx and Apache allow about 8 KiB.",
            minimum="256",
            maximum="65535",
            spec="RFC 9110 section 4.1",
            applies="reload",
        ),
    ] = Size("8k")

    request_body: Annotated[
        Size,
        Option(
            doc="Size of a request's content (413).",
            why="Wide enough for the uploads of most apps, small enough that one client cannot "
            "fill a disk with a single request; larger content lies in a file, never in memory.",
            spec="RFC 9110 section 15.5.14",
            applies="reload",
        ),
    ] = Size("100m")

    connections: Annotated[
        int,
        Option(
            doc="Client connections in total. A reload changes it for those that come then.",
            why="An idle one costs a few KiB and a descriptor; 16384 of them stay below 150 MB.",
            minimum=1,
            maximum=1_000_000,
            auto="16384, or three quarters of the file descriptors that are allowed",
            applies="reload",
        ),
    ] = 16_384

    connections_per_address: Annotated[
        int,
        Option(
            doc="Client connections of one address. Loopback, Unix sockets and `proxy.trusted` "
            "are exempt. A reload changes it for connections that come then.",
            why="One client must not hold all connections. Many people may share an address "
            "(a company, a mobile network, a load balancer that is not named in "
            "`proxy.trusted`), so this is a sixteenth of all, far above what a browser opens.",
            minimum=1,
            maximum=1_000_000,
            applies="reload",
        ),
    ] = 1024

    queue: Annotated[
        int,
        Option(
            doc="Requests that may wait for a worker; more are answered with 503.",
            why="A queue longer than what the workers can do within `timeouts.queue_wait` only "
            "makes everybody late.",
            minimum=1,
            maximum=1_000_000,
            spec="RFC 9110 section 15.6.4",
            in_app="queue",
            applies="reload",
        ),
    ] = 1024

    concurrency: Annotated[
        int | None,
        Option(
            doc="Requests of an app that may wait or run at once, accepted WebSockets included; "
            "more are answered with 503 and `Retry-After`.",
            why="uvicorn's `limit_concurrency`: it bounds what the app has to carry in sum, while "
            "`limits.queue` bounds only those that wait and lets as many run as the workers can. "
            "Off: the workers' threads bound it already.",
            flag="--limit-concurrency",
            aliases=("--max-concurrency",),
            metavar="N|off",
            none="off",
            minimum=1,
            maximum=1_000_000,
            spec="RFC 9110 section 15.6.4",
            in_app="concurrency",
            applies="reload",
        ),
    ] = None
