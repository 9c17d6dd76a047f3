"""The tree of settings: what the configuration file holds, in its order."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from trivet.config.access import Access
from trivet.config.address_list import AddressList
from trivet.config.buffers import Buffers
from trivet.config.compression import Compression
from trivet.config.control import Control
from trivet.config.health import Health
from trivet.config.hooks import Hooks
from trivet.config.incidents import Incidents
from trivet.config.limits import Limits
from trivet.config.log import Log
from trivet.config.option import Option
from trivet.config.proxy import Proxy
from trivet.config.reload import Reload
from trivet.config.route import Route
from trivet.config.server import Server
from trivet.config.site import Site
from trivet.config.static import Static
from trivet.config.task import Task
from trivet.config.timeouts import Timeouts
from trivet.config.websocket import WebSocket


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All options with their values, parsed and checked.

    `trivet.config.load` makes it, with every path absolute and every `auto` decided. Made without
    arguments it holds what a small machine without a container would get.
    """

    app: Annotated[
        str | None,
        Option(
            doc="The app: `module:attribute`, `module:factory()`, a module, a file or a folder; "
            "`none` for none, where routes and folders answer alone.",
            why="Left out, it is looked for, and what was chosen is said with the reason.",
            metavar="APP",
            applies="reload",
            in_app="target",
        ),
    ] = None

    interface: Annotated[
        Literal["auto", "wsgi", "asgi"],
        Option(
            doc="How the app is called.",
            why="The callable tells; a wrapper may hide it.",
            flag="--interface",
            metavar="auto|wsgi|asgi",
            in_app="interface",
            applies="reload",
        ),
    ] = "auto"

    factory: Annotated[
        bool,
        Option(
            doc="Whether the app's name is a function that makes it, called without arguments.",
            why="uvicorn and granian have it; `module:factory()` says the same.",
            flag="--factory",
            in_app="factory",
            applies="reload",
        ),
    ] = False

    async_views: Annotated[
        Literal["shared", "own"],
        Option(
            doc="Where Flask's `async def` views run: all of a worker on one event loop, or each "
            "on its own, as Flask does it.",
            why="A client or a pool of connections belongs to the loop that it was made on: on a "
            "shared one it lives on from request to request. An app with an `async_to_sync` of "
            "its own is left alone.",
            in_app="async_views",
            applies="reload",
        ),
    ] = "shared"

    chdir: Annotated[
        Path,
        Option(
            doc="Folder that the workers run in, and where the configuration file and the app "
            "are looked for.",
            why="The folder where Trivet was started, as with every peer.",
            flag="--chdir",
            aliases=("--working-dir",),
            metavar="FOLDER",
            auto="where Trivet was started",
            takes_auto=False,
            in_app="chdir",
            applies="reload",
        ),
    ] = Path()

    app_dir: Annotated[
        Path | None,
        Option(
            doc="Folder that the app's module is imported from, first on `sys.path`.",
            why="Left out, it is the folder where the app was found.",
            flag="--app-dir",
            aliases=("--pythonpath",),
            metavar="FOLDER",
            in_app="app_dir",
            applies="reload",
        ),
    ] = None

    python: Annotated[
        Path | None,
        Option(
            doc="Python that the app runs in: a virtual environment's folder, or an interpreter; "
            "CPython 3.10 or later. Trivet need not be installed there.",
            why="An app's packages belong to the app. Left out, it is the Python of Trivet.",
            flag="--python",
            aliases=("--virtualenv", "--venv"),
            metavar="PATH",
            in_app="python",
            applies="reload",
        ),
    ] = None

    env: Annotated[
        dict[str, str],
        Option(
            doc="Environment variables of the workers.",
            why="gunicorn and uWSGI have it; a platform sets them outside.",
            flag="--env",
            short="-e",
            metavar="NAME=VALUE",
            in_app="env",
            applies="reload",
        ),
    ] = msgspec.field(default_factory=dict)

    env_file: Annotated[
        tuple[Path, ...],
        Option(
            doc="Files with environment variables of the workers, `NAME=value` on each line; "
            "`env` beats them, a later file beats an earlier one.",
            why="uvicorn, granian and Compose have it. No such file is read unasked.",
            flag="--env-file",
            metavar="FILE",
            in_app="env_file",
            applies="reload",
        ),
    ] = ()

    server: Server = Server()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    buffers: Buffers = Buffers()
    compression: Compression = Compression()
    websocket: WebSocket = WebSocket()
    health: Health = Health()
    proxy: Proxy = Proxy()
    access: Access = Access()
    log: Log = Log()
    hooks: Hooks = Hooks()
    reload: Reload = Reload()
    control: Control = Control()
    incidents: Incidents = Incidents()

    list: Annotated[
        dict[str, AddressList],
        Option(
            doc="Addresses and networks that go by a name, as tables `[list.NAME]`; `[access]` "
            "and the routes name them.",
            why="Most stands are open to everybody.",
            applies="reload",
        ),
    ] = msgspec.field(default_factory=dict)

    route: Annotated[
        tuple[Route, ...],
        Option(
            doc="What is done with some requests, as tables `[[route]]`. Of the routes that match, "
            "the first that sets an option counts for that option, and the first that says who "
            "answers for that.",
            why="Most paths need none.",
            applies="reload",
        ),
    ] = ()

    site: Annotated[
        tuple[Site, ...],
        Option(
            doc="How the addresses of a site are written, as tables `[[site]]`; looked at before "
            "the routes.",
            why="One page should have one address.",
            applies="reload",
        ),
    ] = ()

    static: Annotated[
        tuple[Static, ...],
        Option(
            doc="Folders whose files the edge serves, as tables `[[static]]`; looked at after the "
            "routes and before the app, the longest path first.",
            why="What the edge sends itself costs no worker.",
            flag="--static",
            aliases=("--static-map",),
            metavar="PATH=FOLDER",
            applies="reload",
        ),
    ] = ()

    task: Annotated[
        dict[str, Task],
        Option(
            doc="Background tasks, as tables `[task.NAME]`: each is one process per stand.",
            why="Most apps have none.",
        ),
    ] = msgspec.field(default_factory=dict)
