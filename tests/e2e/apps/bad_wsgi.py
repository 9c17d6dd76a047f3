"""Apps that break PEP 3333, each by its path; the line to be blamed ends with `# blame: NAME`.

Rules about the arguments of `start_response` are in `responses`, a case each.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

Environ = dict[str, Any]
Start = Callable[..., Callable[[bytes], object]]
TEXT = [("Content-Type", "text/plain")]
kept: dict[str, Callable[[bytes], object]] = {}


def bad_status(_: Environ, start_response: Start) -> Any:
    start_response("OK", TEXT)  # blame: bad-status


def status_out_of_range(_: Environ, start_response: Start) -> Any:
    start_response("799 Odd", TEXT)  # blame: status-out-of-range


def header_of_bytes(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", [(b"X-A", "1")])  # blame: header-of-bytes


def header_with_cr(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", [("X-A", "1\rX-B: 2")])  # blame: header-with-cr


def header_with_lf(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", [("X-A", "1\nX-B: 2")])  # blame: header-with-lf


def header_with_nul(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", [("X-A", "1\0")])  # blame: header-with-nul


def twice(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    start_response("404 Not Found", TEXT)  # blame: twice


def written_text(_: Environ, start_response: Start) -> Any:
    write = start_response("200 OK", TEXT)
    write("text")  # type: ignore[arg-type] # blame: written-text


def written_beyond(_: Environ, start_response: Start) -> Any:
    write = start_response("200 OK", [("Content-Length", "2")])
    write(b"four")  # blame: written-beyond


def yields_text(_: Environ, start_response: Start) -> Iterator[Any]:
    start_response("200 OK", TEXT)
    yield "text"  # blame: yields-text


def yields_number_later(_: Environ, start_response: Start) -> Iterator[Any]:
    start_response("200 OK", TEXT)
    yield b"begun"
    yield 1  # blame: yields-number-later


def too_long_later(_: Environ, start_response: Start) -> Iterator[Any]:
    start_response("200 OK", [("Content-Length", "7")])
    yield b"begun"
    yield b"and more"  # blame: too-long-later


def without_a_start(_: Environ, __: Start) -> Iterator[Any]:
    yield b"content"  # blame: without-a-start


def asynchronous(_: Environ, start_response: Start) -> Any:
    return coroutine(start_response)


async def coroutine(start_response: Start) -> Any:  # blame: asynchronous
    start_response("200 OK", TEXT)
    return [b"never"]


# What is wrong with these is seen when they have returned: the app itself is to be blamed.


def nothing(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)


def text(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return "text"


def text_in_a_list(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return ["text"]


def too_short(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", [("Content-Length", "10")])
    return [b"four"]


def too_long(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", [("Content-Length", "2")])
    return [b"four"]


def never_started(_: Environ, __: Start) -> Any:
    return [b"content"]


# What is no failure of its request.


def keeps_write(_: Environ, start_response: Start) -> Any:
    kept["write"] = start_response("200 OK", TEXT)
    return [b"whole"]


def writes_after_the_end(_: Environ, start_response: Start) -> Any:
    """Write to the response of the request before."""
    kept["write"](b"too late")  # blame: writes-after-the-end
    start_response("200 OK", TEXT)
    return [b"never"]


def sets_fields_of_the_connection(_: Environ, start_response: Start) -> Any:
    fields = [("Connection", "close, x-a"), ("Transfer-Encoding", "chunked"), ("Upgrade", "x")]
    start_response("200 OK", [*TEXT, *fields, ("Keep-Alive", "1"), ("TE", "x"), ("X-A", "kept")])
    return [b"whole"]


def ok(_: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return [b"ok"]


def app(environ: Environ, start_response: Start) -> Iterable[bytes]:  # blame: app
    view = globals()[environ["PATH_INFO"].strip("/").replace("-", "_")]
    answer: Iterable[bytes] = view(environ, start_response)
    return answer
