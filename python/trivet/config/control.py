"""`[control]`: how commands reach the running stand."""

from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option


class Control(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How commands reach the running stand."""

    socket: Annotated[
        str | None,
        Option(
            doc="Where the stand listens for `trivet status`, `reload` and the other commands: an "
            "absolute path, `@` for an abstract socket, or `off`.",
            why="An abstract socket needs no folder that can be written to and leaves no file "
            "behind; a path is for commands of another network namespace. Only the stand's user "
            "and root are answered.",
            metavar="PATH|@|off",
            none="off",
            pattern=r"@|/.+",
            form="an absolute path, `@` or `off`",
        ),
    ] = "@"
