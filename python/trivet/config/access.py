"""`[access]`: whose requests are answered at all."""

from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option


class Access(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose requests are answered at all."""

    allow: Annotated[
        tuple[str, ...] | None,
        Option(
            doc="Names of lists, addresses and networks: only clients among them are answered "
            "(others get 403). Health probes are answered in any case.",
            why="Left out, everybody is. The client is the one that trusted proxies tell.",
            spec="RFC 9110 section 15.5.4",
            applies="reload",
        ),
    ] = None

    deny: Annotated[
        tuple[str, ...],
        Option(
            doc="Names of lists, addresses and networks: no client among them is answered, "
            "allowed or not.",
            why="Who does harm is kept away from all routes at once.",
            spec="RFC 9110 section 15.5.4",
            applies="reload",
        ),
    ] = ()
