import functools
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from trivet.wire.worker_control import AppTarget
from trivet.worker import load_errors
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


class Proxy:
    """As `flask.request` outside of a request, and what Django makes lazily."""

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("working outside of request context")

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("working outside of request context")

    def __call__(self) -> None: ...


# `trivet check app:application` ended as `app.died` on a module that imports `flask.request`.
def test_a_proxy_that_may_not_be_asked_is_of_no_framework() -> None:
    assert framework_of(Proxy()) == ""


def test_a_module_with_such_a_proxy_can_still_be_described() -> None:
    module = ModuleType("shop")
    module.__dict__.update(request=Proxy(), application=Flask("shop"))
    target = AppTarget(
        name="shop:app",
        module="shop",
        expression="app",
        factory=False,
        directory="/srv",
        interface="auto",
        async_views="shared",
    )
    error = load_errors.no_attribute(target, module, "app")
    assert error.detail == "`shop` has: application (Flask), request (Proxy)"
    assert error.hint == "trivet serve shop:application"
