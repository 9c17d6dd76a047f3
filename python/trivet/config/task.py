"""`[task.NAME]`: background tasks, each of them one process per stand."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.command import Command
from trivet.config.value.duration import Duration


class Task(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A process that runs beside the workers, once per stand."""

    command: Annotated[
        Command | None,
        Option(
            doc="What is run: a program and its arguments, as text or as a list, without a shell.",
            why="A scheduler that runs in each worker does everything several times.",
            applies="reload",
        ),
    ] = None

    run: Annotated[
        str | None,
        Option(
            doc="A function to call in place of a command, plain or `async`, without arguments, "
            "in the Python and the folder of the app.",
            why="What the app has already need not become a script.",
            pattern=r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*",
            form="a function, as `module:function`",
            applies="reload",
        ),
    ] = None

    restart: Annotated[
        Literal["always", "on_failure", "never"],
        Option(
            doc="When it is started again after it has ended, with waits that double up to 30 s.",
            why="A scheduler is to run for as long as the stand does.",
        ),
    ] = "always"

    every: Annotated[
        Duration | None,
        Option(
            doc="Time from one start to the next of what runs again and again; a run that is not "
            "over by then lets the next one fall out.",
            why="Small chores need no scheduler, and never run twice at once.",
            none="off",
            minimum="1s",
            maximum="31d",
        ),
    ] = None

    app: Annotated[
        str | None,
        Option(
            doc="App whose folder, environment variables, Python and code it has.",
            why="Only where there are several: an only one is meant by itself.",
        ),
    ] = None

    chdir: Annotated[
        Path | None,
        Option(
            doc="Folder that it runs in; left out, the app's.",
            why="A command's files may lie elsewhere.",
            applies="reload",
        ),
    ] = None

    env: Annotated[
        dict[str, str],
        Option(
            doc="Environment variables on top of the app's.",
            why="A task may need another `DJANGO_SETTINGS_MODULE`.",
            applies="reload",
        ),
    ] = msgspec.field(default_factory=dict)

    env_file: Annotated[
        tuple[Path, ...],
        Option(
            doc="Files with environment variables on top of the app's; `env` beats them.",
            why="As for apps.",
            applies="reload",
        ),
    ] = ()

    user: Annotated[
        str | None,
        Option(
            doc="User that it runs as, by name or number; left out, that of the workers.",
            why="A task may need less, or more, than they do.",
            applies="reload",
        ),
    ] = None

    group: Annotated[
        str | None,
        Option(
            doc="Group that it runs as; left out, that of its `user`, or of the workers.",
            why="As for apps.",
            applies="reload",
        ),
    ] = None
