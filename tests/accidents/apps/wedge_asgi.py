"""An ASGI app that wedges its event loop, or a task of it, by its path."""

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    name, _, mark = scope["path"].strip("/").partition("/")
    note(mark, f"{os.getpid()}\n")
    over = ""
    try:
        over = str(await WAYS[name](scope, receive, send))
    finally:
        note(mark and f"{mark}.over", over)
    if name != "listens":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": over.encode()})


def note(mark: str, text: str) -> None:
    """Write a file, whole at once."""
    if mark:
        Path(f"{mark}.new").write_text(text)
        Path(f"{mark}.new").rename(mark)


async def sleeps(*_: object) -> None:
    await asyncio.sleep(3600)


async def swallows(*_: object) -> None:
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)


async def blocks(*_: object) -> None:
    time.sleep(3600)  # noqa: ASYNC251 - that is its mistake


async def blocks_in_python(*_: object) -> None:
    while True:
        time.sleep(0.01)  # noqa: ASYNC251 - as above


async def listens(_: object, receive: Any, __: object) -> str:
    await receive()
    return str((await receive())["type"])


async def streams(_: object, __: object, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(12):
        await send({"type": "http.response.body", "body": b"tick", "more_body": True})
        await asyncio.sleep(0.1)
    await asyncio.sleep(3600)


async def deadline(scope: dict[str, Any], *_: object) -> str:
    due = scope["extensions"]["trivet"].get("deadline")
    return "none" if due is None else f"{due - time.monotonic():.3f}"


WAYS: dict[str, Any] = {
    function.__name__: function
    for function in (sleeps, swallows, blocks, blocks_in_python, listens, streams, deadline)
}
