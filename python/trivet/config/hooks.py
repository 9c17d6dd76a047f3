"""`[hooks]`: functions that are called at the turns of a worker's life."""

from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option

_FORM = "a function, as `module:function`"
_PATTERN = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*"


class Hooks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Functions that are called at the turns of a worker's life, with the worker."""

    on_start: Annotated[
        str | None,
        Option(
            doc="Called before the app is imported, in the process that imports it: in each "
            "worker, or with `preload` once in the process that workers are forked from.",
            why="For what must be set up before the import, such as tracing. An exception stops "
            "the start, as one of the app does.",
            metavar="MODULE:FUNCTION",
            pattern=_PATTERN,
            form=_FORM,
            applies="reload",
        ),
    ] = None

    post_fork: Annotated[
        str | None,
        Option(
            doc="Called in each worker once it has the app, with `preload` right after the fork; "
            "the place for threads and connections.",
            why="gunicorn and uWSGI have it: what a fork would share or lose is opened after it. "
            "An exception stops the start, as one of the app does.",
            metavar="MODULE:FUNCTION",
            pattern=_PATTERN,
            form=_FORM,
            applies="reload",
        ),
    ] = None

    on_ready: Annotated[
        str | None,
        Option(
            doc="Called in each worker when it can serve, for ASGI after the lifespan's startup.",
            why="For announcing a worker; an exception is logged, and it serves all the same.",
            metavar="MODULE:FUNCTION",
            pattern=_PATTERN,
            form=_FORM,
            applies="reload",
        ),
    ] = None

    on_exit: Annotated[
        str | None,
        Option(
            doc="Called in each worker that stops by itself, after its last request.",
            why="For flushing what is buffered; a worker that is killed does not get there. An "
            "exception is logged.",
            metavar="MODULE:FUNCTION",
            pattern=_PATTERN,
            form=_FORM,
            applies="reload",
        ),
    ] = None
