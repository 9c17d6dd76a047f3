"""`[[static]]`: folders whose files the edge serves."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.size import Size


class Static(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A folder below a path."""

    path: Annotated[
        str,
        Option(
            doc="Path that the folder's files are below, such as `/static/`.",
            why="`/` serves a whole site.",
            pattern=r"/(?:[^?#*{}\s]*/)?[^?#*{}\s]*",
            form="a path such as `/static/`",
            applies="reload",
        ),
    ]

    folder: Annotated[
        Path,
        Option(
            doc="The folder. Nothing outside it is ever served, wherever symbolic links lead.",
            why="What the edge sends itself costs no worker.",
            applies="reload",
        ),
    ]

    host: Annotated[
        tuple[str, ...],
        Option(
            doc="Hosts that it is for, as in `route.host`; all if left out.",
            why="Several sites in one stand.",
            applies="reload",
        ),
    ] = ()

    index: Annotated[
        tuple[str, ...],
        Option(
            doc="Files that stand for their folder, in order.",
            why="Every web server has it so.",
            applies="reload",
        ),
    ] = ("index.html",)

    listing: Annotated[
        bool,
        Option(
            doc="Whether a folder without an index is listed, as a page or as JSON.",
            why="Most folders were not meant to be read through.",
            applies="reload",
        ),
    ] = False

    fallback: Annotated[
        tuple[str, ...],
        Option(
            doc="Files below the folder that are tried where the one asked for is not there, in "
            "order: `{path}.html`, `/index.html`; `{path}` is what was asked for.",
            why="A single-page app answers every address with one file.",
            applies="reload",
        ),
    ] = ()

    not_found: Annotated[
        str | None,
        Option(
            doc="File below the folder that is the page for 404.",
            why="A site has its own way to say so.",
            applies="reload",
        ),
    ] = None

    next: Annotated[
        bool,
        Option(
            doc="Whether what is not there is left to further routes and the app.",
            why="A folder at `/` beside an app. Else the answer is 404 at once, and no worker "
            "is asked for each missing picture.",
            applies="reload",
        ),
    ] = False

    precompressed: Annotated[
        bool,
        Option(
            doc="Whether `app.js.zst`, `app.js.br` and `app.js.gz` are sent in place of `app.js` "
            "to clients that take them.",
            why="What a build has compressed once, at the highest level, nobody need compress "
            "again.",
            spec="RFC 9110 section 12.5.3",
            applies="reload",
        ),
    ] = True

    cache_control: Annotated[
        dict[str, str],
        Option(
            doc="`Cache-Control` by pattern of the name: `*` within a folder, `**` across folders; "
            "the first that matches counts.",
            why="How long a file may be kept only its owner knows.",
            spec="RFC 9111 section 5.2",
            applies="reload",
        ),
    ] = msgspec.field(default_factory=dict)

    immutable: Annotated[
        bool,
        Option(
            doc="Whether names with a fingerprint (`app.5f3c9a1b.js`) may be kept for a year, "
            "without asking again.",
            why="Another content has another name. `cache_control` beats it.",
            spec="RFC 8246",
            applies="reload",
        ),
    ] = True

    types: Annotated[
        dict[str, str],
        Option(
            doc="Media types by ending of the name, before the known ones.",
            why="New formats come faster than lists of them.",
            spec="RFC 9110 section 8.3",
            applies="reload",
        ),
    ] = msgspec.field(default_factory=dict)

    well_known: Annotated[
        bool,
        Option(
            doc="Whether `.well-known` is served; no other name that begins with a dot ever is.",
            why="Hidden files were hidden for a reason, and that folder was made to be read.",
            spec="RFC 8615",
            applies="reload",
        ),
    ] = True

    memory: Annotated[
        Size,
        Option(
            doc="Size of the small files of the folder that are kept in memory; each is compared "
            "with the disk when it is asked for, once a second at the most.",
            why="A page's style and scripts are asked for again and again; the files of a large "
            "site take no more than this.",
            maximum="16g",
            applies="reload",
        ),
    ] = Size("64m")
