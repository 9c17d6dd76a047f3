"""The app behind the tests of compression: documents, events, files, and answers that break off."""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.wrappers import Request, Response

Environ = dict[str, Any]
Start = Callable[..., Any]
Query = dict[str, str]


def document(size: int) -> bytes:
    """JSON of about `size` bytes, as an API gives it."""
    rows = [{"id": at, "name": f"row {at * 7919 % 10007}", "on": at % 3 == 0} for at in range(64)]
    text = json.dumps(rows).encode()
    return (text * (size // len(text) + 1))[:size]


def app(environ: Environ, start: Start) -> Iterable[bytes]:
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    answer: Iterable[bytes] = globals()["do_" + environ["PATH_INFO"].split("/")[1]](
        environ, start, query
    )
    return answer


def fields(query: Query) -> list[tuple[str, str]]:
    """What the test wants beside a media type: each parameter with a capital letter."""
    said = [(name, value) for name, value in query.items() if name[0].isupper()]
    return [("Content-Type", query.get("type", "application/json")), *said]


def do_document(environ: Environ, start: Start, query: Query) -> Iterable[bytes]:
    """A document in one piece; with `pieces`, in so many, and its length only if asked for."""
    content = document(int(query.get("size", "20000")))
    pieces = int(query.get("pieces", "1"))
    length = [("Content-Length", str(len(content)))] if pieces == 1 or "length" in query else []
    start(query.get("status", "200 OK"), [*fields(query), *length])
    if environ["REQUEST_METHOD"] == "HEAD":
        return [b""]
    step = len(content) // pieces + 1
    return (content[at : at + step] for at in range(0, max(len(content), 1), step))


def do_events(_environ: Environ, start: Start, query: Query) -> Iterator[bytes]:
    """An event, and another each time that the FIFO `wait` says so."""
    start("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")])
    for number in range(int(query["count"])):
        if number:
            Path(query["wait"]).read_bytes()
        yield f"data: event {number}\n\n".encode()


def do_broken(_environ: Environ, start: Start, query: Query) -> Iterator[bytes]:
    start("200 OK", fields(query))
    yield document(100_000)
    raise RuntimeError("broken on purpose")


def do_short(_environ: Environ, start: Start, query: Query) -> Iterator[bytes]:
    start("200 OK", [*fields(query), ("Content-Length", "200000")])
    yield document(100_000)


def do_file(environ: Environ, start: Start, query: Query) -> Iterable[bytes]:
    start("200 OK", fields(query))
    opened = Path(query["path"]).open("rb")  # noqa: SIM115 - the server closes it
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](opened)
    return wrapped


def do_endless(_environ: Environ, start: Start, query: Query) -> Iterator[bytes]:
    """Until the client leaves; then it says so in the file `left`."""
    start("200 OK", fields(query))
    try:
        while True:
            yield document(50_000)
    finally:
        Path(query["left"]).write_text("left")


def do_tagged(environ: Environ, start: Start, _query: Query) -> Iterable[bytes]:
    """What Flask does: a tag made of the content, compared weakly."""
    response = Response(document(5000), mimetype="application/json")
    response.add_etag()
    response.make_conditional(Request(environ))
    return response(environ, start)


def do_strict(environ: Environ, start: Start, query: Query) -> Iterable[bytes]:
    """An app that compares the texts of tags, as none should."""
    tag = '"v1"'
    if environ.get("HTTP_IF_NONE_MATCH") == tag:
        start("304 Not Modified", [("ETag", tag)])
        return []
    return do_document(environ, start, {**query, "ETag": tag})


def do_partial(environ: Environ, start: Start, _query: Query) -> Iterable[bytes]:
    """A range of a document."""
    response = Response(io.BytesIO(document(5000)), mimetype="application/json")
    response.make_conditional(Request(environ), accept_ranges=True, complete_length=5000)
    return response(environ, start)
