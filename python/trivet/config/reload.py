"""`[reload]`: when new workers take over by themselves: on changes, or at a touch."""

from pathlib import Path
from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option


class Reload(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New workers when the source changes, for development."""

    enabled: Annotated[
        bool,
        Option(
            doc="Whether new workers take over when a watched file changes.",
            why="For development: a half-copied deployment must not be loaded.",
            flag="--reload",
            applies="reload",
        ),
    ] = False

    directories: Annotated[
        tuple[Path, ...],
        Option(
            doc="Folders that are watched, with all below them; none watches `chdir`.",
            why="The app's own folder is where its source lies.",
            flag="--reload-dir",
            metavar="FOLDER",
            applies="reload",
        ),
    ] = ()

    include: Annotated[
        tuple[str, ...],
        Option(
            doc="Patterns of file names whose change counts.",
            why="What a worker reads once, at its start.",
            flag="--reload-include",
            metavar="PATTERN",
            applies="reload",
        ),
    ] = ("*.py", "*.html", "*.jinja", "*.toml", ".env")

    exclude: Annotated[
        tuple[str, ...],
        Option(
            doc="Patterns of file and folder names whose change never counts.",
            why="Caches and tools write there all the time.",
            flag="--reload-exclude",
            metavar="PATTERN",
            applies="reload",
        ),
    ] = (".git", ".venv", "__pycache__", "node_modules")

    surge: Annotated[
        int | None,
        Option(
            doc="New workers of an app that a reload starts at a time, beside the present ones; "
            "fewer where memory has no room for them.",
            why="One at a time needs memory for one more worker only. With `all`, the new code "
            "takes over from the old in one step.",
            flag="--reload-surge",
            minimum=1,
            maximum=1024,
            none="all",
            applies="reload",
        ),
    ] = 1

    warm_up: Annotated[
        tuple[str, ...],
        Option(
            doc="Paths, below the app's own, that each new worker answers before it takes "
            "requests; a status of 500 or above, or no answer within `server.load_timeout`, "
            "counts as an app that does not load.",
            why="What an app makes at its first request (templates, pools, caches) is then there "
            "before a client waits for it, and an app that loads but does not work is found out.",
            flag="--warm-up",
            metavar="PATH",
            pattern=r"/[^#\s]*",
            form="a path such as `/search?q=all`",
            in_app="warm_up",
            applies="reload",
        ),
    ] = ()

    warm_up_host: Annotated[
        str,
        Option(
            doc="Host that these requests name.",
            why="Some apps answer only to their own names (Django's `ALLOWED_HOSTS`).",
            pattern=r"[A-Za-z0-9._:\[\]-]+",
            form="a host such as `shop.example`",
            in_app="warm_up_host",
            applies="reload",
        ),
    ] = "localhost"

    touch: Annotated[
        Path | None,
        Option(
            doc="File whose touching reloads, as `trivet reload` does; it may come later.",
            why="uWSGI has it: whoever may write a file needs no signal and no control socket.",
            flag="--touch-reload",
            metavar="FILE",
            applies="reload",
        ),
    ] = None
