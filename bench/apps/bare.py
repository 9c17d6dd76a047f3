"""Bare WSGI apps: what a server costs when the framework costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

READ_BYTES = 64 * 1024
LARGE_BODY = b"0123456789" * 1_000_000


def hello(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a short constant text."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "14")])
    return [b"Hello, world!\n"]


def large(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer 10 MB from memory in one piece."""
    length = str(len(LARGE_BODY))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", length)])
    return [LARGE_BODY]


def upload(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Read the whole request content and answer its length."""
    total = 0
    stream = environ["wsgi.input"]
    while chunk := stream.read(READ_BYTES):
        total += len(chunk)
    body = b"%d\n" % total
    length = str(len(body))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", length)])
    return [body]
