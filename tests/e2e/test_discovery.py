"""Apps that are found, and that are served: one of each shape that projects have."""

import sys

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.program import Project

FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
WSGI = """
def NAME(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
APP, APPLICATION = WSGI.replace("NAME", "app"), WSGI.replace("NAME", "application")
INNER = WSGI.replace("NAME", "inner").replace("\n", "\n    ")
FACTORY = f"def create_app(name='default'):{INNER}\n    return inner\n"

FOUND = [
    ({"app.py": APP}, [], "app:app", "WSGI"),
    ({"app.py": FLASK}, [], "app:app", "Flask 3"),
    ({"wsgi.py": APPLICATION}, [], "wsgi:application", "WSGI"),
    ({"main.py": FACTORY}, [], "main:create_app()", "WSGI"),
    ({"shop/__init__.py": "", "shop/app.py": APP}, [], "shop.app:app", "WSGI"),
    ({"shop/__init__.py": FACTORY}, [], "shop:create_app()", "WSGI"),
    ({"src/app.py": APP}, [], "app:app", "WSGI"),
    ({"src/shop/__init__.py": "", "src/shop/wsgi.py": APP}, [], "shop.wsgi:app", "WSGI"),
    ({"web.py": APP}, ["web"], "web:app", "WSGI"),
    ({"web.py": APP}, ["./web.py"], "web:app", "WSGI"),
    ({"web.py": APP}, ["web.py:app"], "web:app", "WSGI"),
    ({"lib/web.py": APP}, ["lib/web.py:app"], "web:app", "WSGI"),
    ({"lib/web.py": APP}, ["--app-dir", "lib", "web:app"], "web:app", "WSGI"),
    ({"lib/app.py": APP}, ["--chdir", "lib"], "app:app", "WSGI"),
    ({"lib/app.py": APP}, ["lib"], "app:app", "WSGI"),
    ({"web.py": FACTORY}, ["web:create_app('x')"], "web:create_app('x')", "WSGI"),
    ({"web.py": FACTORY}, ["--factory", "web:create_app"], "web:create_app()", "WSGI"),
    ({"web.py": APP, "trivet.toml": 'app = "web:app"\n'}, [], "web:app", "WSGI"),
    ({"web.py": APP, "pyproject.toml": '[tool.trivet]\napp = "web:app"\n'}, [], "web:app", "WSGI"),
]


@pytest.mark.parametrize(("files", "arguments", "target", "kind"), FOUND)
def test_an_app_is_found_and_loads(
    project: Project, files: dict[str, str], arguments: list[str], target: str, kind: str
) -> None:
    ended = project.write(files).run("check", *arguments)
    assert ended.code == 0, ended.err
    said = ended.out.splitlines()[-1]
    assert said.startswith(f"app            {target}: loaded in ")
    assert kind in said


@pytest.mark.parametrize(
    ("variable", "value", "target"),
    [
        ("FLASK_APP", "web", "web:app"),
        ("FLASK_APP", "web.py", "web:app"),
        ("FLASK_APP", "web:app", "web:app"),
        ("TRIVET_APP", "web:app", "web:app"),
    ],
)
def test_a_variable_names_the_app(project: Project, variable: str, value: str, target: str) -> None:
    ended = project.write({"web.py": APP}).run("check", env={variable: value})
    assert ended.code == 0, ended.err
    assert f" {target}: loaded" in ended.out


def test_an_argument_beats_the_variable(project: Project) -> None:
    ended = project.write({"web.py": APP, "app.py": APP}).run(
        "check", "web:app", env={"FLASK_APP": "app"}
    )
    assert " web:app: loaded" in ended.out


def test_a_project_made_by_django_admin_is_served(serve: Serve, project: Project) -> None:
    project.run("startproject", "shop", ".", program=[sys.executable, "-m", "django"])
    stand = serve(project.folder, "--workers", "1")
    assert "found by manage.py (WSGI)" in stand.err.text()
    assert "Django 5." in stand.err.text()
    answer = stand.get("/admin/login/", headers={"Host": "localhost"})
    assert (answer.status, "Django administration" in answer.text) == (200, True)


def test_the_screen_says_what_was_found_and_why(serve: Serve) -> None:
    stand = serve(FLASK, "--workers", "1")
    lines = stand.err.text().splitlines()
    assert lines[0].startswith("Trivet ")
    assert "Flask 3." in lines[0]
    assert lines[2].split() == ["app", "app:app", "found", "in", "app.py", "(WSGI)"]
    assert lines[3].split()[:2] == ["serving", f"http://127.0.0.1:{stand.port}"]
    assert len(lines) <= 10


def test_modules_called_like_those_that_trivet_needs_do_no_harm(
    serve: Serve, project: Project
) -> None:
    harmful = "raise RuntimeError('not this one')\n"
    names = ("queue", "select", "selectors", "msgspec", "click", "json")
    project.write({"app.py": APP, **{f"{name}.py": harmful for name in names}})
    stand = serve(project.folder, "--workers", "1")
    assert stand.get("/").text == "ok"
