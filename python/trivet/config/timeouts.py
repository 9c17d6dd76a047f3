"""`[timeouts]`: how long the edge waits before it gives up on a client, a queue or the app."""

from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.duration import Duration
from trivet.config.value.size import Size


class Timeouts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the edge waits before it gives up on a client, a queue or the app."""

    request: Annotated[
        Duration,
        Option(
            doc="Time from a request's arrival to the head of its response (504); `off` for none.",
            why="Heroku's and gunicorn's number: after half a minute the proxy in front or the "
            "person has given up. A response that has begun is under `response_stall`.",
            flag="--timeout",
            short="-t",
            aliases=("--harakiri",),
            metavar="DURATION|off",
            maximum="1d",
            zero="off",
            spec="RFC 9110 section 15.6.5",
            in_app="timeout",
            applies="reload",
        ),
    ] = Duration("30s")

    response_stall: Annotated[
        Duration,
        Option(
            doc="Longest silence of the app behind the head of a response whose client waits: "
            "then the connection is cut; `off` for none.",
            why="Event streams are silent for long and send a comment every half minute where "
            "a proxy is in between; one that says nothing for five is stuck.",
            metavar="DURATION|off",
            maximum="1d",
            zero="off",
            applies="reload",
        ),
    ] = Duration("5m")

    interrupt_grace: Annotated[
        Duration,
        Option(
            doc="What an interrupted request gets to let go, before its process is replaced.",
            why="Time for a rollback and for `finally` blocks; a thread that waits in C code "
            "cannot be interrupted, and would hold its place for ever.",
            maximum="1h",
            applies="reload",
        ),
    ] = Duration("5s")

    request_head: Annotated[
        Duration,
        Option(
            doc="Longest wait for a complete request head, from its first byte (408).",
            why="A slow head would hold a connection for nothing; on the worst mobile networks "
            "a head still comes within a few seconds.",
            minimum="100ms",
            maximum="1h",
            spec="RFC 9110 section 15.5.9",
            applies="reload",
        ),
    ] = Duration("10s")

    keep_alive: Annotated[
        Duration,
        Option(
            doc="How long an idle connection stays open for its next request.",
            why="It must outlast the load balancer in front, or its next request meets a closed "
            "connection and fails: AWS idles 60 s, Heroku's router 90 s.",
            flag="--keep-alive",
            aliases=("--timeout-keep-alive",),
            metavar="DURATION",
            minimum="100ms",
            maximum="1d",
            spec="RFC 9112 section 9.5",
            applies="reload",
        ),
    ] = Duration("95s")

    body_grace: Annotated[
        Duration,
        Option(
            doc="How long a request's content may come slower than `body_minimum_rate`.",
            why="A pause while a phone changes its network is no attack; Kestrel's default.",
            maximum="1h",
            applies="reload",
        ),
    ] = Duration("5s")

    body_minimum_rate: Annotated[
        Size,
        Option(
            doc="Bytes per second that a request's content must reach on average; 0 for none.",
            why="Kestrel's default: below the slowest modem, far above one byte at a time.",
            unit="per second",
            maximum="1g",
            applies="reload",
        ),
    ] = Size("240")

    write_stall: Annotated[
        Duration,
        Option(
            doc="Longest time in which a client takes nothing of its answer.",
            why="nginx's `send_timeout`: a client that reads nothing for a minute is gone.",
            minimum="100ms",
            maximum="1d",
            applies="reload",
        ),
    ] = Duration("60s")

    queue_wait: Annotated[
        Duration,
        Option(
            doc="Longest wait of a request for a worker (503 with `Retry-After`).",
            why="After ten seconds most people have reloaded the page: answering the old "
            "request would only delay their new one.",
            minimum="10ms",
            maximum="1h",
            spec="RFC 9110 section 15.6.4",
            applies="reload",
        ),
    ] = Duration("10s")

    linger: Annotated[
        Duration,
        Option(
            doc="How long a connection that the edge closes is still read while nothing comes, "
            "at most half a minute in all.",
            why="Closing with unread bytes resets the connection, and the client never sees why "
            "it was refused; Apache has the same two numbers.",
            maximum="1m",
            spec="RFC 9112 section 9.6",
            applies="reload",
        ),
    ] = Duration("2s")
