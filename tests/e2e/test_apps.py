"""Several apps in one stand: `[app.NAME]`."""

import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.program import Project
from tests.e2e.stand import Stand
from tests.waiting import wait_until

SHOP = """
import os, time
from flask import Flask, request, url_for

app = Flask(__name__)

@app.get("/")
def index():
    return {"app": "shop", "root": request.script_root, "link": url_for("cart"),
            "stage": os.environ["STAGE"], "folder": os.getcwd(), "pid": os.getpid()}

@app.get("/cart")
def cart():
    return "cart"

@app.get("/sleep")
def long_one():
    time.sleep(3)  # slow on purpose
    return "slept"

@app.get("/die")
def die():
    os._exit(9)
"""

BLOG = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan here")
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)  # slow on purpose
    text = f'{scope["root_path"]}|{scope["path"]}|{os.getcwd()}|{os.environ["STAGE"]}'
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
"""

FILE = """
env = { STAGE = "test" }

[server]
workers = 1

[app.shop]
target = "shop:app"
path = "/shop"
env = { STAGE = "live" }

[app.blog]
target = "main"
chdir = "blog"
workers = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of two apps."""
    folder = tmp_path / "project"
    (folder / "blog").mkdir(parents=True)
    (folder / "shop.py").write_text(SHOP)
    (folder / "blog" / "main.py").write_text(BLOG)
    (folder / "trivet.toml").write_text(FILE)
    return folder


@pytest.fixture
def stand(serve: Serve, folder: Path) -> Stand:
    return serve(folder)


def test_each_app_answers_below_its_path(stand: Stand, folder: Path) -> None:
    shop = stand.get("/shop/").json()
    assert (shop["app"], shop["root"], shop["link"]) == ("shop", "/shop", "/shop/cart")
    assert (shop["stage"], shop["folder"]) == ("live", str(folder))
    assert stand.get("/shop/cart").text == "cart"
    blog = stand.get("/shopping").text.split("|")
    assert blog[0] == ""
    assert blog[1:] == ["/shopping", str(folder / "blog"), "test"]


def test_the_screen_lists_the_apps(stand: Stand) -> None:
    text = stand.err.text()
    assert "/shop -> shop" in text
    assert "shop:app (WSGI), 1 x up to 40 threads" in text
    assert "(ASGI), 2 x 1 event loop" in text


def test_an_app_that_dies_again_and_again_does_not_touch_the_other(stand: Stand) -> None:
    for _ in range(3):
        # It kills its worker, is tried once more (GET), and kills another: nobody else has a try.
        assert stand.get("/shop/die").status == 500
        assert stand.get("/still").status == 200
        wait_until(lambda: stand.get("/shop/").status == 200, stand.describe)
    assert "shop: worker" in stand.err.text()
    assert "blog: worker" not in stand.err.text()


def test_an_app_that_cannot_reload_goes_on_while_the_other_is_new(
    stand: Stand, folder: Path
) -> None:
    (folder / "shop.py").write_text("import nowhere_to_be_found\n")
    (folder / "blog" / "main.py").write_text(BLOG.replace("|", "+"))
    stand.signal(signal.SIGHUP)
    wait_until(lambda: "+" in stand.get("/").text, stand.describe)
    stand.wait_for_text("shop: SIGHUP: not loaded, still serving the version of")
    assert stand.get("/shop/cart").text == "cart"


def test_each_app_has_its_own_time_for_a_request(serve: Serve, folder: Path) -> None:
    timed = FILE.replace('path = "/shop"', 'path = "/shop"\ntimeout = "300ms"')
    (folder / "trivet.toml").write_text(timed)
    stand = serve(folder)
    assert stand.get("/shop/sleep").status == 504
    assert stand.get("/slow").text.split("|")[1] == "/slow"


def test_a_path_of_no_app_is_not_found(serve: Serve, folder: Path) -> None:
    (folder / "trivet.toml").write_text(
        FILE.replace('chdir = "blog"', 'chdir = "blog"\npath = "/blog"')
    )
    stand = serve(folder)
    assert stand.get("/other").status == 404
    assert stand.get("/blog/x").text.startswith("/blog|")
    assert stand.get("/shop/cart").status == 200


def test_an_app_that_does_not_load_is_named_and_the_start_ends_with_3(folder: Path) -> None:
    (folder / "blog" / "main.py").write_text("app = 1 / 0\n")
    ended = Project(folder).run("serve", "--bind", "127.0.0.1:0")
    assert ended.code == 3
    assert "ZeroDivisionError" in ended.err


def test_check_loads_every_app(folder: Path) -> None:
    ended = Project(folder).run("check")
    assert ended.code == 0
    assert "shop: shop:app: loaded in" in ended.out
    assert "blog: main" in ended.out
