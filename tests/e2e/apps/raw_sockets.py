"""A WSGI app that answers handshakes by hand, rightly and wrongly, as its path says."""

import base64
import hashlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
DONE = threading.Event()
RELEASED = threading.Event()


def head(environ: "WSGIEnvironment", *fields: str) -> bytes:
    key = environ["HTTP_SEC_WEBSOCKET_KEY"] + GUID
    accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    way = environ["PATH_INFO"].strip("/").replace("-", "_")
    raw = environ.get("werkzeug.socket")
    if raw is None:
        if way == "release":
            RELEASED.set()
        start_response("200 OK", [("X-Done", str(DONE.is_set()))])
        return [b"no socket"]
    assert raw is environ["gunicorn.socket"]
    return globals()[f"do_{way}"](raw, environ, start_response) or []


def do_echo(raw: socket.socket, environ: "WSGIEnvironment", _: "StartResponse") -> None:
    raw.sendall(head(environ, "X-App: here", "Content-Length: 5", "Transfer-Encoding: chunked"))
    while data := raw.recv(65536):
        raw.sendall(data)
    DONE.set()


def do_slowly(raw: socket.socket, environ: "WSGIEnvironment", _: "StartResponse") -> None:
    answer = head(environ)
    for at in range(0, len(answer), 7):
        raw.sendall(answer[at : at + 7])
        time.sleep(0.001)
    raw.sendall(raw.recv(65536))


def do_early(raw: socket.socket, environ: "WSGIEnvironment", _: "StartResponse") -> None:
    raw.setblocking(False)
    time.sleep(0.3)
    try:
        came = raw.recv(65536)
    except BlockingIOError:
        came = b"nothing"
    raw.setblocking(True)
    raw.sendall(head(environ) + b"before: " + came + b"\n")
    raw.sendall(b"behind: " + raw.recv(65536))


def do_flood(raw: socket.socket, environ: "WSGIEnvironment", _: "StartResponse") -> None:
    raw.sendall(head(environ))
    sent = 0
    try:
        while True:
            sent += raw.send(b"x" * 65536)
            sys.stderr.write(f"flooded {sent}\n")
    except OSError:
        DONE.set()


def do_silent(raw: socket.socket, _: "WSGIEnvironment", __: "StartResponse") -> None:
    """Never answer; notice when the client leaves."""
    assert raw.recv(1) == b""
    DONE.set()


def do_plain(
    _: socket.socket, __: "WSGIEnvironment", start_response: "StartResponse"
) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"plain"]


def do_raises(_: socket.socket, __: "WSGIEnvironment", ___: "StartResponse") -> None:
    raise LookupError("before any answer")


def do_raises_late(raw: socket.socket, environ: "WSGIEnvironment", _: "StartResponse") -> None:
    raw.sendall(head(environ))
    raise LookupError("behind the answer")


def do_refused_connection(_: object, __: object, ___: object) -> None:
    raise ConnectionRefusedError(111, "the database is gone")


def do_nothing(_: object, __: object, ___: object) -> None:
    """Return without any answer."""


def do_garbage(raw: socket.socket, _: object, __: object) -> None:
    raw.sendall(b"\x00\x01garbage\r\n\r\n")
    raw.recv(1)


def do_two_hundred(raw: socket.socket, _: object, __: object) -> None:
    raw.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
    raw.recv(1)


def do_interim(raw: socket.socket, environ: "WSGIEnvironment", _: object) -> None:
    raw.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" + head(environ))
    raw.recv(1)


def do_twice(raw: socket.socket, environ: "WSGIEnvironment", _: object) -> None:
    raw.sendall(head(environ) + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")


def do_oversize(raw: socket.socket, environ: "WSGIEnvironment", _: object) -> None:
    raw.sendall(head(environ)[:-2])
    try:
        while True:
            raw.sendall(b"X-More: " + b"y" * 1000 + b"\r\n")
    except OSError:
        DONE.set()


def do_injected(raw: socket.socket, environ: "WSGIEnvironment", _: object) -> None:
    raw.sendall(head(environ, "X-Bad: a\nSet-Cookie: stolen=1"))
    raw.recv(1)


def do_wrong_accept(raw: socket.socket, _: "WSGIEnvironment", __: object) -> None:
    raw.sendall(head({"HTTP_SEC_WEBSOCKET_KEY": "another"}))
    raw.recv(1)


def do_half(
    raw: socket.socket, environ: "WSGIEnvironment", start_response: "StartResponse"
) -> list[bytes]:
    raw.sendall(head(environ)[:30])
    start_response("200 OK", [])
    return [b"half"]


def do_dies(raw: socket.socket, environ: "WSGIEnvironment", _: object) -> None:
    raw.sendall(head(environ))
    raw.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


def do_forks(raw: socket.socket, environ: "WSGIEnvironment", _: object) -> None:
    raw.sendall(head(environ))
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(theirs)
        os.read(ours, 1)  # lives for longer than the tunnel
        os._exit(0)
    os.close(ours)
    raw.sendall(f"{child}\n".encode())
    raw.recv(1)
    raw.close()
    RELEASED.wait(60)
    os.close(theirs)
    os.waitpid(child, 0)


def do_keeps(raw: socket.socket, environ: "WSGIEnvironment", _: object) -> None:
    """Return while a thread still reads, as some libraries' threads do."""
    raw.sendall(head(environ) + b"last words")
    threading.Thread(target=raw.recv, args=(1,)).start()
