"""The classic mistakes, as somebody makes them: what is said, and the exit code.

3 is for the app's developer (it was not found, or did not load), 2 for the operator (usage,
configuration, address). The last line of an answer is the next step.
"""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.program import Ended, Project
from tests.e2e.stand import TRIVET

FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
GUARDED = f"{FLASK}\nif __name__ == '__main__':\n    app.run(host='0.0.0.0', port='8000')\n"


def serve_fails(project: Project, *arguments: str, code: int, **options: str) -> Ended:
    """Run a `trivet serve` that must end by itself without having served."""
    ended = project.run("serve", *arguments, env={"WEB_CONCURRENCY": "1", **options})
    assert (ended.code, ended.out) == (code, ""), ended.err
    assert "ready in" not in ended.err
    return ended


# The app cannot be found


def test_a_wrong_module_is_answered_with_the_nearest(project: Project) -> None:
    project.write({"shop.py": FLASK})
    ended = serve_fails(project, "shpo:app", code=3)
    assert ended.said == [
        "error[app.no_module]: no module `shpo`",
        f"  looked in {project.folder}",
        "  hint: did you mean `shop`?  (shop.py is here)",
    ]


def test_a_wrong_attribute_is_answered_with_what_is_there(project: Project) -> None:
    project.write({"app.py": f"{FLASK}\ndef create_app():\n    return app\n"})
    ended = serve_fails(project, "app:application", code=3)
    assert ended.said == [
        "error[app.no_attribute]: no app called `application` in app.py",
        "  app.py has: app (Flask), create_app (function)",
        "  hint: trivet serve app:app",
    ]


def test_an_empty_folder_is_told_what_was_looked_for(project: Project) -> None:
    ended = serve_fails(project, code=3)
    assert ended.said[0] == f"error[app.not_found]: no app found in {project.folder}"
    assert "app.py, wsgi.py, main.py, asgi.py" in ended.err
    assert ended.said[-1] == "  hint: name it: trivet serve MODULE:NAME"


def test_two_apps_are_listed_and_neither_is_guessed(project: Project) -> None:
    project.write({"app.py": FLASK, "main.py": FLASK})
    ended = serve_fails(project, code=3)
    assert ended.said == [
        "error[app.ambiguous]: 2 apps found, and nothing says which one to serve",
        "  app:app   Flask in app.py",
        "  main:app  Flask in main.py",
        "  hint: trivet serve app:app",
    ]


# The app does not load


def test_an_exception_at_import_shows_the_apps_own_frames_and_line(project: Project) -> None:
    project.write(
        {
            "app.py": f"import models\n{FLASK}",
            "models.py": "def connect():\n    return 1 / 0\n\n\nconnect()\n",
        }
    )
    ended = serve_fails(project, code=3)
    assert ended.said[0].startswith(
        "error[app.raised]: `app:app` was not loaded: ZeroDivisionError"
    )
    assert ended.said[1] == "  --> models.py:2"
    assert " 2 | return 1 / 0" in ended.said
    files = [line for line in ended.said if line.startswith("    File ")]
    assert files == [
        f'    File "{project.folder}/app.py", line 1, in <module>',
        f'    File "{project.folder}/models.py", line 5, in <module>',
        f'    File "{project.folder}/models.py", line 2, in connect',
    ]
    assert ended.said[-1] == "  ZeroDivisionError: division by zero"


@pytest.mark.parametrize("named", [(), ("app:app",), ("app.py",)])
def test_a_syntax_error_is_shown_with_a_caret(project: Project, named: tuple[str, ...]) -> None:
    project.write({"app.py": f"{FLASK}def (\n"})
    ended = serve_fails(project, *named, code=3)
    assert ended.said[:5] == [
        "error[app.syntax_error]: SyntaxError in app.py: invalid syntax",
        "  --> app.py:4:5",
        "   |",
        " 4 | def (",
        "   |     ^",
    ]
    assert not any(word in ended.err for word in ("importlib", "Traceback"))


