"""`trivet status`, `stop`, `scale`, `reload` and `healthcheck`, against stands that run."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from trivet.wire.stand_address import listed

from tests.e2e.conftest import Serve
from tests.e2e.load import Load
from tests.e2e.program import Ended, Project
from tests.e2e.stand import TRIVET, Stand
from tests.waiting import wait_until

APP = """
import os, pathlib

def app(environ, start_response):
    if environ["PATH_INFO"] == "/held":
        pathlib.Path("arrived").touch()
        while not pathlib.Path("release").exists():
            os.sched_yield()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""
ALONE = ("unshare", "--map-root-user", "--net", str(TRIVET))
"""In a network of its own: abstract sockets of other stands on this machine are not seen."""
QUIET = ("--log-format", "text", "--no-access-log")


def said(project: Project, *arguments: str, env: Mapping[str, str] | None = None) -> Ended:
    """Run a command in the stand's folder, which must go well."""
    ended = project.run(*arguments, env=env)
    assert ended.code == 0, ended
    return ended


def status(project: Project, *arguments: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(said(project, "status", "--json", *arguments).out)
    return told


def serving(told: dict[str, Any]) -> list[int]:
    return [each["worker"] for each in told["workers"] if each["state"] == "serving"]


def test_the_status_tells_of_every_process(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "2", *QUIET)
    wait_until(lambda: len(serving(status(project))) == 2, stand.describe)
    for _ in range(5):
        assert stand.get("/").status == 200
    told = status(project)
    assert (told["pid"], told["state"]) == (stand.process.pid, "serving")
    assert told["apps"] == [{"name": "", "target": "app:app", "mount": "", "wanted": 2}]
    assert told["folder"] == str(project.folder)
    assert [told["edge"]["pid"]] == stand.children("edge")
    assert told["edge"]["requests"] == 5
    assert sorted(each["pid"] for each in told["workers"]) == stand.children("worker")
    assert sum(each["requests"] for each in told["workers"]) == 5
    assert all(each["rss_bytes"] > 1 << 20 for each in told["workers"])
    assert {each["generation"] for each in told["workers"]} == {1}


def test_the_status_shows_requests_in_flight(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    connection = stand.connect()
    connection.request("GET", "/held")
    wait_until((project.folder / "arrived").exists, stand.describe)
    told = status(project)
    assert (told["edge"]["in_flight"], told["workers"][0]["in_flight"]) == (1, 1)
    (project.folder / "release").touch()
    assert connection.getresponse().read() == b"hello"
    connection.close()


def test_a_person_reads_the_status_as_a_table(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    stand.signal(signal.SIGHUP)
    stand.wait_for_text("reloaded in")
    lines = said(project, "status").out.splitlines()
    assert lines[0] == "app      app:app, 1 worker"
    assert lines[1].startswith("state    serving, up ")
    (head,) = [line for line in lines if "in flight" in line and "memory" in line]
    assert head.split()[:4] == ["worker", "pid", "state", "gen"]
    assert "SIGHUP: reloaded in" in lines[-1]


def test_a_stand_that_cannot_hear_its_edge_is_told_of_all_the_same(
    serve: Serve, project: Project
) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    (edge,) = stand.children("edge")
    os.kill(edge, signal.SIGSTOP)
    try:
        told = status(project)
    finally:
        os.kill(edge, signal.SIGCONT)
    assert (told["edge"]["pid"], told["edge"]["requests"]) == (edge, None)
    assert told["workers"][0]["requests"] is None


def test_scale_changes_the_number_of_workers(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    for word, count in (("3", 3), ("-1", 2), ("+1", 3), ("1", 1)):
        assert said(project, "scale", word).out == (
            f"{count} worker{'' if count == 1 else 's'} from now on\n"
        )
        wait_until(lambda: len(stand.children("worker")) == count, stand.describe)  # noqa: B023
    wait_until(lambda: len(serving(status(project))) == 1, stand.describe)
    assert stand.get("/").text == "hello"


def test_each_of_several_apps_has_its_own_number_of_workers(serve: Serve, project: Project) -> None:
    apps = '[app.one]\ntarget = "app:app"\n[app.two]\ntarget = "app:app"\npath = "/two"\n'
    project.write({"trivet.toml": apps, "app.py": APP})
    stand = serve(project.folder, "--workers", "1", *QUIET)
    said_of_two = "two: 2 workers from now on\n"
    assert said(project, "scale", "+1", "--app", "two").out == said_of_two
    wait_until(lambda: len(stand.children("worker")) == 3, stand.describe)
    assert said(project, "scale", "2").out == "one: 2 workers from now on\n" + said_of_two
    wait_until(lambda: len(stand.children("worker")) == 4, stand.describe)
    told = status(project)
    assert [(each["name"], each["wanted"]) for each in told["apps"]] == [("one", 2), ("two", 2)]
    assert [each["app"] for each in told["workers"]] == ["one", "one", "two", "two"]
    assert "two: app:app below /two, 2 workers" in said(project, "status").out
    ended = project.run("scale", "2", "--app", "three")
    assert (ended.code, "the stand has no app `three`" in ended.err) == (1, True)


@pytest.mark.parametrize("word", ["0", "-1", "+1024"])
def test_scale_says_what_cannot_be(serve: Serve, project: Project, word: str) -> None:
    serve(APP, "--workers", "1", *QUIET)
    ended = project.run("scale", word)
    assert (ended.code, "1 to 1024 workers" in ended.err) == (1, True)


@pytest.mark.parametrize("word", ["many", "1.5", "", "+", "1025", "99999"])
def test_scale_takes_numbers_only(project: Project, word: str) -> None:
    ended = project.run("scale", word)
    assert (ended.code, "usage.bad_argument" in ended.err) == (2, True)


def test_reload_waits_for_the_new_workers(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    project.write({"app.py": APP.replace("hello", "new")})
    assert said(project, "reload").out.startswith("trivet reload: reloaded in ")
    assert [stand.get("/").text for _ in range(4)] == ["new"] * 4
    told = json.loads(said(project, "reload", "--json").out)
    assert (told["outcome"], told["failure"]) == ("done", None)
    assert status(project)["workers"][-1]["generation"] == 3


def test_a_reload_that_does_not_load_says_why_and_the_old_serves(
    serve: Serve, project: Project
) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    project.write({"app.py": APP + "\ndef (\n"})
    ended = project.run("reload")
    assert ended.code == 3
    assert "still serving the version of" in ended.err
    assert "error[app.syntax_error]" in ended.err
    assert "| def (" in ended.err
    assert stand.get("/").text == "hello"
    told = project.run("reload", "--json")
    assert told.code == 3
    assert json.loads(told.out)["failure"]["code"] == "app.syntax_error"


def test_a_reload_whose_workers_die_says_so(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    project.write({"app.py": "import os\nos._exit(7)\n" + APP})
    ended = project.run("reload")
    assert (ended.code, "not loaded, still serving" in ended.err) == (3, True)
    assert stand.get("/").text == "hello"


def test_nobody_has_to_wait_for_a_reload(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    assert said(project, "reload", "--no-wait").out == "a reload has been asked for\n"
    stand.wait_for_text("trivet reload: reloaded in")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_twenty_reloads_under_load_fail_no_request(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "2", *QUIET)
    with Load(stand.port, [("GET", "/"), ("POST", "/")]) as load:
        for _ in range(20):
            said(project, "reload")
        load.wait_for_more(12)
    assert load.failures == []
    assert stand.err.text().count("reloaded in") == 20


def test_stop_returns_when_the_stand_is_gone(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    ended = said(project, "stop")
    assert (ended.out, ended.err) == ("stopped\n", "stopping: requests in flight have 30 s\n")
    # It is a child of this test, which has not looked after it yet: all that is left is its code.
    assert stand.wait(1) == 0


def test_stop_lets_requests_finish_and_stop_now_does_not(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    with stand.socket() as client:
        client.sendall(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until((project.folder / "arrived").exists, stand.describe)
        with subprocess.Popen(
            [sys.executable, "-m", "trivet", "stop"], cwd=project.folder, stdout=subprocess.DEVNULL
        ) as first:
            stand.wait_for_text("stopping: requests in flight")
            assert project.run("healthcheck").err == "not healthy: the stand is stopping\n"
            assert project.run("reload").code == 1
            assert first.poll() is None
            assert said(project, "stop", "--now").out == "stopped\n"
        assert first.returncode == 0
    assert stand.wait() == 128 + signal.SIGTERM


def test_healthcheck_answers_by_its_code(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    assert project.run("healthcheck") == Ended(0, "healthy\n", "")
    assert project.run("healthcheck", "--pid", str(stand.process.pid)).code == 0
    assert project.run("healthcheck", "--pid=1").code == 1
    told = json.loads(said(project, "healthcheck", "--json").out)
    assert told == {"healthy": True, "because": ""}
    assert project.run("healthcheck", "--no-such").code == 2
    (worker,) = stand.children("worker")
    project.write({"app.py": "while True: pass\n"})
    os.kill(worker, signal.SIGKILL)
    wait_until(
        lambda: project.run("healthcheck").err == "not healthy: no worker serves\n", stand.describe
    )
    stand.kill()


def test_healthcheck_starts_without_what_other_commands_need(project: Project) -> None:
    heavy = "click", "msgspec", "trivet.config", "argparse", "inspect"
    script = (
        "import sys; from trivet.cli import main\n"
        "try: main(['healthcheck', '--socket', 'none'])\n"
        f"except SystemExit as end: print(end.code, [m for m in {heavy!r} if m in sys.modules])"
    )
    ended = project.run("-c", script, program=(sys.executable,))
    assert ended.out == "1 []\n", ended


def test_of_two_stands_the_one_of_this_folder_is_meant(
    serve: Serve, project: Project, tmp_path: Path
) -> None:
    first = serve(APP, "--workers", "1", *QUIET)
    other = Project(tmp_path / "other").write({"app.py": APP})
    second = serve(other.folder, "--workers", "1", *QUIET)
    assert status(project)["pid"] == first.process.pid
    assert status(other)["pid"] == second.process.pid
    elsewhere = Project(tmp_path)
    ended = elsewhere.run("status")
    assert ended.code == 2
    assert "error[control.several]: " in ended.err
    checked = elsewhere.run("healthcheck")
    assert (checked.code, "stands are running: name one with --pid" in checked.err) == (1, True)
    for stand, folder in ((first, project.folder), (second, other.folder)):
        assert f"{stand.process.pid}  app:app  in {folder}" in ended.err
        assert status(elsewhere, "--pid", str(stand.process.pid))["pid"] == stand.process.pid


def test_where_no_stand_runs_the_commands_say_so(project: Project) -> None:
    for command in (["status"], ["stop"], ["reload"], ["scale", "2"]):
        ended = project.run(*command, program=ALONE)
        assert (ended.code, "error[control.no_stand]" in ended.err) == (2, True), ended
    assert project.run("healthcheck", program=ALONE) == Ended(
        1, "", "not healthy: no stand is running\n"
    )
    ended = project.run("status", "--pid", "1")
    assert (ended.code, "process 1 is no stand" in ended.err) == (2, True)
    ended = project.run("status", "--socket", str(project.folder / "none"))
    assert (ended.code, "nobody listens at" in ended.err) == (2, True)


def test_a_path_is_found_by_flag_variable_and_configuration(
    serve: Serve, project: Project, tmp_path: Path
) -> None:
    path = tmp_path / "control"
    project.write({"trivet.toml": f'[control]\nsocket = "{path}"\n', "app.py": APP})
    stand = serve(project.folder, "--workers", "1", *QUIET)
    assert status(project)["pid"] == stand.process.pid
    elsewhere = Project(tmp_path)
    assert elsewhere.run("status", program=ALONE).code == 2
    assert status(elsewhere, "--socket", str(path))["pid"] == stand.process.pid
    for command in ("status", "healthcheck"):
        assert elsewhere.run(command, env={"TRIVET_CONTROL_SOCKET": str(path)}).code == 0
    assert project.run("healthcheck").code == 0
    assert stand.stop() == 0
    assert not path.exists()


def test_a_path_that_cannot_be_listened_at_is_an_error_of_the_start(
    project: Project,
) -> None:
    project.write({"app.py": APP, "file": ""})
    path = str(project.folder / "file")
    ended = project.run("serve", "--bind", "127.0.0.1:0", env={"TRIVET_CONTROL_SOCKET": path})
    assert (ended.code, "error[config.bad_socket]" in ended.err) == (2, True), ended


def test_without_a_control_socket_nothing_listens(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "1", *QUIET, env={"TRIVET_CONTROL_SOCKET": "off"})
    assert control_socket(stand) is None
    ended = project.run("status", "--pid", str(stand.process.pid))
    assert (ended.code, "is no stand that listens" in ended.err) == (2, True)


def test_another_user_is_turned_away(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    name = control_socket(stand)
    assert name
    script = (
        "import os, socket\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(chr(0) + %r)\n"
        "print(s.makefile().readline())"
    )
    told = subprocess.run(
        [sys.executable, "-c", script % name[1:]], check=True, capture_output=True, text=True
    )
    assert json.loads(told.stdout)["code"] == "control.forbidden"


def test_garbage_on_the_socket_leaves_the_stand_as_it_is(serve: Serve, project: Project) -> None:
    stand = serve(APP, "--workers", "1", *QUIET)
    name = control_socket(stand)
    assert name
    silent = [talk(name, b"") for _ in range(40)]
    for data in (b"\xff" * 100_000, b"\n" * 1000, b"GET / HTTP/1.1\r\n\r\n", b'{"type":"stop"}\n'):
        with talk(name, data) as client:
            assert b'"control.bad_request"' in client.recv(4096)
    assert stand.get("/").text == "hello"
    assert status(project)["state"] == "serving"
    for client in silent:
        client.close()


def talk(name: str, data: bytes) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect("\0" + name[1:])
    client.settimeout(20)
    if data:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has heard enough
            client.sendall(data)
    return client


def control_socket(stand: Stand) -> str | None:
    """The stand's name in the kernel's table."""
    with Path("/proc/net/unix").open(encoding="ascii", errors="replace") as table:
        names = [str(each) for each in listed(table) if each.pid == stand.process.pid]
    return names[0] if names else None
