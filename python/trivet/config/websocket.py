"""`[websocket]`: what WebSockets may do, and how long the edge waits for them."""

from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.duration import Duration
from trivet.config.value.size import Size


class WebSocket(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What WebSockets may do, and how long the edge waits for them."""

    max_message: Annotated[
        Size,
        Option(
            doc="Size of a client's message, before it is compressed (close code 1009); not where "
            "a WSGI app speaks WebSocket by itself.",
            why="A message is gathered in the worker's memory before the app gets it, so this is "
            "what each client can make it hold. The `websockets` library has the same default; "
            "uvicorn and hypercorn allow 16 MiB.",
            flag="--ws-max-size",
            metavar="SIZE",
            minimum="125",
            maximum="1g",
            spec="RFC 6455 section 10.4",
            applies="reload",
        ),
    ] = Size("1m")

    ping_interval: Annotated[
        Duration,
        Option(
            doc="How long a client may say nothing before the edge sends it a ping, or the system "
            "does (TCP keep-alive) where a WSGI app speaks by itself; 0 for no pings.",
            why="Proxies and address translators forget connections that are silent for a "
            "minute; uvicorn and `websockets` ask as often.",
            flag="--ws-ping-interval",
            metavar="DURATION",
            maximum="1d",
            spec="RFC 6455 section 5.5.2",
            applies="reload",
        ),
    ] = Duration("20s")

    ping_timeout: Annotated[
        Duration,
        Option(
            doc="How long it may say nothing after that before it counts as gone (close code 1006 "
            "for the app).",
            why="A client that lost its network never says so; uvicorn and `websockets` wait as "
            "long.",
            flag="--ws-ping-timeout",
            metavar="DURATION",
            minimum="100ms",
            maximum="1d",
            spec="RFC 6455 section 5.5.3",
            applies="reload",
        ),
    ] = Duration("20s")

    idle: Annotated[
        Duration,
        Option(
            doc="How long a WebSocket may carry no message in either direction (close code 1000); "
            "0 for any time.",
            why="A client that answers pings is alive, and apps that only push wait for hours; a "
            "limit is for those who pay for each open connection.",
            metavar="DURATION",
            maximum="1d",
            applies="reload",
        ),
    ] = Duration("0s")

    compression: Annotated[
        bool,
        Option(
            doc="Whether messages may be compressed (permessage-deflate).",
            why="Off, because it costs the edge's CPU for all connections, and small messages do "
            "not shrink. Without context between messages, so that it costs no memory.",
            flag="--ws-compression",
            spec="RFC 7692",
            applies="reload",
        ),
    ] = False
