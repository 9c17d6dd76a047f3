"""The app of the accidents: says who and which version it is, and can take its time."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

VERSION = 1
SECONDS = {"/slow": 4.0, "/brief": 0.02}


def answer(path: str) -> bytes:
    """Give the content for `path`."""
    return b"%d\n" % (os.getpid() if path == "/pid" else VERSION)


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer over WSGI."""
    time.sleep(SECONDS.get(environ["PATH_INFO"], 0))
    body = answer(environ["PATH_INFO"])
    length = str(len(body))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", length)])
    return [body]


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer over ASGI."""
    if scope["type"] == "lifespan":
        while (event := await receive())["type"] != "lifespan.shutdown":
            await send({"type": event["type"] + ".complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await asyncio.sleep(SECONDS.get(scope["path"], 0))
    body = answer(scope["path"])
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
