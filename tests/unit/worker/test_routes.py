"""What frameworks tell of their routes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from trivet.wire.worker_control import AppRoutes, RoutesAsked
from trivet.worker.loading import LoadedApp
from trivet.worker.routes import answer

Load = Callable[..., LoadedApp]

FLASK = """
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

inner = Flask(__name__, static_folder=None)

@inner.get("/cart/<int:number>")
def cart(number): ...

@inner.post("/cart/")
def add(): ...

app = ProxyFix(inner)
"""

FASTAPI = """
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount, Route

app = FastAPI(openapi_url=None)

@app.get("/items/{number}")
async def item(number: int): ...

async def page(request): ...

app.mount("/old", Starlette(routes=[Route("/page", page, methods=["GET"])]))
"""

BROKEN = """
class App:
    class url_map:
        def iter_rules(): 1 / 0

    def __call__(self, environ, start_response): ...

app = App()
"""


def asked(path: str = "", method: str = "GET", mount: str = "") -> RoutesAsked:
    return RoutesAsked(method=method, scheme="http", host="a.example", mount=mount, path=path)


def told(answered: AppRoutes) -> list[tuple[tuple[str, ...], str, str]]:
    return [(each.methods, each.path, each.endpoint) for each in answered.routes]


def taken(answered: AppRoutes) -> str:
    return answered.taken.endpoint if answered.taken else answered.problem


def test_flask_tells_its_rules_through_a_middleware(load: Load) -> None:
    answered = answer(load(FLASK).app, asked())
    assert answered.is_known
    assert told(answered) == [
        (("GET",), "/cart/<int:number>", "app.cart"),
        (("POST",), "/cart/", "app.add"),
    ]
    assert (answered.taken, answered.problem) == (None, "")


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/cart/7", "GET", "app.cart"),
        ("/cart/7", "HEAD", "app.cart"),
        ("/cart/", "POST", "app.add"),
        ("/cart/x", "GET", "404 Not Found: no route of the app is for it"),
        ("/cart/7", "POST", "405 Method Not Allowed: no route of the app is for it"),
        ("/cart", "POST", "308, to http://a.example/shop/cart/"),
    ],
)
def test_flask_says_which_rule_a_request_takes(
    load: Load, path: str, method: str, expected: str
) -> None:
    assert taken(answer(load(FLASK).app, asked(path, method, "/shop"))) == expected


def test_fastapi_tells_its_routes_and_those_of_what_is_mounted(load: Load) -> None:
    answered = answer(load(FASTAPI).app, asked())
    assert told(answered) == [
        (("GET",), "/items/{number}", "app.item"),
        (("GET",), "/old/page", "app.page"),
    ]


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/items/7", "GET", "app.item"),
        ("/old/page", "GET", "app.page"),
        ("/items/7", "DELETE", "405 Method Not Allowed: no route of the app is for it"),
        ("/old/other", "GET", "404 Not Found: no route of the app is for it"),
        ("/", "GET", "404 Not Found: no route of the app is for it"),
    ],
)
@pytest.mark.parametrize("mount", ["", "/shop"])
def test_fastapi_says_which_route_a_request_takes(
    load: Load, path: str, method: str, mount: str, expected: str
) -> None:
    assert taken(answer(load(FASTAPI).app, asked(path, method, mount))) == expected


def test_an_app_without_a_framework_is_not_known(load: Load) -> None:
    answered = answer(load("def app(environ, start_response): ...").app, asked("/"))
    assert answered == AppRoutes(is_known=False, routes=(), taken=None, problem="")


def test_an_app_whose_routes_raise_is_told(load: Load) -> None:
    answered = answer(load(BROKEN).app, asked())
    assert answered.problem == "its routes cannot be read: ZeroDivisionError: division by zero"
