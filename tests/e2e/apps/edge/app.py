"""The app behind the edge's tests: echoes by default, and does what `/do/...` asks for.

Where it has to wait for a test it reads from a FIFO, whose name the query tells.
"""

import contextlib
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

Environ = dict[str, Any]
Start = Callable[..., Any]
Fields = list[tuple[str, str]]

PIECE = bytes(range(256)) * 256
SHOWN = (
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SCRIPT_NAME",
)

counts = {"requests": 0}


def app(environ: Environ, start: Start) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/do/count":
        return text(start, str(counts["requests"]))
    counts["requests"] += 1
    if path.startswith("/do/"):
        action = globals()["do_" + path.split("/")[2].replace("-", "_")]
        query = {name: values[-1] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        answer: Iterable[bytes] = action(environ, start, query)
        return answer
    return echo(environ, start)


def text(start: Start, content: str) -> list[bytes]:
    data = content.encode()
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])
    return [data]


def echo(environ: Environ, start: Start) -> list[bytes]:
    seen = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "body": environ["wsgi.input"].read().decode("latin-1"),
        "scheme": environ["wsgi.url_scheme"],
        "request_id": environ["trivet.request_id"],
        "fields": {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")},
        **{name.lower(): environ.get(name, "") for name in SHOWN},
    }
    content = json.dumps(seen).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
    return [content]


def wait_for(query: dict[str, str]) -> None:
    """Say that the app is here, and wait for the test."""
    if "here" in query:
        Path(query["here"]).touch()
    if "fifo" in query:
        Path(query["fifo"]).read_bytes()


def do_hold(_: Environ, start: Start, query: dict[str, str]) -> list[bytes]:
    wait_for(query)
    return text(start, "held")


def do_status(environ: Environ, start: Start, query: dict[str, str]) -> list[bytes]:
    del environ
    start(query["status"] + " As Asked", [("Content-Type", "text/plain")])
    return [b"content"]


def do_fields(environ: Environ, start: Start, query: dict[str, str]) -> list[bytes]:
    del environ
    start("200 OK", list(query.items()))
    return [b"content"]


def do_digest(environ: Environ, start: Start, query: dict[str, str]) -> list[bytes]:
    """Read the content in pieces of `size` and tell what it was."""
    digest, length = hashlib.sha256(), 0
    while piece := environ["wsgi.input"].read(int(query.get("size", "65536"))):
        digest.update(piece)
        length += len(piece)
    return text(start, f"{length} {digest.hexdigest()}")


def do_pieces(environ: Environ, start: Start, query: dict[str, str]) -> Iterator[bytes]:
    """Send a piece, wait for the test, send another."""
    del environ
    start("200 OK", [("Content-Type", "text/plain")])

    def pieces() -> Iterator[bytes]:
        yield b"first"
        wait_for(query)
        yield b"second"

    return pieces()


def do_big(environ: Environ, start: Start, query: dict[str, str]) -> Iterator[bytes]:
    """Send `bytes` bytes; touch `done` at the end, `closed` when closed."""
    del environ
    size = int(query["bytes"])
    fields = [("Content-Length", str(size))] if "length" in query else []
    start("200 OK", fields)
    return Big(size, query)


class Big:
    def __init__(self, size: int, query: dict[str, str]) -> None:
        self.left = size
        self.query = query

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self.left:
            if "done" in self.query:
                Path(self.query["done"]).touch()
            raise StopIteration
        piece = PIECE[: self.left]
        self.left -= len(piece)
        return piece

    def close(self) -> None:
        if "closed" in self.query:
            Path(self.query["closed"]).touch()


def do_raise(environ: Environ, start: Start, query: dict[str, str]) -> Iterator[bytes]:
    """Raise before the head, or in the middle of the content."""
    del environ
    if "early" in query:
        raise ZeroDivisionError("the secret")
    fields = [("Content-Length", "100")] if "length" in query else []
    start("200 OK", fields)

    def pieces() -> Iterator[bytes]:
        yield b"begun"
        raise ZeroDivisionError("the secret")

    return pieces()


def do_short(environ: Environ, start: Start, query: dict[str, str]) -> Iterator[bytes]:
    """Promise 10 bytes and send fewer or more, all at once or the rest when told to."""
    del environ
    start("200 OK", [("Content-Length", "10")])
    yield b"x" * int(query["sent"])
    wait_for(query)
    yield b"x" * int(query.get("then", "0"))


def do_upload(environ: Environ, start: Start, query: dict[str, str]) -> list[bytes]:
    """Read streamed content piece by piece, and say so in files; tell how it ended."""
    folder = Path(query["folder"])
    (folder / "begun").touch()
    got = 0
    try:
        while piece := environ["wsgi.input"].read1(65536):
            got += len(piece)
            (folder / f"got-{got}").touch()
    except Exception as error:
        (folder / "broken").write_text(type(error).__name__)
        raise
    return text(start, str(got))


def do_early(environ: Environ, start: Start, query: dict[str, str]) -> list[bytes]:
    """Answer without reading the content."""
    del environ, query
    return text(start, "early")


def do_first(environ: Environ, start: Start, query: dict[str, str]) -> list[bytes]:
    """Answer with the first piece of the content, and leave the rest."""
    del query
    return text(start, environ["wsgi.input"].read1(65536).decode())


def do_duplex(environ: Environ, start: Start, query: dict[str, str]) -> Iterator[bytes]:
    """Answer each piece of content with its length, as it comes."""
    del query
    start("200 OK", [])

    def pieces() -> Iterator[bytes]:
        while piece := environ["wsgi.input"].read1(65536):
            yield str(len(piece)).encode()

    return pieces()


def do_file(environ: Environ, start: Start, query: dict[str, str]) -> Iterable[bytes]:
    """Send a file, with `write()` before it where `first` asks for it."""
    opened = Path(query["path"]).open("rb")  # noqa: SIM115 -- the server closes it
    write = start("200 OK", [])
    for _ in range(int(query.get("first", "0"))):
        write(PIECE)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](opened, 65536)
    return wrapped


def do_print(environ: Environ, start: Start, query: dict[str, str]) -> list[bytes]:
    del environ
    with contextlib.redirect_stdout(sys.__stdout__):
        print(query["text"], flush=True)  # noqa: T201 -- what apps do
    return text(start, "printed")
