"""`[[site]]`: how the addresses of a site are written."""

from typing import Annotated, Literal

from msgspec import Struct

from trivet.config.option import Option


class Site(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hosts, and the one form of address that their pages have."""

    host: Annotated[
        tuple[str, ...],
        Option(
            doc="Hosts of the site: `example.com`, `*.example.com`, or `*` for all.",
            why="Sites want different forms of address.",
            spec="RFC 9110 section 7.2",
            applies="reload",
        ),
    ]

    www: Annotated[
        Literal["add", "remove"] | None,
        Option(
            doc="Whether clients are sent to the host with `www.` before its name, or without.",
            why="One page should have one address. Left out, both are served.",
            applies="reload",
        ),
    ] = None

    https: Annotated[
        bool,
        Option(
            doc="Whether requests in clear are sent to `https`.",
            why="Needs TLS here or at a trusted proxy, so it is not the default.",
            applies="reload",
        ),
    ] = False

    trailing_slash: Annotated[
        Literal["add", "remove"] | None,
        Option(
            doc="Whether clients that read are sent to the path with a slash at its end (unless "
            "its last part has a dot), or without.",
            why="One page should have one address. Left out, the app or the folder decides.",
            applies="reload",
        ),
    ] = None
