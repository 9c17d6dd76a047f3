"""`trivet routes` and `trivet explain`: what they say is what the stand does."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.apps import APPS, ROOT
from tests.e2e.http1 import RawAnswer, connect, request, running
from tests.e2e.program import Project
from tests.e2e.stand import Stand

CONFIG = """
[health]
live = "/livez"

[proxy]
trusted = ["127.0.0.1"]

[[site]]
host = ["www.shop.example"]
www = "remove"

[[route]]
path = "/old/{id}"
redirect = "/new/{id}"

[[route]]
path = "/secure"
scheme = "https"
respond = "over TLS"

[[route]]
path = "/beta"
field = { X-Beta = "yes" }
respond = "beta"

[[route]]
path = "/public/{name*}"
rewrite = "/echo/{name}"

[[route]]
path = "/office/*"
allow = ["192.0.2.0/24"]

[[route]]
client = ["198.51.100.7"]
path = "/mine"
respond = "mine"

[[route]]
path = "/circle"
rewrite = "/circle"

[[route]]
path = "/gone/*"
method = ["GET"]
status = 410

[[route]]
path = "/echo/*"
timeout = "9s"
"""

FLASK = """
from flask import Flask

print("the app is being imported")
app = Flask(__name__, static_folder=None)

@app.get("/cart/<int:number>")
def cart(number):
    return "a cart"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explain")


@pytest.fixture(scope="module")
def stand(folder: Path) -> Iterator[Stand]:
    with running(folder, "--workers", "1", config=CONFIG) as stand:
        yield stand


def explained(project: Project, *arguments: str) -> Any:
    ended = project.run("explain", *arguments, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


class Case(NamedTuple):
    method: str
    target: str
    fields: tuple[str, ...]
    status: int
    answerer: str


def sent(stand: Stand, case: Case) -> RawAnswer:
    asked = request(case.method, case.target, *case.fields)
    if any(field.startswith("Host") for field in case.fields):
        lines = [f"{case.method} {case.target} HTTP/1.1", *case.fields, "", ""]
        asked = "\r\n".join(lines).encode()
    with connect(stand) as client:
        client.send(asked)
        return client.answer(case.method)


@pytest.mark.parametrize(
    "case",
    [
        Case("GET", "/old/7", (), 308, "route 1 (/old/{id})"),
        Case("GET", "/secure", (), 200, "app"),
        Case("GET", "/secure", ("X-Forwarded-Proto: https",), 200, "route 2 (/secure)"),
        Case("GET", "/beta", ("x-beta: yes",), 200, "route 3 (/beta)"),
        Case("GET", "/beta", (), 200, "app"),
        Case("GET", "/public/a%20b", (), 200, "app"),
        Case("GET", "/gone/./x", (), 410, "route 8 (/gone/*)"),
        Case("POST", "/gone/x", (), 200, "app"),
        Case("GET", "/x", ("Host: www.shop.example",), 308, "site 1 (www)"),
        Case("GET", "/livez", (), 200, "probe"),
        Case("GET", "/circle", (), 500, "circle"),
        Case("GET", "/office/x", (), 403, "forbidden"),
        Case("GET", "/office/x", ("X-Forwarded-For: 192.0.2.9",), 200, "app"),
        Case("GET", "/mine", ("X-Forwarded-For: 198.51.100.7",), 200, "route 6 (/mine)"),
        Case("GET", "/mine", (), 200, "app"),
        Case("GET", "/a%00b", (), 400, "gate"),
        Case("GET", "/%zz", (), 400, "gate"),
        Case("GET", "/../x", (), 400, "gate"),
        Case("GET", "/x", ("Host: a", "Host: b"), 400, "gate"),
        Case("GET", "/x", ("Transfer-Encoding: gzip",), 501, "gate"),
    ],
    ids=lambda case: f"{case.method} {case.target} {case.answerer}",
)
def test_what_is_explained_is_what_happens(stand: Stand, folder: Path, case: Case) -> None:
    given = [each for field in case.fields for each in ("-H", field)]
    named = ("--no-app", "app:app", "--app-dir", str(APPS / "edge"))
    told = explained(Project(folder), case.target, *named, "-X", case.method, *given)
    answer = sent(stand, case)
    assert answer.status == case.status
    by = told["answerer"]
    if by == "route":
        by = "circle" if told["is_circle"] else told["steps"][-1]["route"]
    if told["is_forbidden"]:
        by = "forbidden"
    assert by == case.answerer
    if by == "gate":
        assert told["refused"]["status"] == case.status
    if by == "app" and answer.field("content-type") == "application/json":
        assert answer.json()["path"] == told["final_path"]


def test_each_step_is_told_with_its_line_and_its_reason(folder: Path) -> None:
    (folder / "trivet.toml").write_text(CONFIG)
    named = ("app:app", "--app-dir", str(APPS / "edge"))
    ended = Project(folder).run("explain", "/public/x", *named, "-X", "POST")
    assert ended.code == 0
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert lines[0] == "POST /public/x"
    where = "http://localhost, path /public/x, from 127.0.0.1"
    assert lines[2] == f"✓ the gate lets it pass: {where}"
    assert "✗ site 1 (www) host: localhost is not www.shop.example trivet.toml:8" in lines
    assert "✗ route 1 (/old/{id}) path: it is not /old/{id} trivet.toml:12" in lines
    assert "✓ route 4 (/public/{name*}) goes on as /echo/x trivet.toml:26" in lines
    assert "✓ route 9 (/echo/*) sets timeout trivet.toml:48" in lines
    assert 'timeout = "9s" route 9 (/echo/*), trivet.toml:48' in lines
    assert 'request_body = "100 MiB" limits.request_body, default' in lines
    assert lines[-1] == "answered by the app app:app, as /echo/x"


def test_a_request_that_the_gate_refuses_is_told_with_its_reason(project: Project) -> None:
    ended = project.run("explain", "/a%00b")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "the gate refuses it: 400 Bad Request")
    assert "The request path holds a NUL. (edge.bad_request)" in ended.out


