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
