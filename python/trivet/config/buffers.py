"""`[buffers]`: what the edge keeps, so that no slow client holds a worker."""

from pathlib import Path
from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.size import Size


class Buffers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the edge keeps, so that no slow client holds a worker."""

    request_memory: Annotated[
        Size,
        Option(
            doc="Largest request content that stays in memory; larger lies in an unlinked file.",
            why="Nearly all forms and JSON documents fit; the worker gets them in one read.",
            maximum="16m",
            applies="reload",
        ),
    ] = Size("64k")

    response_memory: Annotated[
        Size,
        Option(
            doc="Content of one response that waits in memory while its client is slow.",
            why="Nearly all pages fit, so that their worker is free at once.",
            minimum="16k",
            maximum="1g",
            applies="reload",
        ),
    ] = Size("1m")

    response_file: Annotated[
        Size,
        Option(
            doc="Content of one response that waits in a file after that; 0 for no file.",
            why="nginx's `proxy_max_temp_file_size`; beyond it the worker waits for its client.",
            applies="reload",
        ),
    ] = Size("1g")

    folder: Annotated[
        Path | None,
        Option(
            doc="Folder of those files, which never have a name in it; `none` for no files at "
            "all: then content waits with its client.",
            why="Large content belongs on a disk: `/tmp` often lies in memory.",
            metavar="FOLDER",
            none="none",
            auto="`$TMPDIR`, `/var/tmp` or `/tmp`, the first that can be written to",
            applies="reload",
        ),
    ] = None
