# mypy: disable-error-code="untyped-decorator"
"""Flask apps with WebSockets of their own: by flask-sock, and by Flask-SocketIO on threads."""

from flask import Flask, request
from flask.typing import ResponseReturnValue
from flask_sock import Sock
from flask_socketio import SocketIO, emit
from simple_websocket import Server

sock_app = Flask("sock_app")
sock = Sock(sock_app)
sock_app.config["SOCK_SERVER_OPTIONS"] = {"subprotocols": ["numbers"], "max_message_size": 4 << 20}


@sock_app.get("/plain")
def plain() -> str:
    return "plain"


@sock.route("/echo")
def echo(ws: Server) -> None:
    while True:  # ends by ConnectionClosed, as flask-sock's own example does
        ws.send(ws.receive())


@sock.route("/environ")
def environ(ws: Server) -> None:
    for name in ("HTTP_CONNECTION", "HTTP_UPGRADE", "CONTENT_LENGTH", "HTTP_X_HOP", "HTTP_COOKIE"):
        ws.send(repr(request.environ.get(name)))


@sock.route("/count")
def count(ws: Server) -> None:
    for number in range(3):
        ws.send(str(number))
    ws.close(4001, "counted")


@sock.route("/broken")
def broken(ws: Server) -> None:
    ws.receive()
    raise ZeroDivisionError("in the middle of a WebSocket")


@sock_app.before_request
def refuse() -> ResponseReturnValue | None:
    return ("no", 403) if "refused" in request.args else None


socketio_app = Flask("socketio_app")
socketio = SocketIO(socketio_app, async_mode="threading")


@socketio.on("echo")
def on_echo(data: str) -> None:
    emit("echo", data)


@socketio_app.get("/plain")
def socketio_plain() -> str:
    return "plain"
