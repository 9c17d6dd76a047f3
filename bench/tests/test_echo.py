"""Counting echoes, against a server of a few lines."""

from __future__ import annotations

import socket
import threading
from contextlib import closing

import pytest

from bench import echo
from bench.wrk import Load, Result, WrkError


def serve(listener: socket.socket, answer: bytes) -> None:
    """Accept connections until the listener is closed; answer every frame with `answer`."""
    while True:
        try:
            connected, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=converse, args=(connected, answer), daemon=True).start()


def converse(connected: socket.socket, answer: bytes) -> None:
    """Accept a handshake, then answer frames."""
    with connected:
        connected.recv(4096)
        connected.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        try:
            while connected.recv(len(echo.FRAME), socket.MSG_WAITALL):
                connected.sendall(answer)
        except OSError:
            return


def loaded(answer: bytes) -> Result:
    """Load such a server with three connections."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=serve, args=(listener, answer), daemon=True).start()
        port = listener.getsockname()[1]
        try:
            return echo.run(f"http://127.0.0.1:{port}/", Load(connections=3), 1)
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def test_messages_are_counted() -> None:
    """A message and its echo are a request."""
    result = loaded(echo.ANSWER)
    assert result.requests > 3
    assert 0 < result.p50_us <= result.p99_us


def test_what_is_no_echo_is_an_error() -> None:
    """Speed with wrong answers would mean nothing."""
    with pytest.raises(WrkError, match="not its echo"):
        loaded(echo.ANSWER[:-1] + b"!")
