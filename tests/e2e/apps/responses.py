"""Answers that keep the rules of PEP 3333, and many that break them: the path says which."""

import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.e2e.apps.journal import note

Environ = dict[str, Any]
Start = Callable[..., Callable[[bytes], object]]
TEXT = [("Content-Type", "text/plain")]

VIEWS: dict[str, Callable[[Environ, Start], Any]] = {}


def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
    name = environ["PATH_INFO"].strip("/").split("/")[0]
    answer: Iterable[bytes] = VIEWS[name](environ, start_response)
    return answer


def view(function: Callable[[Environ, Start], Any]) -> Callable[[Environ, Start], Any]:
    VIEWS[function.__name__.replace("_", "-")] = function
    return function


class Noted:
    """An iterable whose end is written down."""

    def __init__(self, name: str, pieces: Iterable[Any], *, close: str = "") -> None:
        self._name = name
        self._pieces = iter(pieces)
        self._close = close

    def __iter__(self) -> Iterator[Any]:
        return self._pieces

    def close(self) -> None:
        note(f"closed {self._name}")
        if self._close:
            raise RuntimeError(self._close)


class Counted(Noted):
    def __len__(self) -> int:
        return 2


def broken(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces
    raise LookupError("in the middle")


@view
def ok(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return [b"ok"]


# start_response ------------------------------------------------------------------------


@view
def head_from_header(environ: Environ, start_response: Start) -> Any:
    """`X-Case` is a Python expression: the arguments."""
    start_response(*eval(environ["HTTP_X_CASE"]))  # noqa: S307 - written by the test
    return [b"content"]


@view
def returns_from_header(environ: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return eval(environ["HTTP_X_CASE"])  # noqa: S307 - written by the test


@view
def twice(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    start_response("404 Not Found", TEXT)
    return [b"never"]


@view
def replaced(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", [*TEXT, ("X-First", "1")])
    try:
        int("before the head was sent")
    except ValueError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
    return [b"an error page"]


@view
def too_late(_: Environ, start_response: Start) -> Any:
    write = start_response("200 OK", TEXT)
    write(b"part")
    try:
        int("after the head was sent")
    except ValueError:
        start_response("503 Service Unavailable", TEXT, sys.exc_info())
        note("too-late went on")
    return [b"never"]


@view
def never_called(_: Environ, __: Start) -> Any:
    return [b"content"]


@view
def never_called_and_empty(_: Environ, __: Start) -> Any:
    return iter(())


@view
def late(_: Environ, start_response: Start) -> Any:
    yield b""
    start_response("201 Created", TEXT)
    yield b"first "
    yield b"second"


@view
def written(_: Environ, start_response: Start) -> Any:
    write = start_response("200 OK", TEXT)
    write(b"one ")
    write(b"two ")
    return [b"three ", b"four"]


@view
def written_text(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)("text")  # type: ignore[arg-type]
    return []


@view
def written_too_much(_: Environ, start_response: Start) -> Any:
    write = start_response("200 OK", [*TEXT, ("Content-Length", "4")])
    try:
        write(b"fourty-two")
    except RuntimeError as error:
        note(f"refused: {error}")
    return []


@view
def hop_by_hop(_: Environ, start_response: Start) -> Any:
    names = ["Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "TE", "Trailer"]
    fields = [(name, "x-secret" if name == "Connection" else "chunked") for name in names]
    start_response("200 OK", [*TEXT, *fields, ("X-End", "kept")])
    return [b"ok"]


@view
def many_headers(environ: Environ, start_response: Start) -> Any:
    count, size = map(int, environ["QUERY_STRING"].split("x"))
    start_response("200 OK", [(f"X-{number}", "v" * size) for number in range(count)])
    return [b"ok"]


@view
def no_content(environ: Environ, start_response: Start) -> Any:
    start_response(environ["HTTP_X_STATUS"], [])
    return iter([b"content that", b" no client may see"])


@view
def endless(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return Noted("endless", iter(lambda: b"x" * 10_000, b""))


# Content-Length ------------------------------------------------------------------------


@view
def promised(environ: Environ, start_response: Start) -> Any:
    """`?length,shape`: promise a length, and send ten bytes."""
    length, shape = environ["QUERY_STRING"].split(",")
    start_response("200 OK", [*TEXT, ("Content-Length", length)])
    if shape == "list":
        return [b"0123456789"]
    if shape == "file":
        return environ["wsgi.file_wrapper"](numbers_file())
    return Noted("promised", [b"01234", b"", b"56789"])


def numbers_file() -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it
    file.write(b"0123456789")
    file.seek(0)
    return file


# close ---------------------------------------------------------------------------------


@view
def closed(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return Noted("closed", [b"a", b"b"])


@view
def counted(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return Counted("counted", [b"a", b"b"])


@view
def closed_unstarted(_: Environ, __: Start) -> Any:
    return Noted("closed-unstarted", [b"a"])


@view
def breaks_first(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return Noted("breaks-first", broken())


@view
def breaks_later(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return Noted("breaks-later", broken(b"part one, ", b"part two"))


@view
def breaks_later_of_length(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", [*TEXT, ("Content-Length", "100")])
    return Noted("breaks-later-of-length", broken(b"part one, ", b"part two"))


@view
def breaks_in_close(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return Noted("breaks-in-close", [b"whole"], close="in close")


@view
def breaks_twice(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return Noted("breaks-twice", broken(), close="in close, too")


@view
def yields_text(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return Noted("yields-text", ["text"])


@view
def slow_stream(_: Environ, start_response: Start) -> Any:
    """Content without end, far more than any buffer."""
    start_response("200 OK", TEXT)
    return Noted("slow-stream", iter(lambda: b"x" * 100_000, b""))


# Files ---------------------------------------------------------------------------------


class Unnumbered(io.BytesIO):
    def close(self) -> None:
        note("closed unnumbered")
        super().close()


@view
def file(environ: Environ, start_response: Start) -> Any:
    """`?kind`: a file of some kind, of which the first three bytes are read already."""
    path = Path(os.environ["FOLDER"], "file")
    opened: Any
    if environ["QUERY_STRING"] == "gzip":
        import gzip  # noqa: PLC0415 - for this kind only

        opened = gzip.open(path.with_suffix(".gz"))  # noqa: SIM115 - the server closes it
    elif environ["QUERY_STRING"] == "memory":
        opened = Unnumbered(path.read_bytes())
    elif environ["QUERY_STRING"] == "temporary":
        opened = tempfile.NamedTemporaryFile()  # noqa: SIM115 - the server closes it
        opened.write(path.read_bytes())
        opened.seek(0)
    elif environ["QUERY_STRING"] == "pipe":
        reading, writing = os.pipe()
        os.write(writing, path.read_bytes()[:60_000])
        os.close(writing)
        opened = os.fdopen(reading, "rb")
    else:
        opened = path.open("rb", buffering=0 if environ["QUERY_STRING"] == "raw" else -1)
    opened.read(3)
    write = start_response("200 OK", TEXT)
    if environ["QUERY_STRING"] == "after-write":
        write(b"before ")
    return environ["wsgi.file_wrapper"](opened, 5000)


@view
def file_of_the_system(environ: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](Path("/proc/self/status").open("rb"))
