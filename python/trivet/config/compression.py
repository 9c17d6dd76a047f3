"""`[compression]`: how the edge codes the content of responses on its way."""

from typing import Annotated, Literal

from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.size import Size

MEDIA_RANGE = r"[!#$%&'+.^_`|~0-9A-Za-z-]+/(\*|(\*\+)?[!#$%&'+.^_`|~0-9A-Za-z-]+)"
"""`text/html`, `text/*` or `application/*+json`."""


class Compression(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the edge codes the content of responses on its way."""

    enabled: Annotated[
        bool,
        Option(
            doc="Whether responses of apps are compressed where no route says otherwise "
            "(`route.compress`).",
            why="Off, as in nginx and Caddy: where a page holds a secret and text of its request, "
            "its compressed length tells the secret bit by bit (BREACH), and only who knows the "
            "app can say that no page does. Some apps and proxies compress, too.",
            flag="--compress",
            off="--no-compress",
            spec="RFC 9110 section 8.4",
            applies="reload",
        ),
    ] = False

    codings: Annotated[
        tuple[Literal["zstd", "br", "gzip"], ...],
        Option(
            doc="Content codings, the preferred first; the weights of the client "
            "(`Accept-Encoding`) come before this order.",
            why="At the same size Zstandard costs a third of the time of gzip, and Brotli more.",
            spec="RFC 9110 section 12.5.3",
            applies="reload",
        ),
    ] = ("zstd", "br", "gzip")

    types: Annotated[
        tuple[str, ...],
        Option(
            doc="Media types that are compressed: `text/html`, `text/*` or `application/*+json`.",
            why="Text and what is like it; images, video and archives are compressed already.",
            pattern=MEDIA_RANGE,
            form="a media type such as `text/html`, `text/*` or `application/*+json`",
            spec="RFC 9110 section 8.3.1",
            applies="reload",
        ),
    ] = (
        "text/*",
        "application/json",
        "application/*+json",
        "application/javascript",
        "application/xml",
        "application/*+xml",
        "application/x-ndjson",
        "application/wasm",
        "image/svg+xml",
        "font/ttf",
        "font/otf",
    )

    minimum: Annotated[
        Size,
        Option(
            doc="Size below which a response is left alone; one whose length is not known in "
            "advance never is.",
            why="With its head, what is smaller fits into one packet, and one less is not sent.",
            maximum="1g",
            applies="reload",
        ),
    ] = Size("1k")

    gzip_level: Annotated[
        int,
        Option(
            doc="Level of gzip.",
            why="The size of zlib's usual level 6 in 60 % of its time; 8 takes twice as long for "
            "4 % less.",
            minimum=1,
            maximum=9,
            applies="reload",
        ),
    ] = 5

    br_level: Annotated[
        int,
        Option(
            doc="Quality of Brotli.",
            why="About what gzip takes, for a few per cent less; 5 takes twice as long. What is "
            "above 6 is for files that are compressed once.",
            minimum=1,
            maximum=6,
            spec="RFC 7932",
            applies="reload",
        ),
    ] = 4

    zstd_level: Annotated[
        int,
        Option(
            doc="Level of Zstandard.",
            why="The size of gzip in a third of its time; 6 takes three times as long for 3 % "
            "less. What is above 6 needs more memory than a stream should hold.",
            minimum=1,
            maximum=6,
            spec="RFC 8878",
            applies="reload",
        ),
    ] = 3

    memory: Annotated[
        Size,
        Option(
            doc="Size of what all streams that are being compressed may hold together; one that "
            "would need more is sent as it is.",
            why="Each of ten thousand clients of an event stream may hold a window for hours: "
            "at most 0.5 MiB with gzip, 2 MiB with Brotli (4 MiB above level 4) and 1.75 MiB with "
            "Zstandard (4 MiB above level 3).",
            maximum="64g",
            applies="reload",
        ),
    ] = Size("128m")
