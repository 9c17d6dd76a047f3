"""`python`: an app runs in the Python and with the packages of its own virtual environment."""

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.program import Project

APP = """
import importlib.util, sys
from importlib.metadata import version
from flask import Flask
import flask

app = Flask(__name__)

@app.get("/")
def told():
    names = ["flask", "msgspec", "pytest", "trivet"]
    there = [name for name in names if importlib.util.find_spec(name)]
    return f"{version('flask')} {sys.prefix} {' '.join(there)} {flask.__file__}"
"""
QUIET = ("--log-format", "text", "--no-access-log", "--workers", "1")
OTHER_FLASK = "2.9.9"
FLASK_NEEDS = ("blinker", "click", "itsdangerous", "jinja2", "markupsafe", "werkzeug")


def make_venv(folder: Path, python: str = sys.executable) -> Path:
    """Make a virtual environment with nothing in it."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    return folder


def packages_of(venv: Path) -> Path:
    (found,) = venv.glob("lib/python*/site-packages")
    return found


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Make an environment whose Flask is another than ours: a copy with another version."""
    made = make_venv(tmp_path / "venv")
    target = packages_of(made)
    for name in ("flask", *FLASK_NEEDS):
        found = metadata.distribution(name)
        for top in {Path(str(each)).parts[0] for each in found.files or ()} - {"..", "__pycache__"}:
            source = Path(str(found.locate_file(top)))
            if source.is_dir():
                shutil.copytree(source, target / top, dirs_exist_ok=True)
            elif source.is_file():
                shutil.copy(source, target / top)
    (info,) = target.glob("[Ff]lask-*.dist-info")
    ours = metadata.version("flask")
    text = (info / "METADATA").read_text()
    (info / "METADATA").write_text(
        text.replace(f"\nVersion: {ours}\n", f"\nVersion: {OTHER_FLASK}\n")
    )
    info.rename(target / f"flask-{OTHER_FLASK}.dist-info")
    return made


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["alone", "preload"])
@pytest.mark.parametrize("by", ["folder", "program"])
def test_the_app_has_the_packages_of_its_environment_and_no_others(
    serve: Serve, project: Project, venv: Path, by: str, preload: list[str]
) -> None:
    project.write({"app.py": APP})
    python = venv if by == "folder" else venv / "bin" / "python"
    stand = serve(project.folder, *QUIET, "--python", str(python), *preload)
    file = packages_of(venv) / "flask" / "__init__.py"
    assert stand.get("/").text == f"{OTHER_FLASK} {venv} flask trivet {file}"
    assert f"Flask {OTHER_FLASK}" in stand.err.text()


def test_check_loads_it_there_too(project: Project, venv: Path) -> None:
    project.write({"app.py": APP})
    ended = project.run("check", "--python", str(venv))
    assert ended.code == 0, ended
    assert f"(Flask {OTHER_FLASK}, WSGI)" in ended.out


def test_a_module_that_is_missing_there_is_told_with_that_python(
    project: Project, tmp_path: Path
) -> None:
    project.write({"app.py": APP})
    empty = make_venv(tmp_path / "empty")
    ended = project.run("serve", "--bind", "127.0.0.1:0", "--python", str(empty))
    assert ended.code == 3
    assert f"this Python: {empty}/bin/python (" in ended.err


def test_trivets_own_modules_are_not_the_apps(serve: Serve, venv: Path) -> None:
    """`options`, `program` and others lie beside the script that the worker is started by."""
    source = """
    import importlib.util

    def app(environ, start_response):
        start_response("200 OK", [])
        return [repr([importlib.util.find_spec(name) for name in ("options", "program")]).encode()]
    """
    stand = serve(source, *QUIET, "--python", str(venv))
    assert stand.get("/").text == "[None, None]"


@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13", "3.14"])
def test_it_runs_in_every_python_that_is_here(serve: Serve, tmp_path: Path, version: str) -> None:
    """The native module is for the stable ABI, and the worker needs no other package."""
    python = other_python(version)
    venv = make_venv(tmp_path / version, python)
    source = """
    import sys
    def app(environ, start_response):
        start_response("200 OK", [])
        return [f"{sys.version_info[0]}.{sys.version_info[1]} {sys.prefix}".encode()]
    """
    expected = version if python != sys.executable else f"3.{sys.version_info.minor}"
    stand = serve(source, *QUIET, "--python", str(venv))
    assert stand.get("/").text == f"{expected} {venv}"


def other_python(version: str) -> str:
    """Find a Python of this version beside ours, or where pyenv has it; ours if there is none."""
    homes = sorted(Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python{version}"))
    found = [*map(str, homes), shutil.which(f"python{version}", path="/usr/local/bin:/usr/bin")]
    return next(filter(None, found), sys.executable)


def test_an_old_python_is_refused(project: Project) -> None:
    fake = project.folder / "python3"
    fake.write_text("#!/bin/sh\nprintf 'CPython 3.9.2 0'\n")
    fake.chmod(0o755)
    assert "is Python 3.9.2, too old" in refused(project)


def test_a_free_threaded_python_is_refused(project: Project) -> None:
    fake = project.folder / "python3"
    fake.write_text("#!/bin/sh\nprintf 'CPython 3.14.0 1'\n")
    fake.chmod(0o755)
    assert "is a free-threaded Python, which Trivet does not run in yet" in refused(project)


def test_another_implementation_is_refused(project: Project) -> None:
    fake = project.folder / "python3"
    fake.write_text("#!/bin/sh\nprintf 'PyPy 3.11.1 0'\n")
    fake.chmod(0o755)
    assert "is PyPy, not CPython" in refused(project)


def refused(project: Project) -> str:
    project.write({"app.py": "def app(environ, start_response): ...\n"})
    ended = project.run("serve", "--bind", "127.0.0.1:0", "--python", "./python3")
    assert ended.code == 2, ended
    assert "error[config.bad_python]" in ended.err
    return ended.err


def test_a_task_runs_in_the_python_of_its_app(serve: Serve, tmp_path: Path) -> None:
    venv = make_venv(tmp_path / "empty")
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "jobs.py").write_text("import sys\n\ndef told():\n    print('run in', sys.prefix)\n")
    script = "import sys; print('command in', sys.prefix)"
    (folder / "trivet.toml").write_text(
        f'python = "{venv}"\n'
        '[task.one]\nrun = "jobs:told"\nrestart = "never"\n'
        f'[task.two]\ncommand = ["python", "-c", "{script}"]\nrestart = "never"\n'
    )
    stand = serve(BARE, *QUIET)
    stand.wait_for_text(f"[task one] run in {venv}\n")
    stand.wait_for_text(f"[task two] command in {venv}\n")


BARE = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"here"]
"""