def test_a_syntax_error_in_another_module_names_who_imports_it(project: Project) -> None:
    project.write({"app.py": f"import models\n{FLASK}", "models.py": "x = [1,\n"})
    ended = serve_fails(project, code=3)
    assert (
        ended.said[0] == "error[app.syntax_error]: SyntaxError in models.py: '[' was never closed"
    )
    assert ended.said[-1] == "  imported by app.py:1 in <module>"


def test_a_missing_dependency_names_the_python_and_its_pip(project: Project) -> None:
    project.write({"app.py": f"import no_such_dependency\n{FLASK}"})
    ended = serve_fails(project, code=3)
    assert ended.said == [
        (
            "error[app.missing_module]: app.py needs the module `no_such_dependency`, "
            "which is not installed"
        ),
        "  --> app.py:1",
        "   |",
        " 1 | import no_such_dependency",
        f"  this Python: {sys.executable} ({sys.version.split()[0]})",
        f"  hint: {sys.prefix}/bin/pip install no-such-dependency",
    ]


def test_a_dependency_in_another_environment_is_found_there(project: Project) -> None:
    project.write(
        {
            "app.py": f"import no_such_dependency\n{FLASK}",
            ".venv/pyvenv.cfg": "",
            ".venv/lib/python3.11/site-packages/no_such_dependency/__init__.py": "",
            ".venv/bin/trivet": "",
        }
    )
    ended = serve_fails(project, code=3)
    assert "installed in .venv, but Trivet runs from another Python" in ended.said[-2]
    assert ended.said[-1] == (
        "  hint: run .venv/bin/trivet, so that Trivet and the app share one environment"
    )


def test_a_factory_that_needs_arguments_is_explained(project: Project) -> None:
    project.write({"app.py": "def make(name):\n    return None\n"})
    ended = serve_fails(project, "app:make()", code=3)
    assert ended.said[0].startswith("error[app.bad_call]: the factory of `app:make()`")
    assert ended.said[-1] == "  hint: give it literals: trivet serve \"app:make('production')\""


def test_a_factory_named_without_its_call_is_explained(project: Project) -> None:
    project.write({"app.py": "def make():\n    return None\n"})
    ended = serve_fails(project, "app:make", code=3)
    assert ended.said[-1] == '  hint: if it makes the app: trivet serve "app:make()"'


def test_an_app_that_ends_its_process_at_import_is_told(project: Project) -> None:
    project.write({"app.py": "import os\nos._exit(0)\napp = 1\n"})
    ended = serve_fails(project, "app:app", code=3)
    assert "exited with code 0 while it loaded the app" in ended.err


# A server in the server

UNGUARDED = f"{FLASK}\napp.run(host='0.0.0.0', port='8000', debug=True)\n"


def test_an_unguarded_run_is_refused_with_the_fix(project: Project) -> None:
    project.write({"app.py": UNGUARDED})
    ended = serve_fails(project, code=3)
    assert ended.said == [
        (
            "error[app.runs_server]: app.py:5 calls `app.run()` while being imported: "
            "that would be a second server"
        ),
        "  --> app.py:5",
        "   |",
        " 5 | app.run(host='0.0.0.0', port='8000', debug=True)",
        "  hint: put it under a guard:",
        '        if __name__ == "__main__":',
        "            app.run(host='0.0.0.0', port='8000', debug=True)",
    ]


@pytest.mark.parametrize(
    ("files", "call"),
    [
        (
            {
                "uvicorn/__init__.py": "from uvicorn.main import run",
                "uvicorn/main.py": "def run(app):\n    raise SystemExit('served')",
                "app.py": f"{FLASK}\nimport uvicorn\n\nuvicorn.run(app)\n",
            },
            "uvicorn.run",
        ),
        (
            {
                "app.py": f"{FLASK}\nfrom werkzeug.serving import run_simple\n"
                "run_simple('127.0.0.1', 0, app)\n"
            },
            "werkzeug.run_simple",
        ),
        (
            {
                "app.py": f"{FLASK}\nfrom wsgiref.simple_server import make_server\n"
                "make_server('127.0.0.1', 0, app).serve_forever()\n"
            },
            "BaseServer.serve_forever",
        ),
    ],
)
def test_no_other_server_is_started_at_import(
    project: Project, files: dict[str, str], call: str
) -> None:
    ended = serve_fails(project.write(files), code=3)
    assert f"calls `{call}()` while being imported" in ended.said[0]


