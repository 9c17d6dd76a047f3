"""How often, and how many at once: the limits of routes, with real clients."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.http1 import (
    connect,
    make_fifo,
    release,
    request,
    running,
    wait_for_file,
)
from tests.e2e.program import Project
from tests.e2e.stand import Answer, Stand
from tests.waiting import wait_until

CONFIG = """
[proxy]
trusted = ["127.0.0.1"]

[[route]]
path = "/free/*"
rate_limit = "off"

[[route]]
path = "/free/x"
rate_limit = "1/h"

[[route]]
path = "/three"
rate_limit = "3/h"
respond = "ok"

[[route]]
path = "/fast"
rate_limit = "10/s burst 1"

[[route]]
path = "/key"
rate_limit = "2/h"
rate_limit_by = "field:X-Api-Key"
respond = "ok"

[[route]]
path = "/session"
rate_limit = "1/h"
rate_limit_by = "cookie:session"
respond = "ok"

[[route]]
path = "/net"
rate_limit = "1/h"
rate_limit_by = "address/24/48"
respond = "ok"

[[route]]
path = "/all"
rate_limit = "2/h"
rate_limit_by = "route"
respond = "ok"

[[route]]
path = "/closed"
deny = ["192.0.2.66"]
rate_limit = "1/h"
rate_limit_by = "route"
respond = "ok"

[[route]]
path = "/alias"
rewrite = "/three"

