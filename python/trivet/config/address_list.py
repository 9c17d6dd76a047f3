"""`[list.NAME]`: addresses and networks that go by a name."""

from pathlib import Path
from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.peer import Peer


class AddressList(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Addresses and networks, for `[access]` and for the routes."""

    networks: Annotated[
        tuple[Peer, ...],
        Option(
            doc="Addresses, networks, `unix`, `loopback`, `private` or `*`.",
            why="One name for what several routes are about.",
            spec="RFC 4632 section 3.1, RFC 4291 section 2.3",
            applies="reload",
        ),
    ] = ()

    file: Annotated[
        Path | None,
        Option(
            doc="File with more of them: one address or network on each line, `#` before "
            "comments. When it changes it is read again, within two seconds; one that cannot be "
            "used is told in the log, and the list stays as it was.",
            why="Long lists come from elsewhere, and change without a reload.",
            applies="reload",
        ),
    ] = None
