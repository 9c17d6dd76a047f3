"""Apps that break the ASGI specification, each by its path.

The line to be blamed ends with `# blame: NAME`.
"""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Any], Awaitable[None]]

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]}
BODY = {"type": "http.response.body", "body": b"whole"}
PART = {"type": "http.response.body", "body": b"begun", "more_body": True}


def start(**parts: Any) -> dict[str, Any]:
    return {**START, **parts}


def body(**parts: Any) -> dict[str, Any]:
    return {**BODY, **parts}


def promising(length: str) -> dict[str, Any]:
    return start(headers=[(b"content-length", length.encode())])


async def status_of_text(send: Send) -> None:
    await send(start(status="200"))  # blame: status-of-text


async def status_of_bool(send: Send) -> None:
    await send(start(status=True))  # blame: status-of-bool


async def status_interim(send: Send) -> None:
    await send(start(status=100))  # blame: status-interim


async def status_missing(send: Send) -> None:
    await send({"type": "http.response.start"})  # blame: status-missing


async def headers_of_none(send: Send) -> None:
    await send(start(headers=None))  # blame: headers-of-none


async def header_of_text(send: Send) -> None:
    await send(start(headers=[("x-a", "1")]))  # blame: header-of-text


async def header_of_three(send: Send) -> None:
    await send(start(headers=[(b"x-a", b"1", b"2")]))  # blame: header-of-three


async def header_of_number(send: Send) -> None:
    await send(start(headers=[7]))  # blame: header-of-number


async def header_with_cr(send: Send) -> None:
    await send(start(headers=[(b"x-a", b"1\rx-b: 2")]))  # blame: header-with-cr


async def header_with_lf(send: Send) -> None:
    await send(start(headers=[(b"x-a", b"1\nx-b: 2")]))  # blame: header-with-lf


async def header_with_nul(send: Send) -> None:
    await send(start(headers=[(b"x-a", b"1\0")]))  # blame: header-with-nul


async def header_without_name(send: Send) -> None:
    await send(start(headers=[(b"", b"1")]))  # blame: header-without-name


async def headers_too_large(send: Send) -> None:
    await send(start(headers=[(b"x-a", b"1" * 60_000)] * 5))  # blame: headers-too-large


async def length_of_text(send: Send) -> None:
    await send(promising("many"))  # blame: length-of-text


async def length_huge(send: Send) -> None:
    await send(promising("9" * 19))  # blame: length-huge


async def lengths_that_differ(send: Send) -> None:
    headers = [(b"content-length", b"7"), (b"Content-Length", b"8")]
    await send(start(headers=headers))  # blame: lengths-that-differ


async def body_of_text(send: Send) -> None:
    await send(START)
    await send(body(body="text"))  # blame: body-of-text


async def body_of_text_later(send: Send) -> None:
    await send(START)
    await send(PART)
    await send(body(body="text"))  # blame: body-of-text-later


async def body_first(send: Send) -> None:
    await send(BODY)  # blame: body-first


async def start_twice(send: Send) -> None:
    await send(START)
    await send(START)  # blame: start-twice


async def start_later(send: Send) -> None:
    await send(START)
    await send(PART)
    await send(START)  # blame: start-later


async def of_no_dict(send: Send) -> None:
    await send("http.response.start")  # blame: of-no-dict


async def of_none(send: Send) -> None:
    await send(None)  # blame: of-none


async def without_type(send: Send) -> None:
    await send({"status": 200})  # blame: without-type


async def of_unknown_type(send: Send) -> None:
    await send({"type": "http.response.stat", "status": 200})  # blame: of-unknown-type


async def of_a_websocket(send: Send) -> None:
    await send({"type": "websocket.accept"})  # blame: of-a-websocket


async def too_short(send: Send) -> None:
    await send(promising("10"))
    await send(BODY)  # blame: too-short


async def too_short_later(send: Send) -> None:
    await send(promising("20"))
    await send(PART)
    await send(BODY)  # blame: too-short-later


async def too_long(send: Send) -> None:
    await send(promising("2"))
    await send(BODY)  # blame: too-long


async def too_long_later(send: Send) -> None:
    await send(promising("7"))
    await send(PART)
    await send(BODY)  # blame: too-long-later


async def file_of_other_length(send: Send) -> None:
    await send(promising("7"))
    await send({"type": "http.response.pathsend", "path": __file__})  # blame: file-of-other-length


async def file_without_path(send: Send) -> None:
    await send(START)
    await send({"type": "http.response.pathsend"})  # blame: file-without-path


async def file_that_is_a_folder(send: Send) -> None:
    folder = str(Path(__file__).parent)
    await send(START)
    await send({"type": "http.response.pathsend", "path": folder})  # blame: file-that-is-a-folder


async def file_that_is_missing(send: Send) -> None:
    await send(START)
    await send({"type": "http.response.pathsend", "path": "/none"})  # blame: file-that-is-missing


# What is wrong with these is seen when they have returned: the app itself is to be blamed.


async def silent(_: Send) -> None:
    """Return at once."""


async def only_started(send: Send) -> None:
    await send(START)


async def unfinished(send: Send) -> None:
    await send(START)
    await send(PART)


# The response is whole already.


async def body_after_the_end(send: Send) -> None:
    await send(START)
    await send(BODY)
    await send(BODY)  # blame: body-after-the-end


async def start_after_the_end(send: Send) -> None:
    await send(START)
    await send(BODY)
    await send(START)  # blame: start-after-the-end


async def raises_after_the_end(send: Send) -> None:
    await send(START)
    await send(BODY)
    raise LookupError("in a background task")  # blame: raises-after-the-end


# Fine.


async def ok(send: Send) -> None:
    await send(START)
    await send(body(body=b"ok"))


async def other_kinds_of_bytes(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [[b"X-A", b"1"]]})
    await send(body(body=bytearray(b"one "), more_body=True))
    await send(body(body=memoryview(b"two"), more_body=True))
    await send({"type": "http.response.body"})


async def sets_fields_of_the_connection(send: Send) -> None:
    fields = [(b"connection", b"x-a"), (b"transfer-encoding", b"chunked"), (b"upgrade", b"x")]
    await send(start(headers=[*fields, (b"keep-alive", b"1"), (b"x-a", b"kept")]))
    await send(BODY)


async def content_where_none_may_be(send: Send) -> None:
    await send(start(status=304, headers=[(b"content-length", b"1000")]))
    for _ in range(3):
        await send(PART)
    await send(BODY)


async def endless(send: Send) -> None:
    await send(START)
    try:
        while True:
            await send(body(body=b"x" * 10_000, more_body=True))
    except OSError:
        sys.stdout.write("endless has ended\n")
        raise


async def app(scope: Scope, receive: Receive, send: Send) -> None:  # blame: app
    del receive
    assert scope["type"] == "http"
    await globals()[scope["path"].strip("/").replace("-", "_")](send)
