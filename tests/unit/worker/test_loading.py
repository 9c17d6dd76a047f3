"""Apps of all kinds, and what their developers are told when they do not load."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.worker.conftest import Load

Failure = Callable[..., str]

WSGI = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""

FACTORY = """
def create_app(name="default", *, debug=False):
    def app(environ, start_response):
        return [f"{name} {debug}".encode()]
    return app
"""

FLASK = """
from flask import Flask

app = Flask(__name__)
"""

WSGIREF = """
from wsgiref.simple_server import make_server

with make_server("127.0.0.1", 0, None) as server:
    server.serve_forever()
"""


def called(app: object) -> bytes:
    assert callable(app)
    return b"".join(app({}, lambda *_: None))


# What loads


def test_a_function_of_two_arguments_is_a_wsgi_app(load: Load) -> None:
    loaded = load(WSGI)
    assert (loaded.interface, loaded.framework) == ("wsgi", "")
    assert called(loaded.app) == b"hello"


def test_a_flask_app_is_known_with_its_version(load: Load) -> None:
    loaded = load(FLASK)
    assert loaded.interface == "wsgi"
    assert re.fullmatch(r"Flask \d+\.\d+.*", loaded.framework)


def test_a_django_app_is_known(load: Load) -> None:
    loaded = load(
        "from django.conf import settings\n"
        "from django.core.wsgi import get_wsgi_application\n"
        "settings.configure()\n"
        "application = get_wsgi_application()\n",
        "app",
    )
    assert loaded.interface == "wsgi"
    assert loaded.framework.startswith("Django ")


def test_a_framework_is_seen_through_a_middleware(load: Load) -> None:
    loaded = load(
        f"{FLASK}\nfrom werkzeug.middleware.proxy_fix import ProxyFix\napp = ProxyFix(app)\n"
    )
    assert loaded.framework.startswith("Flask")


def test_a_factory_is_called_with_its_literals(load: Load) -> None:
    loaded = load(FACTORY, "app:create_app('shop', debug=True)")
    assert called(loaded.app) == b"shop True"


def test_factory_makes_a_call_of_a_name(load: Load) -> None:
    assert called(load(FACTORY, "app:create_app", factory=True).app) == b"default False"


def test_an_attribute_path_is_followed(load: Load) -> None:
    assert called(load(f"{WSGI}\nclass shop:\n    wsgi = staticmethod(app)\n", "app:shop.wsgi").app)


@pytest.mark.parametrize("source", [WSGI, WSGI.replace("def app", "def application"), FACTORY])
def test_without_a_name_the_usual_ones_are_tried(load: Load, source: str) -> None:
    assert called(load(source, "app").app)


def test_a_package_is_imported_by_its_name(load: Load, app_folder: Path) -> None:
    (app_folder / "shop").mkdir()
    (app_folder / "shop" / "__init__.py").touch()
    (app_folder / "shop" / "web.py").write_text(WSGI)
    assert called(load(None, "shop.web:app").app) == b"hello"


def test_the_guard_of_a_main_program_is_not_entered(load: Load) -> None:
    load(f"{FLASK}\nif __name__ == '__main__':\n    app.run(host='0.0.0.0', port='8000')\n")


def test_a_server_in_a_thread_of_its_own_is_no_second_server(load: Load) -> None:
    """As `prometheus_client.start_http_server` does."""
    load(
        "import threading, wsgiref.simple_server\n"
        "server = wsgiref.simple_server.make_server('127.0.0.1', 0, None)\n"
        "thread = threading.Thread(target=server.serve_forever, args=(0.01,))\n"
        "thread.start()\n"
        "server.shutdown()\n"
        "thread.join()\n"
        "server.server_close()\n" + WSGI
    )


def test_an_import_can_be_asked_where_it_is(load: Load) -> None:
    loaded = load(
        "import threading\nfrom trivet.worker.loading import describe_import\n"
        "where = describe_import(threading.get_ident())\n" + WSGI
    )
    assert sys.modules[loaded.app.__module__].where == "app.py:3 in <module>"


# What does not load, and what is said about it


def test_a_module_that_is_not_there(failure: Failure, app_folder: Path) -> None:
    (app_folder / "app.py").write_text(WSGI)
    assert failure(None, "ap:app") == (
        "error[app.no_module]: no module `ap`\n"
        f"  looked in {app_folder}\n"
        "  here are: app\n"
        "  hint: did you mean `app`?"
    )


def test_a_name_that_is_not_there(failure: Failure) -> None:
    text = failure(f"{FLASK}\ndef create_app(): ...\n", "app:application")
    assert text == (
        "error[app.no_attribute]: no app called `application` in app.py\n"
        "  app.py has: app (Flask), create_app (function)\n"
        "  hint: trivet serve app:app"
    )


def test_a_module_without_an_app(failure: Failure) -> None:
    assert failure("x = 1\n", "app") == (
        "error[app.no_app]: no app in app.py\n"
        "  looked for: `app`, `application`, `api`, `create_app`, `make_app`, `get_app`\n"
        "  app.py has: x (int)"
    )


def test_an_exception_at_import_shows_the_apps_own_frames(
    failure: Failure, app_folder: Path
) -> None:
    (app_folder / "models.py").write_text("def connect():\n    return 1 / 0\n\nconnect()\n")
    text = failure("import models\n")
    assert text.startswith(
        "error[app.raised]: `app:app` was not loaded: ZeroDivisionError: division by zero\n"
        "  --> models.py:2\n"
    )
    assert "Traceback (most recent call last):" in text
    assert 'app.py", line 1, in <module>' in text
    assert "importlib" not in text
    assert "trivet/worker" not in text


def test_an_exit_at_import_is_a_failure(failure: Failure) -> None:
    assert "SystemExit: no settings" in failure("raise SystemExit('no settings')\n")


def test_causes_are_shown_without_machinery(failure: Failure) -> None:
    text = failure(
        "import importlib\n"
        "try:\n    importlib.import_module('json').loads('{')\n"
        "except ValueError as error:\n    raise RuntimeError('bad settings') from error\n"
    )
    assert "JSONDecodeError" in text
    assert "The above exception was the direct cause" in text
    assert "importlib/__init__" not in text


def test_a_syntax_error_has_a_caret(failure: Failure) -> None:
    assert failure("x = 1\ndef (:\n").startswith(
        "error[app.syntax_error]: SyntaxError in app.py: invalid syntax\n"
        "  --> app.py:2:5\n"
        "   |\n"
        " 2 | def (:\n"
        "   |     ^"
    )


def test_a_syntax_error_in_an_imported_module_tells_who_imports_it(
    failure: Failure, app_folder: Path
) -> None:
    (app_folder / "models.py").write_text("class:\n")
    text = failure("import models\n")
    assert "--> models.py:1:6" in text
    assert "imported by app.py:1 in <module>" in text


def test_a_missing_module_names_the_python_and_the_next_step(failure: Failure) -> None:
    text = failure("import redis_of_nobody\n")
    assert text.startswith(
        "error[app.missing_module]: app.py needs the module `redis_of_nobody`,"
        " which is not installed\n"
        "  --> app.py:1\n"
        "   |\n"
        " 1 | import redis_of_nobody\n"
    )
    assert f"this Python: {sys.executable}" in text
    assert "install redis-of-nobody" in text


def test_a_missing_module_in_a_project_of_uv(failure: Failure, app_folder: Path) -> None:
    (app_folder / "uv.lock").touch()
    assert "hint: uv add redis-of-nobody" in failure("import redis_of_nobody\n")


def test_a_missing_module_that_requirements_name(failure: Failure, app_folder: Path) -> None:
    (app_folder / "requirements.txt").write_text("flask\nRedis_of_nobody>=5\n")
    assert "install -r requirements.txt" in failure("import redis_of_nobody\n")


def test_a_missing_module_that_a_virtual_environment_has(
    failure: Failure, app_folder: Path
) -> None:
    venv = app_folder / ".venv"
    (venv / "lib" / "python3.11" / "site-packages" / "redis_of_nobody").mkdir(parents=True)
    (venv / "pyvenv.cfg").touch()
    (venv / "bin").mkdir()
    (venv / "bin" / "trivet").touch()
    text = failure("import redis_of_nobody\n")
    assert "`redis_of_nobody` is installed in .venv, but Trivet runs from another Python" in text
    assert "hint: run .venv/bin/trivet, so that Trivet and the app share one environment" in text


def test_a_missing_module_that_lies_beside_its_importer(failure: Failure, app_folder: Path) -> None:
    (app_folder / "shop").mkdir()
    (app_folder / "shop" / "web.py").write_text("import models_of_shop\n")
    (app_folder / "shop" / "models_of_shop.py").touch()
    text = failure(None, "shop.web:app")
    assert "shop/models_of_shop.py lies beside it, in no folder of `sys.path`" in text
    assert "--app-dir shop" in text


def test_an_unguarded_run_is_refused_with_its_fix(failure: Failure) -> None:
    text = failure(f"{FLASK}\napp.run(host='0.0.0.0', port='8000', debug=True)\n")
    assert text == (
        "error[app.runs_server]: app.py:6 calls `app.run()` while being imported:"
        " that would be a second server\n"
        "  --> app.py:6\n"
        "   |\n"
        " 6 | app.run(host='0.0.0.0', port='8000', debug=True)\n"
        "  hint: put it under a guard:\n"
        '        if __name__ == "__main__":\n'
        "            app.run(host='0.0.0.0', port='8000', debug=True)"
    )


@pytest.mark.parametrize(
    ("source", "call"),
    [
        (
            "from werkzeug.serving import run_simple\nrun_simple('127.0.0.1', 0, None)\n",
            "werkzeug.run_simple",
        ),
        (WSGIREF, "BaseServer.serve_forever"),
        (f"{FLASK}\ntry:\n    app.run()\nexcept Exception:\n    pass\n", "app.run"),
    ],
)
def test_every_server_is_refused_at_import(failure: Failure, source: str, call: str) -> None:
    assert f"calls `{call}()` while being imported" in failure(source)


def test_a_server_that_the_factory_starts_is_refused(failure: Failure) -> None:
    text = failure(
        "from flask import Flask\ndef create_app():\n    Flask('x').run()\n", "app:create_app()"
    )
    assert "app.py:3 calls `app.run()`" in text


def test_the_environment_is_as_before(load: Load) -> None:
    """A Flask app that the app starts as a program of its own has to serve."""
    load(FLASK)
    assert "FLASK_RUN_FROM_CLI" not in os.environ


def test_servers_may_be_started_after_the_load(load: Load) -> None:
    loaded = load("from socketserver import BaseServer\n" + WSGI)
    server = sys.modules[loaded.app.__module__].BaseServer
    assert server.serve_forever.__module__ == "socketserver"
    assert not hasattr(server.serve_forever, "__wrapped__")


def test_an_asgi_factory_without_a_call_is_explained(failure: Failure) -> None:
    text = failure("async def app(): ...\n")
    assert "cannot be called with 3 arguments, as an ASGI app is" in text


def test_a_factory_without_a_call_is_explained(failure: Failure) -> None:
    text = failure("def create_app(): ...\n", "app:create_app")
    assert "cannot be called with 2 arguments, as a WSGI app is" in text
    assert 'hint: if it makes the app: trivet serve "app:create_app()"' in text


def test_a_factory_with_other_arguments_is_explained(failure: Failure) -> None:
    text = failure("def create_app(settings): ...\n", "app:create_app()")
    assert "missing 1 required positional argument: 'settings'" in text


def test_a_type_error_within_a_factory_is_the_apps(failure: Failure) -> None:
    text = failure("def create_app():\n    return len(5)\n", "app:create_app()")
    assert "error[app.raised]" in text
    assert "--> app.py:2" in text


def test_a_factory_that_forgets_to_return(failure: Failure) -> None:
    assert "returned None, not an app" in failure("def create_app(): ...\n", "app:create_app()")


def test_something_that_cannot_be_called(failure: Failure) -> None:
    assert "`app:app` is no app: a dict cannot be called" in failure("app = {}\n")


@pytest.mark.parametrize(
    "name", ["app:1 + 1", "app:create_app(x)", "app:create_app(**{})", "app:("]
)
def test_a_name_that_is_no_expression_of_a_name(failure: Failure, name: str) -> None:
    assert "error[app.bad_target]" in failure(FACTORY, name)
