"""`[incidents]`: the black box, for what went wrong."""

from pathlib import Path
from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.size import Size


class Incidents(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The black box, for what went wrong."""

    keep: Annotated[
        int,
        Option(
            doc="How many incidents are kept; the oldest goes first.",
            why="Who looks in the morning finds what the night brought; an incident is 3 KiB "
            "more often than not.",
            minimum=1,
            maximum=10_000,
        ),
    ] = 500

    memory: Annotated[
        Size,
        Option(
            doc="Most memory for them.",
            why="Long tracebacks must not make the supervisor grow.",
            minimum="64 KiB",
            maximum="1 GiB",
        ),
    ] = Size("4 MiB")

    directory: Annotated[
        Path | None,
        Option(
            doc="Folder in which they are kept as files, too, so that they outlive the stand; "
            "`off` for none.",
            why="Nothing is written to disk unless asked.",
            metavar="FOLDER|off",
            none="off",
        ),
    ] = None
