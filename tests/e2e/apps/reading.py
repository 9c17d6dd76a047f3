"""Reads the content as the request asks, and says what each call gave."""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol


class Content(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...
    def readline(self, size: int = -1, /) -> bytes: ...
    def readlines(self, hint: int = -1, /) -> list[bytes]: ...
    def __iter__(self) -> Any: ...


def result_of(stream: Content, call: list[Any]) -> list[str]:
    """Make one call; each line of what it gave as `length:digest`, or itself if it is short."""
    name, *arguments = call
    if name == "iterate":
        given = list(stream)
    elif name == "repeat":
        given = list(iter(lambda: getattr(stream, arguments[0])(*arguments[1:]), b""))
    else:
        got = getattr(stream, name)(*arguments)
        given = got if isinstance(got, list) else [got]
    return [shown(piece) for piece in given]


def shown(piece: bytes) -> str:
    assert type(piece) is bytes
    if len(piece) <= 64:
        return piece.decode("latin-1")
    return f"{len(piece)}:{hashlib.sha1(piece, usedforsecurity=False).hexdigest()}"


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    calls = json.loads(environ["HTTP_X_CALLS"])
    answer = {
        "results": [result_of(environ["wsgi.input"], call) for call in calls],
        "length": environ.get("CONTENT_LENGTH"),
        "terminated": environ["wsgi.input_terminated"],
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
