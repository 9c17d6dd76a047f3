"""The commands, as somebody types them."""

import json
import re
import socket
from pathlib import Path
from urllib.request import urlopen

import pytest
import trivet

from tests.e2e.conftest import Serve
from tests.e2e.program import Project
from tests.e2e.stand import Stand, read_to_end
from tests.waiting import wait_until

ECHO = """
import os

def app(environ, start_response):
    if environ["PATH_INFO"] == "/cwd":
        body = os.getcwd()
    elif environ["PATH_INFO"].startswith("/env/"):
        body = os.environ.get(environ["PATH_INFO"][5:], "-")
    else:
        body = "|".join(str(environ.get(name, "")) for name in environ["QUERY_STRING"].split("&"))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]
"""


def served_at(stand: Stand) -> list[str]:
    """Give the addresses that the screen shows."""
    return re.findall(r"((?:http://|unix:)\S+)", stand.err.text().partition("ready in")[0])


# trivet


def test_version_names_trivet_python_and_the_platform(project: Project) -> None:
    ended = project.run("--version")
    assert ended.code == 0
    assert re.fullmatch(
        rf"Trivet {re.escape(trivet.__version__)} \(Python 3\.\d+\.\d+\S*, Linux \w+\)\n", ended.out
    )


@pytest.mark.parametrize("command", [[], ["--help"], ["serve", "-h"], ["check", "--help"]])
def test_help_is_an_answer(project: Project, command: list[str]) -> None:
    ended = project.run(*command)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Usage: trivet")


# trivet check


def test_check_says_what_it_has_checked(project: Project) -> None:
    project.write({"app.py": ECHO, "trivet.toml": "[server]\nworkers = 3\n"})
    ended = project.run("check")
    assert ended.code == 0
    first, second = ended.out.splitlines()
    assert first == f"configuration  {project.folder}/trivet.toml: no errors"
    assert re.fullmatch(r"app            app:app: loaded in \d+\.\d\d s \(WSGI\)", second)


def test_check_finds_what_serve_would_stumble_over(project: Project) -> None:
    project.write({"app.py": "1 / 0\napp = 1\n"})
    assert project.run("check", "app:app").code == 3
    project.write({"trivet.toml": "[server]\nworkers = 0\n"})
    assert project.run("check", "app:app").code == 2


def test_check_shows_what_the_app_prints(project: Project) -> None:
    project.write({"app.py": f"print('connected')\n{ECHO}"})
    assert "connected\n" in project.run("check").out


# trivet config


def test_config_show_can_be_put_into_a_file(project: Project) -> None:
    shown = project.run("config", "show", "--workers", "3")
    assert (shown.code, shown.err) == (0, "")
    assert re.search(r"^server\.workers = 3 +# flag --workers$", shown.out, re.MULTILINE)
    assert shown.out == project.run("config", "--workers", "3").out
    assert shown.out == project.run("serve", "--print-config", "--workers", "3").out


def test_config_get_prints_one_value(project: Project) -> None:
    project.write({"trivet.toml": "[server]\nworkers = 3\n"})
    assert project.run("config", "get", "server.workers").out == "3\n"
    missing = project.run("config", "get", "server.worker")
    assert (missing.code, missing.out) == (2, "")
    assert missing.said[-1] == "  hint: did you mean `server.workers`?"


def test_config_sources_tells_what_decided(project: Project) -> None:
    project.write({"trivet.toml": "[server]\nworkers = 3\n"})
    told = project.run("config", "sources", "--threads", "2", env={"PORT": "9000"}).out
    assert f"file: {project.folder}/trivet.toml" in told
    assert re.search(r"PORT.*server\.port", told)
    assert re.search(r"--threads.*server\.threads", told)


def test_config_schema_is_a_json_schema(project: Project) -> None:
    schema = json.loads(project.run("config", "schema").out)
    assert schema["$schema"].startswith("https://json-schema.org/")


# trivet serve: what platforms and other servers' users set


def test_the_port_of_the_platform_is_listened_on_at_all_interfaces(serve: Serve) -> None:
    stand = serve(ECHO, "--workers", "1", bind=False, env={"PORT": "0"})
    ports = {int(each.rpartition(":")[2]) for each in served_at(stand)}
    assert len(ports) == 1
    stand.port = ports.pop()
    assert stand.get("/?SERVER_PORT").text == str(stand.port)
    assert "PORT: the platform knows where its traffic comes in" in stand.err.text()


def test_the_number_of_workers_of_the_platform_is_started(serve: Serve) -> None:
    stand = serve(ECHO, env={"WEB_CONCURRENCY": "3"})
    wait_until(lambda: len(stand.children("worker")) == 3, stand.describe)
    assert re.search(r"workers +3 x up to 40 threads +WEB_CONCURRENCY", stand.err.text())


FORWARDED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("trusted", "seen"), [("127.0.0.1", "203.0.113.9|https"), ("10.0.0.0/8", "127.0.0.1|http")]
)
def test_only_proxies_that_are_trusted_tell_the_client(
    serve: Serve, trusted: str, seen: str
) -> None:
    stand = serve(ECHO, "--workers", "1", env={"FORWARDED_ALLOW_IPS": trusted})
    assert stand.get("/?REMOTE_ADDR&wsgi.url_scheme", headers=FORWARDED).text == seen


def test_several_addresses_are_served_at_once(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "trivet.sock"
    binds = ["127.0.0.1:0", "[::1]:0", f"unix:{path}"]
    arguments = [word for bind in binds for word in ("--bind", bind)]
    stand = serve(ECHO, "--workers", "1", *arguments, bind=False)
    v4, v6, unix = served_at(stand)
    for address in (v4, v6):
        with urlopen(f"{address}/?SERVER_PORT", timeout=20) as answer:  # noqa: S310 - our own
            assert answer.read().decode() == address.rpartition(":")[2]
    assert unix == f"unix:{path}"
    with socket.socket(socket.AF_UNIX) as connected:
        connected.connect(str(path))
        connected.sendall(b"GET /?REQUEST_METHOD HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_to_end(connected).endswith(b"\r\n\r\nGET")
    assert stand.stop() == 0
    assert not path.exists()


def test_variables_for_the_app_come_from_files_and_flags(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "prod.env").write_text("A=\"from file\"\nB=from-file\n# C=no\nexport D='x y'\n")
    stand = serve(
        ECHO, "--workers", "1", "--env-file", str(tmp_path / "prod.env"), "-e", "B=from-flag"
    )
    found = {name: stand.get(f"/env/{name}").text for name in "ABCD"}
    assert found == {"A": "from file", "B": "from-flag", "C": "-", "D": "x y"}


def test_a_folder_to_run_in_is_the_apps_current_folder(serve: Serve, project: Project) -> None:
    project.write({"inner/app.py": ECHO})
    stand = serve(project.folder, "--workers", "1", "--chdir", "inner")
    assert stand.get("/cwd").text == str(project.folder / "inner")


def test_the_configuration_file_is_followed(serve: Serve, project: Project) -> None:
    project.write({"app.py": ECHO, "pyproject.toml": "[tool.trivet.server]\nworkers = 1\n"})
    stand = serve(project.folder, "--root-path", "/shop")
    assert len(stand.children("worker")) == 1
    assert stand.get("/shop/a?SCRIPT_NAME&PATH_INFO").text == "/shop|/a"


def test_check_config_is_check(project: Project) -> None:
    project.write({"app.py": ECHO})
    ended = project.run("serve", "--check-config")
    assert (ended.code, ended.out.splitlines()[0]) == (0, "configuration  no file: no errors")
