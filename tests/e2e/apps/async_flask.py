"""A Flask app whose async views keep what they have opened, behind a middleware."""

import asyncio
import contextvars
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from flask import Blueprint, Flask, Response, g, request, session
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tests.e2e.apps.journal import note

if "WITH_ASGIREF" not in os.environ:
    sys.modules["asgiref"] = None  # type: ignore[assignment] # as if it were not installed


class Pool:
    """A connection that is opened once and belongs to its loop, as those of drivers do."""

    def __init__(self) -> None:
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._lock: asyncio.Lock | None = None
        self.connects = 0

    async def ask(self, text: str) -> str:
        if self._streams is None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            self._streams = await asyncio.open_connection("127.0.0.1", port)
            self._lock = asyncio.Lock()
            self.connects += 1
        assert self._lock is not None
        async with self._lock:
            reader, writer = self._streams
            writer.write(f"{text}\n".encode())
            await writer.drain()
            return (await reader.readline()).decode().strip()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())


flask = Flask(__name__)
flask.secret_key = "for tests"
views = Blueprint("views", __name__)
pool = Pool()
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
waiting: list[str] = []
all_here = asyncio.Event()
background: set["asyncio.Task[None]"] = set()


@views.before_request
async def before() -> None:
    g.before = id(asyncio.get_running_loop())
    variable.set("before")


@views.after_request
async def after(response: Response) -> Response:
    response.headers["X-Variable"] = variable.get("lost")
    response.headers["X-One-Loop"] = str(g.before == id(asyncio.get_running_loop()))
    return response


@views.errorhandler(KeyError)
async def handle(error: KeyError) -> tuple[str, int]:
    return f"handled {error}", 418


@views.get("/pool/<text>")
async def ask(text: str) -> dict[str, Any]:
    return {"answer": await pool.ask(text), "connects": pool.connects}


@views.get("/context")
async def context() -> dict[str, Any]:
    session["seen"] = True
    variable.set(f"{variable.get()}, view")
    await asyncio.sleep(0)
    return {"path": request.path, "one_loop": g.before == id(asyncio.get_running_loop())}


@views.get("/raises")
async def raises() -> str:
    await asyncio.sleep(0)
    raise LookupError("in an async view")


@views.get("/handled")
async def handled() -> str:
    raise KeyError("missing")


@views.get("/leaves")
async def leaves() -> str:
    sys.exit(3)


@views.get("/together")
async def together() -> dict[str, Any]:
    """Answer when four of them are here, each in a thread of its own, all on one loop."""
    waiting.append(threading.current_thread().name)
    if len(waiting) == 4:
        all_here.set()
    await all_here.wait()
    names = [thread.name for thread in threading.enumerate()]
    return {"loop": id(asyncio.get_running_loop()), "threads": names.count("trivet-async")}


@views.get("/waits-for-itself")
async def waits_for_itself() -> str:
    async def inner() -> str:
        return "never"

    return str(flask.ensure_sync(inner)())


@views.get("/plain")
def plain() -> str:
    return variable.get("lost")


@views.get("/background")
async def start_in_background() -> str:
    async def wait_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            note("background cancelled")

    async def generate() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            note("generator closed")

    background.add(asyncio.create_task(wait_for_ever()))
    generator = generate()
    async for _ in generator:
        break
    flask.extensions["generator"] = generator
    return "started"


flask.register_blueprint(views)


class Middleware:
    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return self.app(environ, start_response)


class Own(Flask):
    """Says by itself how its async views run."""

    def async_to_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return lambda **values: f"by its own means: {asyncio.run(func(**values))}"


own = Own(__name__)


@own.get("/")
async def of_own() -> str:
    return str(os.getpid())


app = Middleware(DispatcherMiddleware(flask, {"/mounted": own}))
