"""Views that raise, in every way there is."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn


class OddError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text for you")


def innermost() -> NoReturn:
    raise ZeroDivisionError("division by zero")


def recurse() -> NoReturn:
    recurse()


def chained() -> NoReturn:
    try:
        innermost()
    except ZeroDivisionError as error:
        raise LookupError("in place of it") from error


def library() -> object:
    import json  # noqa: PLC0415 - the frame of a library is wanted

    return json.loads("{")


def leaving() -> NoReturn:
    sys.exit(3)


def interrupted() -> NoReturn:
    raise KeyboardInterrupt


def generator_left() -> NoReturn:
    raise GeneratorExit


def exhausted() -> NoReturn:
    raise StopIteration


def odd() -> NoReturn:
    raise OddError


def unicode() -> NoReturn:
    raise ValueError("naïve \ud800 €\nsecond line")


def large() -> NoReturn:
    raise ValueError("x" * 200_000)


VIEWS: dict[str, Callable[[], object]] = {
    "/boom": innermost,
    "/chained": chained,
    "/exhausted": exhausted,
    "/generator-left": generator_left,
    "/interrupted": interrupted,
    "/large": large,
    "/leaving": leaving,
    "/library": library,
    "/odd": odd,
    "/recurse": recurse,
    "/unicode": unicode,
}


def pieces(view: Callable[[], object]) -> Iterator[bytes]:
    yield b"begun"
    view()


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    path = environ["PATH_INFO"]
    if path == "/ok":
        return [b"ok"]
    view = VIEWS[path.removesuffix("/later")]
    if path.endswith("/later"):
        return pieces(view)
    view()
    return [b"never"]