def test_the_function_of_the_framework_is_named(project: Project) -> None:
    project.write({"app.py": FLASK})
    ended = project.run("explain", "/cart/7")
    assert ended.out.splitlines()[-2:] == [
        "answered by the app app:app",
        "  app.cart, which has /cart/<int:number>",
    ]
    assert "the app is being imported" in ended.err
    assert "no route of the app is for it" in project.run("explain", "/cart/x").out
    assert explained(project, "/cart/7")["endpoint"]["endpoint"] == "app.cart"


def test_an_app_below_a_path_is_asked_with_the_rest(project: Project) -> None:
    project.write(
        {
            "shop.py": FLASK,
            "trivet.toml": '[app.shop]\ntarget = "shop:app"\npath = "/shop"\n',
        }
    )
    lines = project.run("explain", "/shop/cart/7").out.splitlines()
    assert lines[-2:] == [
        "answered by the app shop: shop:app, mounted at /shop",
        "  shop.cart, which has /cart/<int:number>",
    ]
    nobody = project.run("explain", "/cart/7").out.splitlines()
    assert nobody[-1] == "no app has the path /cart/7: 404 Not Found"
    shown = project.run("routes").out
    assert "app  shop: shop:app, for /shop/*" in shown
    assert "  GET  /shop/cart/<int:number>  shop.cart" in shown


def test_django_is_asked_by_its_resolver() -> None:
    project = Project(APPS / "django_site")
    ended = project.run("explain", "/no-such-page")
    assert ended.out.splitlines()[-1] == "  404 Not Found: no route of the app is for it"
    routes = json.loads(project.run("routes", "--json").out)["apps"][0]
    assert routes["is_known"]
    assert {"methods": [], "path": "/count", "endpoint": "shop.urls.count"} in routes["routes"]
    assert project.run("explain", "/count").out.splitlines()[-1] == (
        "  shop.urls.count, which has /count"
    )


def test_a_code_of_an_error_is_explained(project: Project) -> None:
    ended = project.run("explain", "config.bad_value")
    text = "config.bad_value: An option has a value of another type, form or range than it takes.\n"
    assert (ended.code, ended.out) == (0, text)
    wrong = project.run("explain", "config.bad_valu")
    assert (wrong.code, wrong.said[-1]) == (2, "  hint: did you mean `config.bad_value`?")