[[route]]
path = "/do/hold"
max_concurrency = 2
"""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("limits")
    with running(folder, "--workers", "1", config=CONFIG) as stand:
        yield stand


def get(stand: Stand, path: str, client: str, **fields: str) -> Answer:
    return stand.get(path, {"X-Forwarded-For": client, **fields})


def statuses(stand: Stand, path: str, *clients: str) -> list[int]:
    return [get(stand, path, client).status for client in clients]


def test_one_too_many_is_told_when_to_come_again(stand: Stand) -> None:
    assert statuses(stand, "/three", *["192.0.2.1"] * 4) == [200, 200, 200, 429]
    assert statuses(stand, "/three", "192.0.2.2") == [200]
    with connect(stand) as client:
        fields = ("X-Forwarded-For: 192.0.2.1", "Accept: application/json")
        answer = client.get("/three", *fields)
        assert (answer.status, answer.closes) == (429, False)
        assert answer.json()["code"] == "edge.too_many_requests"
        wait_s = int(answer.field("retry-after") or "")
        assert 1100 < wait_s <= 1200
        assert answer.field("ratelimit-policy") == '"route";q=3;w=3600'
        assert answer.field("ratelimit") == f'"route";r=0;t={wait_s}'
        line = stand.wait_for_request(lambda line: line["status"] == 429)
        assert line["error"] == "edge.too_many_requests"
        assert client.get("/three", "X-Forwarded-For: 192.0.2.3").status == 200


def test_whoever_waits_as_told_is_granted(stand: Stand) -> None:
    assert get(stand, "/fast", "192.0.2.1").status == 200
    wait_until(lambda: get(stand, "/fast", "192.0.2.1").status == 200, stand.describe)


def test_the_first_route_that_says_something_counts(stand: Stand) -> None:
    assert statuses(stand, "/free/x", *["192.0.2.1"] * 5) == [200] * 5


def test_a_rewritten_request_counts_once_and_where_it_ends(stand: Stand) -> None:
    assert statuses(stand, "/alias", *["192.0.2.41"] * 4) == [200, 200, 200, 429]
    assert statuses(stand, "/three", "192.0.2.41") == [429]


def test_ipv6_clients_count_by_their_network(stand: Stand) -> None:
    ours = [f"2001:db8:1:2::{host}" for host in (1, 2, 3, 4)]
    assert statuses(stand, "/three", *ours) == [200, 200, 200, 429]
    assert statuses(stand, "/three", "2001:db8:1:3::1") == [200]
    assert statuses(stand, "/net", "2001:db8:1:2::1", "2001:db8:1:3::1") == [200, 429]
    assert statuses(stand, "/net", "203.0.113.1", "203.0.113.200", "::ffff:203.0.113.9") == [
        200, 429, 429,
    ]  # fmt: skip


def test_a_key_counts_from_wherever_it_comes(stand: Stand) -> None:
    def ask(client: str, key: str) -> int:
        return get(stand, "/key", client, **{"X-Api-Key": key}).status

    assert [ask(f"192.0.2.{last}", "a") for last in (1, 2, 3)] == [200, 200, 429]
    assert [ask("192.0.2.1", key) for key in ("b", "c", "d")] == [200, 200, 200]
    assert statuses(stand, "/key", *["192.0.2.9"] * 3) == [200, 200, 429]


def test_a_cookie_is_found_among_others(stand: Stand) -> None:
    def ask(cookie: str) -> int:
        return get(stand, "/session", "192.0.2.1", Cookie=cookie).status

    assert [ask("a=1; session=x"), ask("session=x; b=2"), ask("session=y")] == [200, 429, 200]
    assert [ask("sessions=z"), ask("xsession=z")] == [200, 429]


def test_a_route_counts_all_together(stand: Stand) -> None:
    assert statuses(stand, "/all", "192.0.2.1", "2001:db8::1", "192.0.2.3") == [200, 200, 429]


def test_who_is_denied_is_not_counted(stand: Stand) -> None:
    clients = ("192.0.2.66", "192.0.2.66", "192.0.2.1", "192.0.2.2", "192.0.2.66")
    assert statuses(stand, "/closed", *clients) == [403, 403, 200, 429, 403]


def test_a_flood_of_keys_leaves_the_edge_as_small_as_it_was(stand: Stand) -> None:
    (edge,) = stand.children("edge")
    asked = b"".join(
        request("GET", "/key", f"X-Api-Key: {key}", "X-Forwarded-For: 192.0.2.7")
        for key in range(200)
    )
    with connect(stand) as client:
        for _ in range(20):
            client.send(asked)
            for _ in range(200):
                assert client.answer().status in {200, 429}
        # Keys that nobody has seen: 2 MiB would be the whole table.
        before = memory_kib(edge)
        for batch in range(50):
            client.send(
                *(
                    request("GET", "/key", f"X-Api-Key: {batch}-{key}-{'x' * 100}")
                    for key in range(200)
                )
            )
            for _ in range(200):
                assert client.answer().status == 200
    assert memory_kib(edge) - before < 6 << 10


def memory_kib(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


def test_curl_waits_as_it_is_told(stand: Stand) -> None:
    command = ["curl", "-sS", "--fail", "--retry", "3", "-H", "X-Forwarded-For: 192.0.2.99"]
    url = f"http://127.0.0.1:{stand.port}/fast"
    for _ in range(3):
        subprocess.run([*command, url], capture_output=True, timeout=30, check=True)


def test_so_many_run_at_once_and_no_more(stand: Stand, tmp_path: Path) -> None:
    fifos = [make_fifo(tmp_path) for _ in range(2)]
    clients = [connect(stand) for _ in fifos]
    for number, (client, fifo) in enumerate(zip(clients, fifos, strict=True)):
        client.send(request("GET", f"/do/hold?fifo={fifo}&here={tmp_path}/here-{number}"))
        wait_for_file(tmp_path / f"here-{number}")
    with connect(stand) as client:
        answer = client.get("/do/hold", "Accept: application/json")
        assert (answer.status, answer.field("retry-after")) == (503, "1")
        assert answer.json()["code"] == "edge.too_many_at_once"
        assert client.get("/other").status == 200
        # Each end of a request gives its place back: an answer, and a client that leaves.
        release(fifos[0])
        assert clients[0].answer().status == 200
        assert client.get("/do/hold").status == 200
        clients[1].__exit__()
        release(fifos[1])
        wait_until(lambda: both_places_are_free(stand, tmp_path), stand.describe)
    clients[0].__exit__()


def both_places_are_free(stand: Stand, folder: Path) -> bool:
    """Hold one place, and see whether there is another."""
    fifo = make_fifo(folder)
    here = fifo.with_suffix(".here")
    with connect(stand) as client:
        client.send(request("GET", f"/do/hold?fifo={fifo}&here={here}"))
        wait_for_file(here)
        is_free = stand.get("/do/hold").status == 200
        release(fifo)
        assert client.answer().status == 200
    return is_free


def test_a_reload_counts_on_while_the_route_is_the_same(serve: Serve, project: Project) -> None:
    app = "def app(e, s):\n    s('200 OK', [])\n    return [b'x']\n"
    text = '[server]\nworkers = 1\n{}[[route]]\npath = "/a"\nrate_limit = "{}"\n'
    project.write({"app.py": app, "trivet.toml": text.format("", "1/h")})
    stand = serve(project.folder)
    assert [stand.get("/a").status for _ in range(2)] == [200, 429]
    other = '[[route]]\npath = "/b"\nrate_limit = "1/h"\n'
    project.write({"trivet.toml": text.format(other, "1/h")})
    assert project.run("reload").code == 0
    assert [stand.get("/b").status for _ in range(2)] == [200, 429]
    assert stand.get("/a").status == 429
    project.write({"trivet.toml": text.format(other, "2/h")})
    assert project.run("reload").code == 0
    assert [stand.get("/a").status for _ in range(3)] == [200, 200, 429]
    assert stand.get("/b").status == 429


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ('rate_limit = "20"', "must be a rate"),
        ('rate_limit = "1/25h"', "one day at the most"),
        ('rate_limit = "1/s"\nrate_limit_by = "ip"', "must be a key"),
        ('rate_limit_by = "route"', "it goes with `rate_limit`"),
        ("max_concurrency = -1", "must be at least 0"),
        ('max_concurrency_by = "address"', "it goes with `max_concurrency`"),
    ],
)
def test_a_limit_that_is_none_ends_the_start(project: Project, line: str, part: str) -> None:
    project.write({"app.py": "app = print\n", "trivet.toml": f'[[route]]\npath = "/a"\n{line}\n'})
    ended = project.run("check")
    assert ended.code == 2, ended
    assert part in ended.err + ended.out
    assert f"trivet.toml:{2 + len(line.splitlines())}" in ended.err + ended.out