def test_a_guarded_run_does_no_harm(serve: Serve, root: Path) -> None:
    stand = serve(root / "examples/hello", "--workers", "1")
    assert stand.get("/").text == "Hello, Word"
    assert stand.stop() == 0
    assert "Serving Flask app" not in stand.describe()


# The address


def test_a_taken_port_names_its_owner_and_the_next_free_one(project: Project) -> None:
    project.write({"app.py": FLASK})
    with socket.create_server(("0.0.0.0", 0)) as owner:
        port = owner.getsockname()[1]
        ended = serve_fails(project, "--port", str(port), "--host", "0.0.0.0", code=2)
    error, hint = ended.said
    assert error.startswith(f"error[config.port_taken]: `0.0.0.0:{port}` is taken by ")
    assert f" (pid {os.getpid()}: " in error
    assert hint.startswith("  hint: trivet serve --bind 0.0.0.0:")
    assert hint.endswith(f", or stop the other: kill {os.getpid()}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who has no rights")
def test_a_port_without_the_right_to_it_has_three_ways_out(project: Project) -> None:
    project.write({"app.py": FLASK})
    for folder in (project.folder, *project.folder.parents):
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    # Containers open all ports to everybody, so a network namespace with the usual rule is needed.
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    alone = ["unshare", "--net", *become]
    if subprocess.run([*alone, str(TRIVET), "--version"], check=False).returncode:
        pytest.skip("nobody cannot run what is installed here, or no namespace can be made")
    ended = project.run("serve", "--bind", "0.0.0.0:80", program=[*alone, str(TRIVET)])
    assert ended.code == 2
    assert ended.said[0] == (
        "error[config.port_forbidden]: port 80 needs a privilege that user `nobody` does not have"
    )
    assert [line.strip() for line in ended.said[1:]] == [
        "hint: trivet serve --bind 0.0.0.0:8000",
        "or let everybody open it: sudo sysctl -w net.ipv4.ip_unprivileged_port_start=80",
        "or have systemd open it: a socket unit with ListenStream=80",
    ]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:99999", "`--bind` has the port 99999, but ports end at 65535"),
        ("localhost:http", "`--bind` has `http` where a port number (1-65535) belongs"),
        ("192.0.2.1:8000", "cannot listen on `192.0.2.1:8000`: no address of this machine"),
        ("no.such.invalid:80", "the name `no.such.invalid` has no address"),
        ("unix:/no/such/folder/s", "there is no folder `/no/such/folder`"),
        ("fd://999999", "descriptor 999999 is not an open socket"),
    ],
)
def test_a_bad_address_is_refused(project: Project, address: str, said: str) -> None:
    project.write({"app.py": FLASK})
    assert said in serve_fails(project, "--bind", address, code=2).err


def test_every_bad_address_is_told_at_once(project: Project) -> None:
    project.write({"app.py": FLASK})
    ended = serve_fails(project, "-b", "192.0.2.1:8000", "-b", "unix:/no/such/s", code=2)
    assert [line.split("]")[0] for line in ended.said if line.startswith("error")] == [
        "error[config.bad_address",
        "error[config.bad_socket",
    ]
    assert ended.said[-1] == "2 errors, nothing started"


def test_a_port_that_is_no_number_is_refused(project: Project) -> None:
    ended = serve_fails(project, code=2, PORT="80o0")
    assert ended.said == [
        "error[config.bad_value]: `PORT` must be a port number (1-65535), not `80o0`"
    ]


def test_a_link_of_kubernetes_is_no_port(project: Project) -> None:
    ended = project.run("config", "get", "server.port", env={"TRIVET_PORT": "tcp://10.3.0.9:80"})
    assert ended.code == 0
    assert ended.said == [
        (
            "note[config.kubernetes_link]: ignored TRIVET_PORT=tcp://10.3.0.9:80: "
            'Kubernetes set it for the Service "trivet"'
        ),
        "  hint: enableServiceLinks: false in the pod spec",
    ]


