"""`[log]`: what is written down, how, and where."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Struct

from trivet.config.option import Option

Format = Literal["auto", "text", "json", "combined", "logfmt"]
Level = Literal["debug", "info", "warning", "error"]


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written down, how, and where."""

    format: Annotated[
        Format,
        Option(
            doc="How a line looks: `text` for people, `json`, `logfmt`, or `combined`, which is "
            "Apache's for requests and `text` for the rest.",
            why="Whoever sits at a terminal reads lines, whatever collects them reads JSON.",
            flag="--log-format",
            metavar="FORMAT",
            auto="`text` at a terminal, else `json`",
            applies="reload",
        ),
    ] = "text"

    level: Annotated[
        Level,
        Option(
            doc="Least weight of a message of Trivet that is written; requests always are.",
            why="`info` tells of starts, stops and reloads, a few lines a day.",
            flag="--log-level",
            metavar="LEVEL",
            applies="reload",
        ),
    ] = "info"

    access: Annotated[
        bool,
        Option(
            doc="Whether each request gets a line.",
            why="Without it nobody can tell afterwards what happened; it is written by the edge "
            "and never delays a request.",
            flag="--access-log",
            off="--no-access-log",
            applies="reload",
        ),
    ] = True

    access_file: Annotated[
        Path | None,
        Option(
            doc="File that the requests' lines are appended to; `-` for standard output.",
            why="Platforms and service managers collect standard output.",
            flag="--access-logfile",
            metavar="FILE",
            none="-",
            applies="reload",
        ),
    ] = None
