"""Who may have what: address lists, for the whole stand and for routes, and files that change."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.http1 import connect, line_of, request, running
from tests.e2e.program import Project
from tests.e2e.stand import Answer, Stand
from tests.waiting import wait_until

CONFIG = """
[proxy]
trusted = ["127.0.0.1"]

[health]
live = "/livez"

[list.office]
networks = ["10.0.0.0/8", "2001:db8:1::/48"]

[list.bad]
file = "bad.txt"

[access]
deny = ["bad", "198.51.100.0/24"]

[[route]]
path = "/who"
client = ["office"]
respond = "colleague"

[[route]]
path = "/who"
respond = "guest"

[[route]]
path = "/admin/open/*"
allow = ["*"]

[[route]]
path = "/admin/*"
allow = ["office", "192.0.2.7"]
deny = ["10.6.6.0/24"]

[[route]]
path = "/nobody"
allow = []

[[route]]
path = "/alias/{name*}"
rewrite = "/admin/{name}"

[[route]]
path = "/closed/*"
deny = ["*"]
status = 204
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("access")
    (folder / "bad.txt").write_text("# known to do harm\n203.0.113.66\n2001:db8:bad::/48\n")
    return folder


@pytest.fixture(scope="module")
def stand(folder: Path) -> Iterator[Stand]:
    with running(folder, "--workers", "1", config=CONFIG) as stand:
        yield stand


def get(stand: Stand, path: str, client: str) -> Answer:
    return stand.get(path, {"X-Forwarded-For": client})


@pytest.mark.parametrize(
    ("client", "content"),
    [
        ("10.2.3.4", "colleague"),
        ("::ffff:10.2.3.4", "colleague"),
        ("2001:db8:1:2::3", "colleague"),
        ("2001:db8:2::3", "guest"),
        ("192.0.2.1", "guest"),
    ],
)
def test_a_route_is_for_some_clients(stand: Stand, client: str, content: str) -> None:
    assert get(stand, "/who", client).text == content


@pytest.mark.parametrize(
    ("path", "client", "status"),
    [
        ("/admin/x", "10.2.3.4", 200),
        ("/admin/x", "192.0.2.7", 200),
        ("/admin/x", "192.0.2.8", 403),
        ("/admin/x", "10.6.6.6", 403),
        ("/admin/x", "127.0.0.1", 403),
        ("/admin/open/x", "192.0.2.8", 200),
        ("/admin/open/x", "10.6.6.6", 403),
        ("/nobody", "10.2.3.4", 403),
        ("/alias/x", "192.0.2.8", 403),
        ("/alias/x", "10.2.3.4", 200),
        ("/alias/open/x", "192.0.2.8", 200),
        ("/closed/x", "10.2.3.4", 403),
        ("/x", "203.0.113.66", 403),
        ("/x", "2001:db8:bad:1::2", 403),
        ("/x", "198.51.100.9", 403),
        ("/x", "203.0.113.67", 200),
        ("/livez", "203.0.113.66", 200),
    ],
)
def test_who_may_have_what(stand: Stand, path: str, client: str, status: int) -> None:
    assert get(stand, path, client).status == status


def test_the_right_most_address_that_is_no_proxy_decides(stand: Stand) -> None:
    assert get(stand, "/admin/x", "10.2.3.4, 192.0.2.8").status == 403
    assert get(stand, "/admin/x", "192.0.2.8, 10.2.3.4, 127.0.0.1").status == 200


def test_a_refusal_is_a_problem_and_the_connection_goes_on(stand: Stand) -> None:
    with connect(stand) as client:
        client.send(request("GET", "/nobody", "Accept: application/json"))
        answer = client.answer()
        assert (answer.status, answer.closes) == (403, False)
        assert answer.field("content-type") == "application/problem+json"
        assert answer.json()["code"] == "edge.forbidden"
        line = line_of(stand, client)
        assert (line["status"], line["error"]) == (403, "edge.forbidden")
        assert "worker" not in line
        assert client.get("/who").body == b"guest"


