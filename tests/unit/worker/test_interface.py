import functools
from typing import Any

import pytest
from trivet.worker.interface import framework_of, interface_of


def wsgi(environ: Any, start_response: Any) -> Any: ...


async def asgi(scope: Any, receive: Any, send: Any) -> Any: ...


def asgi_by_arguments(scope: Any, receive: Any, send: Any) -> Any: ...


class WSGIObject:
    def __call__(self, environ: Any, start_response: Any) -> Any: ...


class ASGIObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any: ...


class WSGIClass:
    """As in PEP 3333: the instance is the response."""

    def __init__(self, environ: Any, start_response: Any) -> None: ...


def with_more(environ: Any, start_response: Any, extra: int = 1) -> Any: ...


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (wsgi, "wsgi"),
        (WSGIObject(), "wsgi"),
        (WSGIObject().__call__, "wsgi"),
        (WSGIClass, "wsgi"),
        (with_more, "wsgi"),
        (functools.partial(with_more, extra=2), "wsgi"),
        (lambda *_: None, "wsgi"),
        (asgi, "asgi"),
        (asgi_by_arguments, "asgi"),
        (ASGIObject(), "asgi"),
        (ASGIObject().__call__, "asgi"),
        (functools.partial(asgi), "asgi"),
    ],
)
def test_the_callable_tells_what_it_is(app: object, interface: str) -> None:
    assert interface_of(app) == interface


def test_an_app_of_no_known_framework_has_none() -> None:
    assert framework_of(wsgi) == ""
