"""Who the processes are and what they leave: user, group, umask, pid file."""

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.program import Ended, Project
from tests.e2e.stand import Stand, clean_environment

APP = """
import os, pathlib
from pathlib import Path

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/umask":
        Path("made").write_text("")
        return [oct(Path("made").stat().st_mode & 0o777).encode()]
    home, user = os.environ.get("HOME"), os.environ.get("USER")
    told = [os.getuid(), os.getgid(), os.getgroups(), home, user]
    return [repr(told).encode()]
"""
QUIET = ("--log-format", "text", "--no-access-log")
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def open_project() -> Iterator[Project]:
    """Give a folder that every user may read: pytest's own are for their owner alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Project(Path(folder)).write({"app.py": APP})


@pytest.fixture
def everybodys_python() -> tuple[list[str], dict[str, str]]:
    """Give a command that is `trivet` for every user, and the variables that it needs.

    This Python may lie in a home that only its owner can enter; the system's runs the same code.
    """
    packages = [str(Path(each).resolve()) for each in sys.path if "site-packages" in each]
    source = str(Path(__file__).resolve().parents[2] / "python")
    for python in (sys.executable, shutil.which("python3", path="/usr/bin") or ""):
        variables = {"PYTHONPATH": os.pathsep.join([source, *packages]), "PATH": "/usr/bin:/bin"}
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                [python, "-c", "import msgspec, click, trivet._trivet"],
                user=NOBODY.pw_uid,
                group=NOBODY.pw_gid,
                extra_groups=[],
                env=variables,
                check=True,
                capture_output=True,
            )
            return [python, "-m", "trivet"], variables
    pytest.fail("no Python here that a user other than root can run")


def start(
    serve: Serve, folder: Path, python: tuple[list[str], dict[str, str]], *more: str
) -> Stand:
    command, variables = python
    return serve(folder, *QUIET, *more, command=command, env=variables)


def test_root_binds_and_workers_and_edge_are_somebody_else(
    serve: Serve, open_project: Project, everybodys_python: tuple[list[str], dict[str, str]]
) -> None:
    stand = start(serve, open_project.folder, everybodys_python, "--user", "nobody")
    groups = os.getgrouplist("nobody", NOBODY.pw_gid)
    told = [NOBODY.pw_uid, NOBODY.pw_gid, groups, NOBODY.pw_dir, "nobody"]
    assert stand.get("/").text == repr(told)
    for kind in ("worker", "edge"):
        for pid in stand.children(kind):
            assert Path(f"/proc/{pid}").stat().st_uid == NOBODY.pw_uid
    assert Path(f"/proc/{stand.process.pid}").stat().st_uid == 0


def test_preload_imports_as_the_user_too(
    serve: Serve, open_project: Project, everybodys_python: tuple[list[str], dict[str, str]]
) -> None:
    stand = start(serve, open_project.folder, everybodys_python, "--user=nobody", "--preload")
    assert stand.get("/").text.startswith(f"[{NOBODY.pw_uid}, ")
    (server,) = stand.children("preload")
    assert Path(f"/proc/{server}").stat().st_uid == NOBODY.pw_uid


def test_a_number_and_a_group(
    serve: Serve, open_project: Project, everybodys_python: tuple[list[str], dict[str, str]]
) -> None:
    more = ("--uid", "12345", "--gid", "54321")
    stand = start(serve, open_project.folder, everybodys_python, *more)
    assert stand.get("/").text.startswith("[12345, 54321, [54321], ")


def test_a_unix_socket_belongs_to_the_user(
    serve: Serve, open_project: Project, everybodys_python: tuple[list[str], dict[str, str]]
) -> None:
    path = open_project.folder / "app.sock"
    more = ("--user", "nobody", "--umask", "077", "--bind", f"unix:{path}")
    start(serve, open_project.folder, everybodys_python, *more)
    told = path.stat()
    assert (told.st_uid, stat.S_IMODE(told.st_mode)) == (NOBODY.pw_uid, 0o700)


def test_a_folder_that_the_user_may_not_read_is_told(
    open_project: Project, everybodys_python: tuple[list[str], dict[str, str]]
) -> None:
    closed = Project(open_project.folder / "closed").write({"app.py": APP})
    closed.folder.chmod(0o700)
    command, variables = everybodys_python
    ended = closed.run(
        *command[1:],
        "serve",
        "--user=nobody",
        "--bind=127.0.0.1:0",
        program=command[:1],
        env=variables,
    )
    assert (ended.code, "may not read the folder of `app:app`" in ended.err) == (3, True), ended.err


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        (["--user", "no-such"], "there is no user `no-such`", "getent passwd"),
        (["--user", "54321"], "there is no user `54321`", "needs `server.group` too"),
        (["--group", "no-such"], "there is no group `no-such`", "getent group"),
        (["--umask", "9"], "`--umask` must be a umask in octal, not `9`", '"027"'),
        (["--umask", "1000"], "`--umask` must be a umask in octal", '"027"'),
        (["--pidfile", "no/such/file"], "cannot be written: No such file", "name a file in"),
        (["--pidfile", "/proc/pid"], "the pid file `/proc/pid` cannot be written", "name a file"),
        (["--pidfile", "app.py"], "app.py` holds something else than a process id", "name a file"),
        (["--daemon"], "no such option `--daemon`", "Trivet stays in the foreground"),
        (["--python", "no-such"], "there is no Python at", "name a virtual environment"),
        (["--python", "app.py"], "app.py` does not run: Permission denied", "app.py -V"),
        (["--python", "/bin/true"], "`/bin/true` is no Python", "try `/bin/true -V`"),
    ],
)
def test_a_bad_option_is_a_usage_error_with_a_next_step(
    project: Project, options: list[str], said: str, hint: str
) -> None:
    project.write({"app.py": APP})
    ended = project.run("serve", "--bind", "127.0.0.1:0", *options)
    assert ended.code == 2, ended
    assert said in ended.err
    assert hint in ended.err


def test_only_root_can_become_somebody_else(
    open_project: Project, everybodys_python: tuple[list[str], dict[str, str]]
) -> None:
    command, variables = everybodys_python
    done = subprocess.run(
        [*command, "serve", "--user", "root", "--bind", "127.0.0.1:0"],
        user="nobody",
        group=NOBODY.pw_gid,
        extra_groups=[],
        cwd=open_project.folder,
        env=clean_environment(variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    ended = Ended(done.returncode, done.stdout, done.stderr)
    assert ended.code == 2, ended
    assert "only root can run workers as user `root`" in ended.err


def test_who_one_is_already_needs_no_root(
    serve: Serve, open_project: Project, everybodys_python: tuple[list[str], dict[str, str]]
) -> None:
    prefix = ("setpriv", "--reuid=65534", f"--regid={NOBODY.pw_gid}", "--clear-groups")
    command, variables = everybodys_python
    stand = serve(
        open_project.folder,
        *QUIET,
        "--user",
        "nobody",
        command=[*prefix, *command],
        env=variables,
    )
    assert stand.get("/").text.startswith(f"[{NOBODY.pw_uid}, ")


def test_the_umask_is_that_of_workers(serve: Serve, project: Project) -> None:
    project.write({"app.py": APP})
    stand = serve(project.folder, *QUIET, "--umask", "027")
    assert stand.get("/umask").text == "0o640"


def test_the_pid_file_is_there_while_the_stand_is(serve: Serve, project: Project) -> None:
    project.write({"app.py": APP})
    path = project.folder / "trivet.pid"
    stand = serve(project.folder, *QUIET, "--pidfile", "trivet.pid")
    assert path.read_text() == f"{stand.process.pid}\n"
    assert stand.stop() == 0
    assert not path.exists()


def test_a_second_stand_refuses_the_pid_file_of_the_first(serve: Serve, project: Project) -> None:
    project.write({"app.py": APP})
    stand = serve(project.folder, *QUIET, "--pid", "trivet.pid")
    ended = project.run("serve", "--bind", "127.0.0.1:0", "--pidfile", "trivet.pid")
    assert ended.code == 2
    assert f"another process holds the pid file `{project.folder}/trivet.pid`" in ended.err
    assert (project.folder / "trivet.pid").read_text() == f"{stand.process.pid}\n"


def test_a_pid_file_that_was_left_is_taken_over(serve: Serve, project: Project) -> None:
    project.write({"app.py": APP})
    first = serve(project.folder, *QUIET, "--pidfile", "trivet.pid")
    first.signal(signal.SIGKILL)
    first.wait()
    second = serve(project.folder, *QUIET, "--pidfile", "trivet.pid")
    assert (project.folder / "trivet.pid").read_text() == f"{second.process.pid}\n"


def test_a_start_that_fails_leaves_no_pid_file(project: Project) -> None:
    project.write({"app.py": "1 / 0\n"})
    ended = project.run("serve", "--bind", "127.0.0.1:0", "--pidfile", "trivet.pid")
    assert ended.code == 3
    assert [path.name for path in project.folder.iterdir() if "pid" in path.name] == []


@pytest.mark.parametrize("what", ['command = ["id", "-u"]', 'run = "jobs:who"'])
def test_a_task_may_be_somebody_else(
    serve: Serve,
    open_project: Project,
    everybodys_python: tuple[list[str], dict[str, str]],
    what: str,
) -> None:
    open_project.write(
        {
            "jobs.py": "import os\n\ndef who():\n    print(os.getuid())\n",
            "trivet.toml": f'[task.jobs]\n{what}\nuser = "nobody"\nrestart = "never"\n',
        }
    )
    stand = start(serve, open_project.folder, everybodys_python)
    stand.wait_for_text(f"[task jobs] {NOBODY.pw_uid}\n")
    assert stand.get("/").text.startswith("[0, 0, ")


def test_a_task_of_an_unknown_user_starts_nothing(project: Project) -> None:
    project.write({"app.py": APP, "trivet.toml": '[task.jobs]\ncommand = "id"\nuser = "no-such"\n'})
    ended = project.run("serve", "--bind", "127.0.0.1:0")
    assert ended.code == 2
    assert "there is no user `no-such`" in ended.err