def test_content_of_a_refused_request_is_never_read_as_the_next_one(stand: Stand) -> None:
    hidden = request("GET", "/who")
    with connect(stand) as client:
        client.send(request("POST", "/nobody", f"Content-Length: {len(hidden)}"), hidden)
        assert client.answer().status == 403
        assert client.is_ended()


def test_curl_is_told_too(stand: Stand) -> None:
    command = ["curl", "-sS", "-o", "-", "-w", "%{http_code}", f"http://127.0.0.1:{stand.port}"]
    command[-1] += "/nobody"
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.endswith("</html>\n403")


def test_a_file_that_changes_is_read_again(stand: Stand, folder: Path) -> None:
    assert get(stand, "/x", "192.0.2.99").status == 200
    path = folder / "bad.txt"
    before = path.read_text()
    path.write_text(before + "192.0.2.99\n")
    wait_until(lambda: get(stand, "/x", "192.0.2.99").status == 403, stand.describe)
    stand.wait_for_text("bad.txt was read again")
    path.write_text("192.0.2.99\nnonsense\n")
    stand.wait_for_text("bad.txt:2: `nonsense` is neither an address nor a network")
    assert get(stand, "/x", "203.0.113.66").status == 403
    path.unlink()
    stand.wait_for_text("list `bad` stays as it was")
    assert get(stand, "/x", "192.0.2.99").status == 403
    path.write_text(before)
    wait_until(lambda: get(stand, "/x", "192.0.2.99").status == 200, stand.describe)


def test_a_long_list_changes_while_requests_are_answered(serve: Serve, project: Project) -> None:
    many = "".join(f"10.{a}.{b}.{c}\n" for a in range(16) for b in range(250) for c in (1, 3, 5))
    (project.folder / "many.txt").write_text(many)
    project.write(
        {
            "app.py": "def app(e, s):\n    s('200 OK', [])\n    return [b'x']\n",
            "trivet.toml": '[server]\nworkers = 1\n[proxy]\ntrusted = ["127.0.0.1"]\n'
            '[list.many]\nfile = "many.txt"\n[access]\ndeny = ["many"]\n',
        }
    )
    stand = serve(project.folder)
    assert get(stand, "/", "10.15.249.5").status == 403
    assert get(stand, "/", "10.15.249.4").status == 200
    (project.folder / "many.txt").write_text(many + "10.15.249.4\n")
    wait_until(lambda: get(stand, "/", "10.15.249.4").status == 403, stand.describe)
    assert get(stand, "/", "10.15.249.6").status == 200


def test_a_reload_brings_other_lists(serve: Serve, project: Project) -> None:
    text = '[server]\nworkers = 1\n[access]\ndeny = ["{}"]\n'
    app = "def app(e, s):\n    s('200 OK', [])\n    return [b'x']\n"
    project.write({"app.py": app, "trivet.toml": text.format("192.0.2.1")})
    stand = serve(project.folder)
    assert stand.get("/").status == 200
    project.write({"trivet.toml": text.format("127.0.0.1")})
    assert project.run("reload").code == 0
    assert stand.get("/").status == 403
    project.write({"trivet.toml": text.format("127.0.0.1/33")})
    ended = project.run("reload")
    assert ended.code == 2
    assert "trivet.toml:4" in ended.err + ended.out
    assert stand.get("/").status == 403


def test_a_wrong_list_ends_the_start_with_its_line(project: Project) -> None:
    project.write(
        {
            "app.py": "app = print\n",
            "bad.txt": "10.0.0.0/8\n10.0.0.0/64\n",
            "trivet.toml": '[list.bad]\nfile = "bad.txt"\n',
        }
    )
    ended = project.run("serve")
    assert ended.code == 2
    assert "bad.txt:2" in ended.err
    assert "`10.0.0.0/64` is neither an address nor a network" in ended.err
