"""The same two WebSockets in each framework: `/echo`, and `/count`, which counts to three."""

from typing import Any

from fastapi import FastAPI, WebSocket
from litestar import Litestar, websocket
from litestar.connection import WebSocket as LitestarSocket
from quart import Quart
from quart import websocket as quart_socket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket as StarletteSocket

fastapi = FastAPI()


@fastapi.websocket("/echo")
async def fastapi_echo(socket: WebSocket) -> None:
    await socket.accept()
    while True:  # ends by an exception, which few apps catch
        await socket.send_text(await socket.receive_text())


@fastapi.websocket("/count")
async def fastapi_count(socket: WebSocket) -> None:
    await socket.accept(subprotocol="numbers")
    for number in range(3):
        await socket.send_json({"number": number})
    await socket.close(4001, "counted")


async def starlette_echo(socket: StarletteSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def starlette_count(socket: StarletteSocket) -> None:
    await socket.accept(subprotocol="numbers")
    for number in range(3):
        await socket.send_json({"number": number})
    await socket.close(4001, "counted")


starlette = Starlette(
    routes=[WebSocketRoute("/echo", starlette_echo), WebSocketRoute("/count", starlette_count)]
)

quart = Quart(__name__)


@quart.websocket("/echo")
async def quart_echo() -> None:
    while True:
        await quart_socket.send(await quart_socket.receive())


@quart.websocket("/count")
async def quart_count() -> None:
    await quart_socket.accept(subprotocol="numbers")
    for number in range(3):
        await quart_socket.send_json({"number": number})
    await quart_socket.close(4001, "counted")


@websocket("/echo")
async def litestar_echo(socket: LitestarSocket[Any, Any, Any]) -> None:
    await socket.accept()
    while True:
        await socket.send_text(await socket.receive_text())


@websocket("/count")
async def litestar_count(socket: LitestarSocket[Any, Any, Any]) -> None:
    await socket.accept(subprotocols="numbers")
    for number in range(3):
        await socket.send_json({"number": number})
    await socket.close(4001, "counted")


litestar = Litestar([litestar_echo, litestar_count])
