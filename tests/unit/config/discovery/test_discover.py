from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from trivet.config import Platform, load
from trivet.config.discovery import Discovered, discover
from trivet.errors import AppLoadError, ConfigError, render

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FACTORY = "def create_app():\n    from flask import Flask\n    return Flask(__name__)\n"

Find = Callable[..., Discovered]
Fail = Callable[..., AppLoadError]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Discover in `tmp_path` after writing files there."""

    def run(
        files: Mapping[str, str],
        app: str | None = None,
        environ: Mapping[str, str] | None = None,
        **flags: object,
    ) -> Discovered:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        loaded = load({"app": app, **flags}, environ or {}, tmp_path, Platform())
        return discover(loaded.apps[0], environ or {})

    return run


@pytest.fixture
def fail(find: Find) -> Fail:
    def run(*args: object, **kwargs: object) -> AppLoadError:
        with pytest.raises(AppLoadError) as caught:
            find(*args, **kwargs)
        return caught.value

    return run


# By looking around


@pytest.mark.parametrize("name", ["app", "wsgi", "main", "asgi"])
def test_the_usual_files_are_looked_into(find: Find, tmp_path: Path, name: str) -> None:
    found = find({f"{name}.py": FLASK, "other.py": FLASK})
    assert (found.target, found.directory) == (f"{name}:app", tmp_path)
    assert found.found_because == f"found in {name}.py"
    assert (found.interface, found.framework) == ("wsgi", "Flask")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        (FLASK, "app"),
        (FLASK + "application = app\n", "app"),
        ("import x\napplication = x.make()\n", "application"),
        (FACTORY, "create_app()"),
        (FACTORY + "app = create_app()\n", "app"),
        ("def make_app(debug=False):\n    return 1\n", "make_app()"),
        ("def create_app(name): pass\ndef make_app(): pass\n", "make_app()"),
        ("from flask import Flask\nserver = Flask(__name__)\n", "server"),
        ("import flask\nserver: object = flask.Flask(__name__)\n", "server"),
        ("from shop import app\n", "app"),
        ("import app\nfrom shop import application\n", "application"),
        ("def app(environ, start_response): pass\n", "app"),
        ("async def app(scope, receive, send): pass\n", "app"),
        ("try:\n    app = 1()\nexcept E:\n    app = None\n", "app"),
        ("if DEBUG:\n    app = f()\n", "app"),
        ("app, db = make()\n", "app"),
        ("with a() as app:\n    pass\n", "app"),
        ("for app in apps:\n    pass\n", "app"),
        ("class app: pass\napplication = f()\n", "application"),
    ],
)
def test_the_usual_names_come_before_the_only_instance(
    find: Find, text: str, expression: str
) -> None:
    assert find({"app.py": text}).expression == expression


@pytest.mark.parametrize(
    ("text", "interface"),
    [
        ("from fastapi import FastAPI as F\napp = F()\n", "asgi"),
        ("import falcon.asgi\napp = falcon.asgi.App()\n", "asgi"),
        ("from django.core.wsgi import get_wsgi_application as g\napplication = g()\n", "wsgi"),
        ("def app(environ, start_response): pass\n", "wsgi"),
        ("async def app(scope, receive, send): pass\n", "asgi"),
        (FACTORY, "wsgi"),
        ("app = make()\n", None),
    ],
)
def test_the_interface_is_guessed_where_it_can_be_read(
    find: Find, text: str, interface: str | None
) -> None:
    assert find({"app.py": text}).interface == interface


def test_the_interface_that_was_told_beats_the_guess(find: Find) -> None:
    assert find({"app.py": FLASK}, interface="asgi").interface == "asgi"


def test_a_name_under_the_main_guard_is_none(fail: Fail) -> None:
    assert fail({"app.py": 'if __name__ == "__main__":\n    app = 1\n'}).code == "app.not_found"


@pytest.mark.parametrize(
    ("files", "target"),
    [
        ({"shop/__init__.py": FACTORY}, "shop:create_app()"),
        ({"shop/__init__.py": "", "shop/app.py": FLASK}, "shop.app:app"),
        ({"shop/__init__.py": FACTORY, "shop/wsgi.py": "from shop import create_app\n"
          "app = create_app()\n"}, "shop.wsgi:app"),
        ({"app/main.py": FLASK}, "app.main:app"),
        ({"app/__init__.py": "from .app import app\n", "app/app.py": FLASK}, "app.app:app"),
        ({"tests/__init__.py": "", "tests/app.py": FLASK, "shop/__init__.py": FLASK}, "shop:app"),
    ],
)  # fmt: skip
def test_then_packages_are_looked_into(find: Find, files: Mapping[str, str], target: str) -> None:
    assert find(files).target == target


@pytest.mark.parametrize(
    ("file", "target"), [("src/app.py", "app:app"), ("src/shop/__init__.py", "shop:app")]
)
def test_then_src_is_looked_into(find: Find, tmp_path: Path, file: str, target: str) -> None:
    found = find({file: FLASK})
    assert (found.target, found.directory) == (target, tmp_path / "src")
    assert found.found_because == f"found in {file}"


def test_a_file_here_comes_before_one_in_a_package(find: Find) -> None:
    assert find({"main.py": FLASK, "shop/__init__.py": FLASK}).target == "main:app"


@pytest.mark.parametrize(
    ("wsgi", "target"),
    [
        ("from app import app as application\n", "wsgi:application"),
        ("from app import create_app\napp = create_app()\n", "wsgi:app"),
    ],
)
def test_the_file_made_for_servers_beats_the_one_it_imports(
    find: Find, wsgi: str, target: str
) -> None:
    assert find({"app.py": FLASK + FACTORY, "wsgi.py": wsgi}).target == target


def test_the_first_of_two_files_that_belong_together_is_taken(find: Find) -> None:
    assert find({"app.py": FLASK, "main.py": "from app import app\n"}).target == "app:app"


def test_files_that_have_the_app_from_one_module_belong_together(find: Find) -> None:
    made = "from shop import create_app\napp = create_app()\n"
    files = {"shop/__init__.py": FACTORY, "main.py": made, "wsgi.py": made}
    assert find(files).target == "wsgi:app"


def test_wsgi_and_asgi_of_one_project_are_one_app(find: Find) -> None:
    wsgi = "from django.core.wsgi import get_wsgi_application\n"
    files = {
        "wsgi.py": wsgi + "application = get_wsgi_application()\n",
        "asgi.py": "application = f()",
    }
    assert find(files).target == "wsgi:application"


def test_two_files_that_know_nothing_of_each_other_are_listed(fail: Fail) -> None:
    assert render(fail({"app.py": FLASK, "main.py": FACTORY})) == (
        "error[app.ambiguous]: 2 apps found, and nothing says which one to serve\n"
        "  app:app            Flask in app.py\n"
        "  main:create_app()  function in main.py\n"
        "  hint: trivet serve app:app"
    )


def test_two_instances_in_a_file_are_listed(fail: Fail) -> None:
    error = fail({"app.py": TWO})
    assert error.code == "app.ambiguous"
    assert error.detail == "app:shop  Flask in app.py\napp:blog  Flask in app.py"


TWO = "from flask import Flask\nshop = Flask('a')\nblog = Flask('b')\n"


def test_a_file_that_picks_one_of_two_apps_is_taken(find: Find) -> None:
    assert find({"app.py": TWO, "main.py": "from app import shop as app\n"}).target == "main:app"


def test_two_files_with_two_apps_each_are_listed_in_full(fail: Fail) -> None:
    error = fail({"app.py": TWO, "main.py": "import app\n" + TWO})
    assert error.message == "4 apps found, and nothing says which one to serve"


def test_a_module_that_is_called_like_an_app_is_none(find: Find) -> None:
    files = {
        "shop/__init__.py": "",
        "shop/app.py": "",
        "main.py": "from shop import app\nx = f()\n",
    }
    files["wsgi.py"] = "application = f()\n"
    assert find(files).target == "wsgi:application"


def test_an_app_that_is_called_like_its_module_is_one(find: Find) -> None:
    files = {"shop/__init__.py": "from shop.app import app\n", "shop/app.py": FLASK}
    assert find({**files, "main.py": "from shop import app\n"}).target == "main:app"


def test_a_named_module_with_two_apps_lists_them(fail: Fail) -> None:
    assert fail({"web.py": TWO}, "web").code == "app.ambiguous"


def test_two_packages_are_listed(fail: Fail) -> None:
    assert fail({"shop/__init__.py": FLASK, "blog/__init__.py": FLASK}).code == "app.ambiguous"


def test_nothing_found_says_what_was_looked_for(fail: Fail, tmp_path: Path) -> None:
    assert render(fail({})) == (
        f"error[app.not_found]: no app found in {tmp_path}\n"
        f"  looked for:  app.py, wsgi.py, main.py, asgi.py in {tmp_path}, in its packages and in "
        "src/\n"
        "  with a name:  app, application, create_app(), make_app(), or the only Flask, … in it\n"
        "  hint: name it: trivet serve MODULE:NAME"
    )


def test_an_app_in_an_unusual_file_is_offered_not_taken(fail: Fail) -> None:
    error = fail({"hello.py": FLASK})
    assert error.hint == "trivet serve hello:app"
    assert "found:  hello.py has app" in (error.detail or "")


def test_a_syntax_error_in_a_usual_file_is_shown_where_there_is_no_app(fail: Fail) -> None:
    """It was answered with "no app found" and a list of files that had `app.py` in it."""
    assert render(fail({"app.py": "import flask\ndef (\n"})) == (
        "error[app.syntax_error]: SyntaxError in app.py: invalid syntax\n"
        "  --> app.py:2:5\n"
        "   |\n"
        " 2 | def (\n"
        "   |     ^\n"
        "  no app was looked for in it"
    )


def test_an_unusual_file_that_python_cannot_read_is_passed_over(fail: Fail) -> None:
    assert fail({"hello.py": "def ("}).code == "app.not_found"


def test_nothing_is_imported(find: Find) -> None:
    assert find({"app.py": "raise SystemExit\n" + FLASK}).target == "app:app"
    assert "app" not in sys.modules


# By name


@pytest.mark.parametrize(
    ("named", "target"),
    [
        ("app", "app:app"),
        ("app:app", "app:app"),
        ("app.py", "app:app"),
        ("./app.py:app", "app:app"),
        ("app:create_app()", "app:create_app()"),
        ('app:create_app("x", debug=False, n=[1, {"a": None}])',
         "app:create_app('x', debug=False, n=[1, {'a': None}])"),
        ("app:sites.shop", "app:sites.shop"),
        ("app:nobody_sees_this", "app:nobody_sees_this"),
        ("shop.main:app", "shop.main:app"),
        ("shop", "shop.main:app"),
        ("./shop", "shop.main:app"),
        ("shop/main.py", "shop.main:app"),
        ("src", "app:app"),
        ("src/one.py:app", "one:app"),
        (".", "app:app"),
    ],
)  # fmt: skip
def test_each_form_of_a_name_is_understood(find: Find, named: str, target: str) -> None:
    files = {
        "app.py": FLASK + FACTORY,
        "shop/__init__.py": "",
        "shop/main.py": FLASK,
        "src/one.py": FLASK,
        "src/app.py": "from one import app\n",
    }
    assert find(files, named).target == target


def test_a_file_is_imported_from_above_its_packages(find: Find, tmp_path: Path) -> None:
    files = {"lib/shop/__init__.py": "", "lib/shop/web.py": FLASK}
    found = find(files, "lib/shop/web.py")
    assert (found.module, found.directory) == ("shop.web", tmp_path / "lib")


def test_an_installed_module_is_found(find: Find) -> None:
    assert find({}, "wsgiref.simple_server:demo_app").module == "wsgiref.simple_server"


def test_a_folder_for_imports_is_where_modules_are(find: Find, tmp_path: Path) -> None:
    found = find({"src/web.py": FLASK}, "web:app", app_dir="src")
    assert found.directory == tmp_path / "src"


@pytest.mark.parametrize(
    "text",
    ["from shop import *\n", "globals()['app'] = 1\n", "def __getattr__(name): pass\n", "def ("],
)
def test_names_that_reading_cannot_see_are_left_to_the_import(find: Find, text: str) -> None:
    found = find({"web.py": text}, "web")
    assert (found.target, found.module, found.expression) == ("web", "web", "")


def test_a_module_without_an_app_is_told_with_what_it_has(fail: Fail) -> None:
    error = fail({"web.py": "import os\ndef helper(): pass\ndef create_app(a): pass\n"}, "web")
    assert error.message == "no app in web.py"
    assert error.detail is not None
    assert error.detail.startswith("web.py has:  helper (function), create_app (function)")


def test_a_missing_module_is_answered_with_the_nearest(fail: Fail, tmp_path: Path) -> None:
    assert render(fail({"app.py": FLASK}, "ap:app")) == (
        "error[app.no_module]: no module `ap`\n"
        f"  looked in {tmp_path}\n"
        "  hint: did you mean `app`?  (app.py is here)"
    )


def test_a_missing_module_is_answered_with_the_usual_file(fail: Fail) -> None:
    assert fail({"app.py": FLASK}, "nope:app").hint == "did you mean `app`?  (app.py is here)"


def test_a_missing_part_of_a_package_is_answered_with_the_nearest(fail: Fail) -> None:
    error = fail({"shop/__init__.py": "", "shop/web.py": FLASK}, "shop.wep:app")
    assert error.hint == "did you mean `shop.web`?  (shop/web.py is here)"


def test_a_module_below_another_module_is_missing(fail: Fail) -> None:
    assert fail({"app.py": FLASK}, "app.inner:app").code == "app.no_module"


def test_a_missing_module_that_is_in_src_is_answered_with_the_option(fail: Fail) -> None:
    assert fail({"src/web.py": FLASK}, "web:app").hint == "trivet serve --app-dir src web:app"


def test_a_missing_file_is_answered_with_the_nearest(fail: Fail) -> None:
    error = fail({"app.py": FLASK}, "./apo.py:app")
    assert (error.message, error.hint) == ("no file `./apo.py`", "did you mean app.py:app?")
    assert fail({}, "nowhere/app.py").hint is None


@pytest.mark.parametrize(
    "named",
    [
        "app:", ":app", "", "app:create_app(open('x'))", "app:a b", "app:1", "app:f(**{})",
        "app:f()()", "app:[1]", "a-b:app", "app..x:app", "..:app", "app:f(x)",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(fail: Fail, named: str) -> None:
    assert fail({"app.py": FLASK}, named).code == "app.bad_target"


def test_a_folder_without_an_app_is_told(fail: Fail) -> None:
    assert fail({"src/x.txt": ""}, "src").code == "app.not_found"


# By others


def test_the_argument_beats_the_variable_beats_the_file_beats_flask(find: Find) -> None:
    files = {name + ".py": FLASK for name in "abcd"} | {"trivet.toml": 'app = "c"\n'}
    environ = {"FLASK_APP": "d", "TRIVET_APP": "b"}
    seen = [
        find(files, "a", environ),
        find(files, None, environ),
        find(files, None, {"FLASK_APP": "d"}),
        find({"trivet.toml": ""}, None, {"FLASK_APP": "d"}),
    ]
    assert [(each.module, each.found_because) for each in seen] == [
        ("a", "as named"),
        ("b", "named by TRIVET_APP"),
        ("c", "named by trivet.toml:1"),
        ("d", "named by FLASK_APP"),
    ]


@pytest.mark.parametrize(
    ("value", "target"),
    [("hello.py", "hello:app"), ("hello", "hello:app"), ("hello:create_app('x')",) * 2],
)
def test_flask_app_has_its_usual_forms(find: Find, value: str, target: str) -> None:
    assert find({"hello.py": FLASK}, None, {"FLASK_APP": value}).target == target


def test_the_entry_point_of_fastapi_is_read(find: Find) -> None:
    project = '[tool.fastapi]\nentrypoint = "web.main:api"\n'
    files = {"pyproject.toml": project, "web/main.py": "api = f()\n", "main.py": FLASK}
    found = find(files)
    assert found.target == "web.main:api"
    assert found.found_because == "named by [tool.fastapi] in pyproject.toml"


@pytest.mark.parametrize(
    "text", ["[tool.fastapi]\n", "[tool]\nfastapi = 1\n", "broken", "tool=1\n"]
)
def test_a_pyproject_without_an_entry_point_is_passed_over(find: Find, text: str) -> None:
    assert find({"pyproject.toml": text, "main.py": FLASK}).target == "main:app"


MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\n"


@pytest.mark.parametrize(
    ("files", "environ", "target"),
    [
        ({"site1/settings.py": "WSGI_APPLICATION = 'site1.wsgi.application'\n"}, {},
         "site1.wsgi:application"),
        ({"site1/settings.py": "WSGI_APPLICATION = 'site1.wsgi.application'\n"
          "ASGI_APPLICATION = 'site1.asgi.application'\n"}, {}, "site1.asgi:application"),
        ({"site1/settings.py": ""}, {}, "site1.wsgi:application"),
        ({"site1/settings/__init__.py": "", "site1/settings/base.py":
          "WSGI_APPLICATION = 'site1.wsgi.application'\n"}, {}, "site1.wsgi:application"),
        ({"site1/two.py": "WSGI_APPLICATION = 'site1.asgi.application'\n"},
         {"DJANGO_SETTINGS_MODULE": "site1.two"}, "site1.asgi:application"),
    ],
)  # fmt: skip
def test_a_django_project_is_found_by_its_manage_py(
    find: Find, files: Mapping[str, str], environ: Mapping[str, str], target: str
) -> None:
    project = {"manage.py": MANAGE, "site1/wsgi.py": "application = f()\n"}
    found = find({**project, "site1/asgi.py": "application = f()\n", **files}, None, environ)
    assert (found.target, found.found_because) == (target, "found by manage.py")


@pytest.mark.parametrize("text", ["", "def (", "f.setdefault('DJANGO_SETTINGS_MODULE', x)"])
def test_a_manage_py_of_something_else_is_passed_over(find: Find, text: str) -> None:
    assert find({"manage.py": text, "app.py": FLASK}).target == "app:app"


def test_a_django_project_without_any_entry_is_passed_over(find: Find) -> None:
    assert find({"manage.py": MANAGE, "app.py": FLASK}).target == "app:app"


# Factories


def test_factory_calls_the_name(find: Find) -> None:
    assert find({"web.py": FACTORY}, "web:build", factory=True).expression == "build()"


def test_factory_leaves_a_factory_that_was_found_as_it_is(find: Find) -> None:
    assert find({"app.py": FACTORY}, factory=True).expression == "create_app()"
    assert find({"app.py": FACTORY}, "app", factory=True).expression == "create_app()"


def test_factory_and_a_call_contradict_each_other(find: Find) -> None:
    with pytest.raises(ConfigError) as caught:
        find({"app.py": FACTORY}, "app:create_app()", factory=True)
    assert caught.value.code == "config.conflict"
