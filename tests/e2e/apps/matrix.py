"""Answers in every shape that PEP 3333 allows, judged by the standard library's validator."""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs
from wsgiref.validate import validator

Environ = dict[str, Any]
Start = Callable[..., Callable[[bytes], object]]


def received(environ: Environ) -> bytes:
    """Say what came: method, length and digest, with the length as CONTENT_LENGTH has it."""
    stream = environ["wsgi.input"]
    content = b""
    while piece := stream.read(50_000):
        content += piece
    length = environ.get("CONTENT_LENGTH") or "0"
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return f"{environ['REQUEST_METHOD']} {len(content)} {length} {digest}".encode()


def bare(environ: Environ, start_response: Start) -> Iterable[bytes]:
    query = parse_qs(environ["QUERY_STRING"])
    shape = query["shape"][0]
    content = b"" if shape == "empty" else received(environ)
    if shape == "file":
        content *= 1000
    headers = [("Content-Type", "text/plain")]
    if query["length"][0] == "told":
        headers.append(("Content-Length", str(len(content))))
    write = start_response("200 OK", headers)
    half = len(content) // 2
    if shape == "write":
        write(content[:half])
        write(b"")
        write(content[half:])
        return []
    return SHAPES[shape](environ, content[:half], content[half:])


def generated(first: bytes, second: bytes) -> Iterator[bytes]:
    yield first
    yield b""
    yield second


SHAPES: dict[str, Callable[[Environ, bytes, bytes], Iterable[bytes]]] = {
    "empty": lambda _, __, ___: [],
    "file": lambda environ, a, b: environ["wsgi.file_wrapper"](io.BytesIO(a + b)),
    "generator": lambda _, a, b: generated(a, b),
    "list": lambda _, a, b: [a + b],
    "tuple": lambda _, a, b: (a, b),
}

validated = validator(bare)