def test_a_loopback_address_in_a_container_is_warned_of(project: Project) -> None:
    project.write({"app.py": "import os\nos._exit(0)\n"})
    asked = ("serve", "app:app", "--bind", "127.0.0.1:0")
    ended = project.run(*asked, env={"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert ended.said[0].startswith(
        "warning[config.loopback_in_container]: listening on 127.0.0.1 inside a container"
    )


# The configuration


@pytest.mark.parametrize(
    ("file", "table"), [("trivet.toml", ""), ("pyproject.toml", "tool.trivet.")]
)
def test_all_that_is_wrong_in_a_file_is_told_at_once(
    project: Project, file: str, table: str
) -> None:
    text = f"[{table}server]\nworker = 4\nthreads = 'many'\ngraceful_timeout = '30 sec'\n"
    project.write({"app.py": FLASK, file: text})
    ended = serve_fails(project, code=2)
    assert [line for line in ended.said if line.startswith(("error", "  -->", "  hint"))] == [
        "error[config.unknown_option]: unknown option `server.worker`",
        f"  --> {file}:2:1",
        "  hint: did you mean `server.workers`?",
        "error[config.bad_value]: `server.threads` must be a whole number, not `many`",
        f"  --> {file}:3:1",
        "  hint: write 4",
        "error[config.bad_value]: `server.graceful_timeout` must be a duration, not `30 sec`",
        f"  --> {file}:4:1",
        '  hint: write "30s", "500ms" or 30',
    ]
    assert ended.said[-1] == "3 errors, nothing started"


def test_a_port_as_text_is_read_as_the_number(project: Project) -> None:
    project.write({"trivet.toml": '[server]\nport = "8001"\n'})
    ended = project.run("config", "get", "server.port")
    assert (ended.code, ended.out) == (0, "8001\n")
    assert ended.said[:2] == [
        'note[config.text_number]: port "8001" read as the number 8001',
        "  --> trivet.toml:2:1",
    ]


def test_a_file_that_is_no_toml_is_shown_with_its_place(project: Project) -> None:
    project.write({"trivet.toml": "[server]\nworkers = = 4\n"})
    ended = serve_fails(project, code=2)
    assert ended.said == [
        "error[config.bad_toml]: not valid TOML: invalid value",
        "  --> trivet.toml:2:11",
        "   |",
        " 2 | workers = = 4",
        "   |           ^",
    ]


def test_an_option_of_gunicorns_file_is_answered(project: Project) -> None:
    project.write({"gunicorn.conf.py": "workers = 4\n"})
    ended = serve_fails(project, "-c", "gunicorn.conf.py", code=2)
    assert "trivet.toml" in ended.said[-1]


# The command line


@pytest.mark.parametrize(
    ("typed", "said", "hint"),
    [
        ("sevre", "no such command `sevre`", "did you mean `trivet serve`?"),
        ("app:app", "no such command `app:app`", "trivet serve app:app"),
        ("serve --worker 2", "no such option `--worker`", "did you mean `--workers`?"),
        ("serve --uds x", "no such option `--uds`", "use `--bind unix:PATH`"),
        (
            "serve -h 0.0.0.0",
            "`-h` is the help, not the host: `-h 0.0.0.0`",
            "trivet serve --host 0.0.0.0",
        ),
        (
            "serve -p trivet.pid",
            "`-p` is the port, not a pid file: `-p trivet.pid`",
            "for a port: `-p 8000`; for a pid file: `--pidfile trivet.pid`",
        ),
        (
            "serve --workers four",
            "`--workers` must be a whole number or `auto`, not `four`",
            "write 4 or `auto`",
        ),
    ],
)
def test_a_mistyped_command_is_answered_with_the_right_one(
    project: Project, typed: str, said: str, hint: str
) -> None:
    ended = project.run(*typed.split())
    assert (ended.code, ended.out) == (2, "")
    error, next_step = ended.said
    assert error.partition("]: ")[2] == said
    assert next_step == f"  hint: {hint}"
