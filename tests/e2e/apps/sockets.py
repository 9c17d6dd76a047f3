"""An ASGI app of WebSockets, without a framework: the path says what it does."""

import asyncio
import json
from typing import Any

state: dict[str, Any] = {"sent": 0, "told": []}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "http":
        body = json.dumps(state | {"method": scope["method"]}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
    else:
        await SOCKETS[scope["path"]](scope, receive, send)


async def lifespan(receive: Any, send: Any) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": kind + ".complete"})
        if kind == "lifespan.shutdown":
            return


async def accepted(receive: Any, send: Any, **parts: Any) -> None:
    assert (await receive()) == {"type": "websocket.connect"}
    await send({"type": "websocket.accept", **parts})


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    await accepted(receive, send)
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            state["told"].append([message["code"], message["reason"]])
            return
        if message.get("text") is not None:
            await send({"type": "websocket.send", "text": message["text"]})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})


async def describe(scope: Any, receive: Any, send: Any) -> None:
    subprotocol = next(iter(scope["subprotocols"]), None)
    await accepted(receive, send, subprotocol=subprotocol, headers=[(b"x-from", b"the app")])
    shown = {key: repr(value) for key, value in scope.items()}
    await send({"type": "websocket.send", "text": json.dumps(shown)})
    await send({"type": "websocket.close", "code": 3001, "reason": "told all"})


async def refuse(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 4000})


async def deny(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    headers = [(b"content-type", b"text/plain"), (b"x-why", b"no ticket")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"first ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"a ticket"})


async def boom(_scope: Any, receive: Any, send: Any) -> None:
    await accepted(receive, send)
    raise LookupError("no such room")


async def boom_early(_scope: Any, receive: Any, _send: Any) -> None:
    await receive()
    raise LookupError("no such room")


async def silent(_scope: Any, receive: Any, _send: Any) -> None:
    await receive()


async def leave(_scope: Any, receive: Any, send: Any) -> None:
    await accepted(receive, send)


async def flood(_scope: Any, receive: Any, send: Any) -> None:
    """Send for ever; how much has found a place is asked over HTTP."""
    await accepted(receive, send)
    while True:
        await send({"type": "websocket.send", "bytes": b"x" * 10_000})
        state["sent"] += 10_000


async def deaf(_scope: Any, receive: Any, send: Any) -> None:
    """Accept, and never look at what the client says."""
    await accepted(receive, send)
    await asyncio.Event().wait()


async def wrong(scope: Any, receive: Any, send: Any) -> None:
    """Break the rule that the query names."""
    await receive()
    rule = scope["query_string"].decode()
    if rule == "send-first":
        await send({"type": "websocket.send", "text": "too early"})
    await send({"type": "websocket.accept"})
    if rule == "accept-twice":
        await send({"type": "websocket.accept"})
    if rule == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
    if rule == "empty":
        await send({"type": "websocket.send"})
    if rule == "number":
        await send({"type": "websocket.send", "text": 7})
    if rule == "code":
        await send({"type": "websocket.close", "code": 1006})
    if rule == "reason":
        await send({"type": "websocket.close", "reason": "x" * 124})
    if rule == "after-close":
        await send({"type": "websocket.close"})
        await send({"type": "websocket.send", "text": "too late"})


async def wrong_accept(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    if scope["query_string"] == b"subprotocol":
        await send({"type": "websocket.accept", "subprotocol": "unasked"})
    headers = [(b"Sec-WebSocket-Protocol", b"x")]
    await send({"type": "websocket.accept", "headers": headers})


SOCKETS = {
    "/boom": boom,
    "/boom-early": boom_early,
    "/deaf": deaf,
    "/deny": deny,
    "/describe": describe,
    "/echo": echo,
    "/flood": flood,
    "/leave": leave,
    "/refuse": refuse,
    "/silent": silent,
    "/wrong": wrong,
    "/wrong-accept": wrong_accept,
}
