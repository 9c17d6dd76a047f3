"""Apps without a framework: any callable will do."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
Start = Callable[..., object]


def answer(text: str, environ: Environ, start_response: Start) -> Iterable[bytes]:
    content = f"{text} {environ['PATH_INFO']}".encode()
    start_response("200 OK", [("Content-Length", str(len(content)))])
    return [content]


partial = functools.partial(answer, "a partial")


class Instance:
    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        return answer("an instance", environ, start_response)

    def method(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        return answer("a method", environ, start_response)


class Iterated:
    """PEP 3333's example of a class as an app: its instances are the answers."""

    def __init__(self, environ: Environ, start_response: Start) -> None:
        self._answer = answer("a class", environ, start_response)

    def __iter__(self) -> Any:
        yield from self._answer


instance = Instance()
method = instance.method
lambda_ = lambda environ, start_response: answer("a lambda", environ, start_response)  # noqa: E731
