"""`[[route]]`: what is done with some requests."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.duration import Duration
from trivet.config.value.limit_key import LimitKey
from trivet.config.value.rate import Rate
from trivet.config.value.size import Size

NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""A token (RFC 9110 section 5.6.2), as names of methods and fields are."""


class Route(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests, how they are treated, and who answers them."""

    path: Annotated[
        str | None,
        Option(
            doc="Exact path (`/about`), a prefix that ends with `*` (`/static/*`), or a pattern "
            "with names (`/users/{id}/{rest*}`).",
            why="What the route is for; left out, it is for every path.",
            pattern=r"/[^?#\s]*",
            form="a path such as `/upload`, or a prefix such as `/upload/*`",
            applies="reload",
        ),
    ] = None

    regex: Annotated[
        str | None,
        Option(
            doc="Regular expression that the whole path must match, in place of `path`; "
            "`(?<name>…)` makes a name.",
            why="What patterns cannot say. It runs in time linear in the path, so it has no "
            "look-around and no back-references.",
            applies="reload",
        ),
    ] = None

    host: Annotated[
        tuple[str, ...],
        Option(
            doc="Hosts that it is for: `example.com`, `*.example.com`, or `*`; all if left out.",
            why="Several sites in one stand.",
            spec="RFC 9110 section 7.2",
            applies="reload",
        ),
    ] = ()

    method: Annotated[
        tuple[str, ...],
        Option(
            doc="Methods that it is for; all if left out.",
            why="Reading and writing often want different limits.",
            spec="RFC 9110 section 9.1",
            applies="reload",
        ),
    ] = ()

    scheme: Annotated[
        Literal["http", "https"] | None,
        Option(
            doc="Scheme that it is for, as trusted proxies tell it.",
            why="What comes in clear may be sent to `https`.",
            applies="reload",
        ),
    ] = None

    field: Annotated[
        dict[str, str],
        Option(
            doc="Request fields that must be there: a value, `*` for any, or `~` and a regular "
            "expression for the whole value.",
            why="Clients of an API choose its version so.",
            applies="reload",
        ),
    ] = msgspec.field(default_factory=dict)

    query: Annotated[
        dict[str, str],
        Option(
            doc="Query parameters that must be there, written as in `field`.",
            why="Old addresses often carry their page in the query.",
            applies="reload",
        ),
    ] = msgspec.field(default_factory=dict)

    client: Annotated[
        tuple[str, ...],
        Option(
            doc="Clients that it is for: names of lists (`[list.NAME]`), addresses, networks, "
            "`unix`, `loopback` or `private`; all if left out.",
            why="What the office may see, others need not. The client is the one that trusted "
            "proxies tell.",
            applies="reload",
        ),
    ] = ()

    app: Annotated[
        bool,
        Option(
            doc="Whether the app answers, without a look at further routes and static folders.",
            why="An exception from a wider route behind it.",
            applies="reload",
        ),
    ] = False

    redirect: Annotated[
        str | None,
        Option(
            doc="Where clients are sent: a path or URL, with `{names}` of the path, `{path}`, "
            "`{query}`, `{?query}`, `{host}` and `{scheme}`.",
            why="Addresses change, and links to them do not.",
            spec="RFC 9110 section 15.4",
            applies="reload",
        ),
    ] = None

    rewrite: Annotated[
        str | None,
        Option(
            doc="The path that the request goes on with, written as in `redirect`; the routes "
            "judge it anew, and the client does not notice.",
            why="An app's paths need not be the public ones.",
            applies="reload",
        ),
    ] = None

    respond: Annotated[
        str | None,
        Option(
            doc="Content of an answer that the edge gives by itself, with `status` and "
            "`content_type`.",
            why="`/robots.txt` needs no app.",
            multiline=True,
            applies="reload",
        ),
    ] = None

    status: Annotated[
        int | None,
        Option(
            doc="Status of a `redirect` (308 if left out) or a `respond` (200); alone, the edge "
            "answers with its page for that status.",
            why="308 keeps the method and is remembered; 410 tells that something is gone.",
            minimum=200,
            maximum=599,
            spec="RFC 9110 section 15",
            applies="reload",
        ),
    ] = None

    content_type: Annotated[
        str,
        Option(
            doc="Media type of `respond`.",
            why="Most such answers are plain text.",
            spec="RFC 9110 section 8.3",
            applies="reload",
        ),
    ] = "text/plain; charset=utf-8"

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

    compress: Annotated[
        bool | None,
        Option(
            doc="Whether the app's responses are compressed, in place of `compression.enabled`.",
            why="A page with a secret and text from its request should not be; an API's lists "
            "may well be.",
            spec="RFC 9110 section 8.4",
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

    set_request_fields: Annotated[
        dict[str, str],
        Option(
            doc="Request fields that the app gets in place of the client's, with `{names}` of "
            "the path, `{path}`, `{query}`, `{host}` and `{scheme}` in their values.",
            why="What the edge tells an app must not come from a client.",
            spec="RFC 9110 section 6.3",
            applies="reload",
        ),
    ] = msgspec.field(default_factory=dict)

    add_request_fields: Annotated[
        dict[str, str],
        Option(
            doc="Request fields that the app gets beside those of the client.",
            why="A list may grow on its way.",
            spec="RFC 9110 section 6.3",
            applies="reload",
        ),
    ] = msgspec.field(default_factory=dict)

    remove_request_fields: Annotated[
        tuple[str, ...],
        Option(
            doc="Request fields that the app does not get.",
            why="What an app does not know it cannot believe.",
            spec="RFC 9110 section 6.3",
            applies="reload",
        ),
    ] = ()

    set_response_fields: Annotated[
        dict[str, str],
        Option(
            doc="Response fields in place of those of the app or the edge, written as in "
            "`set_request_fields`.",
            why="`Strict-Transport-Security` and its like belong to a site, not to one app.",
            spec="RFC 9110 section 6.3",
            applies="reload",
        ),
    ] = msgspec.field(default_factory=dict)

    add_response_fields: Annotated[
        dict[str, str],
        Option(
            doc="Response fields beside those of the app or the edge.",
            why="`Link` and `Set-Cookie` may stand there several times.",
            spec="RFC 9110 section 6.3",
            applies="reload",
        ),
    ] = msgspec.field(default_factory=dict)

    remove_response_fields: Annotated[
        tuple[str, ...],
        Option(
            doc="Response fields that the client does not get.",
            why="Some frameworks tell their version to everybody.",
            spec="RFC 9110 section 6.3",
            applies="reload",
        ),
    ] = ()
    allow: Annotated[
        tuple[str, ...] | None,
        Option(
            doc="Only clients among these are answered, named as in `client`; others get 403.",
            why="An exception within a route that denies names its clients here; `*` allows all.",
            spec="RFC 9110 section 15.5.4",
            applies="reload",
        ),
    ] = None

    deny: Annotated[
        tuple[str, ...] | None,
        Option(
            doc="No client among these is answered (403), allowed or not; an empty list denies "
            "nobody.",
            why="Who does harm to one part of a site may still read the rest.",
            spec="RFC 9110 section 15.5.4",
            applies="reload",
        ),
    ] = None

    rate_limit: Annotated[
        Rate | None,
        Option(
            doc="How many requests are taken in a time (429 above): `20/s`, `100/m burst 50` or "
            "`5/10s`; `off` for any number. The burst, which may come at once, is the number "
            "itself if left out.",
            why="A login or a search must not be tried a thousand times. 429 tells when the next "
            "request is granted.",
            zero="off",
            spec="RFC 6585 section 4, draft-ietf-httpapi-ratelimit-headers-10",
            applies="reload",
        ),
    ] = None

    rate_limit_by: Annotated[
        LimitKey,
        Option(
            doc="Who requests count for in `rate_limit`: `address` (IPv6 by its /64), "
            "`address/24` or `address/24/56` (the network of so many bits), `field:NAME`, "
            "`cookie:NAME`, or `route` for all together.",
            why="A key of an API has a rate of its own, wherever it is used. Whoever sends no "
            "such field or cookie counts by address.",
            applies="reload",
        ),
    ] = LimitKey("address")

    max_concurrency: Annotated[
        int | None,
        Option(
            doc="How many requests run at once (503 above), accepted WebSockets included; `off` "
            "for any number.",
            why="One slow export must not take all workers.",
            minimum=0,
            maximum=1_000_000,
            zero="off",
            applies="reload",
        ),
    ] = None

    max_concurrency_by: Annotated[
        LimitKey,
        Option(
            doc="Who requests count for in `max_concurrency`, written as in `rate_limit_by`.",
            why="The route as a whole is what an app suffers from.",
            applies="reload",
        ),
    ] = LimitKey("route")