def test_what_is_no_request_is_a_usage_error(project: Project) -> None:
    for arguments in (["ftp://a/"], ["/", "-H", "X"], ["/", "--client", "x"], ["/", "-X", "a b"]):
        ended = project.run("explain", *arguments)
        assert (ended.code, ended.out) == (2, "")


# trivet routes


def test_routes_lists_what_the_edge_looks_at(folder: Path) -> None:
    (folder / "trivet.toml").write_text(CONFIG)
    ended = Project(folder).run("routes", "--no-app", "app:app", "--app-dir", str(APPS / "edge"))
    rows = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert rows[0] == "route requests sets answer from"
    assert rows[2] == "2 route 1 /old/{id} 308, to /new/{id} trivet.toml:12"
    assert rows[9] == "9 route 8 GET /gone/* 410 trivet.toml:43"
    assert rows[10] == '10 route 9 /echo/* timeout = "9s" on trivet.toml:48'
    assert rows[-1] == "app app:app, for /*"


def test_routes_of_an_app_that_does_not_load_are_a_note(project: Project) -> None:
    project.write({"app.py": "1 / 0\napp = 1\n"})
    ended = project.run("routes", "app:app")
    assert ended.code == 0
    assert "  it does not load: `app:app` was not loaded: ZeroDivisionError" in ended.out
    listed = json.loads(project.run("routes", "--json", "app:app").out)
    assert listed["apps"][0]["problem"].startswith("it does not load: `app:app`")
    assert project.run("routes", "nowhere").code == 0


def test_routes_as_a_document_has_nothing_else_in_it(project: Project) -> None:
    project.write({"app.py": FLASK})
    ended = project.run("routes", "--json")
    assert json.loads(ended.out) == {
        "routes": [],
        "apps": [
            {
                "name": "",
                "target": "app:app",
                "mount": "",
                "is_known": True,
                "routes": [
                    {"methods": ["GET"], "path": "/cart/<int:number>", "endpoint": "app.cart"}
                ],
                "problem": "",
            }
        ],
    }


# The pages about it


@pytest.mark.parametrize("page", ["guides/serve-static-files", "concepts/routing"])
def test_each_example_of_a_page_is_a_configuration(project: Project, page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    examples = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert examples
    for name in ("static", "public"):
        (project.folder / name).mkdir()
    for example in examples:
        project.write({"trivet.toml": example})
        ended = project.run("routes", "--no-app")
        assert (ended.code, ended.err) == (0, "")
        assert "trivet.toml:" in ended.out


@pytest.mark.parametrize("page", ["guides/serve-static-files", "concepts/routing"])
def test_each_question_of_a_page_has_an_answer(project: Project, page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    project.write({"app.py": FLASK, "static/app.css": "a {}"})
    asked = re.findall(r"^\$ trivet ((?:explain|routes).*?)(?:\s#.*)?$", text, re.MULTILINE)
    assert asked
    for command in asked:
        ended = project.run(*shlex.split(command), "--static", "/static=static")
        assert ended.code == 0, ended.err


def test_a_walk_through_the_page_about_routing_is_as_it_says(project: Project) -> None:
    text = (ROOT / "docs" / "concepts" / "routing.md").read_text("utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    project.write({"app.py": FLASK, "trivet.toml": example, "static/app.css": "a {}"})
    for target, answer in (
        ("/upload", "answered by the app app:app"),
        ("/old/7", "answered by route 2 (/old/{page}): 308, to /new/7"),
        ("/static/app.css", f"answered by static 1 (/static/): a file of {project.folder}/static"),
        ("http://www.example.com/x", "answered by site 1 (www): 308, to http://example.com/x"),
    ):
        assert project.run("explain", target, "--no-app").out.splitlines()[-1] == answer
    told = explained(project, "/new/%2e%2e/upload", "-X", "POST", "--no-app")
    assert (told["path"], told["policy"][0]["set"]) == ("/upload", 'request_body = "50 MiB"')
