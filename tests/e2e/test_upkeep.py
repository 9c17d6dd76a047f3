"""Workers that are recycled, and workers that come and go with the work."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.conftest import Serve
from tests.e2e.load import Load
from tests.e2e.stand import Stand
from tests.waiting import wait_until

APP = """
import os, time

held = []

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/leak":
        held.append(bytearray(os.urandom(1 << 20)) * 48)
    if path == "/wait":
        time.sleep(0.3)  # slow on purpose
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


def pid(stand: Stand) -> str:
    return stand.get("/").text


def recycled(stand: Stand) -> list[str]:
    return re.findall(r"worker \d+ is recycled .*", stand.err.text())


def test_workers_are_recycled_by_requests_and_no_request_is_lost(serve: Serve) -> None:
    stand = serve(APP, "--workers", "2", "--max-requests", "200", "--max-requests-jitter", "50")
    with Load(stand.port, [("GET", "/")]) as load:
        wait_until(lambda: len(recycled(stand)) >= 4, stand.describe)
    assert load.failures == []
    assert re.search(
        r"is recycled after [\d,]+ requests: worker \d+ takes over", recycled(stand)[0]
    )
    assert len(stand.children("worker")) in {2, 3}


def test_a_worker_that_grows_is_recycled(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1", "--max-memory", "120m")
    before = pid(stand)
    for _ in range(3):
        stand.get("/leak")
    wait_until(lambda: pid(stand) != before, stand.describe)
    assert "MiB of memory: worker 2 takes over" in recycled(stand)[0]


def test_a_worker_that_is_old_is_recycled_though_nobody_asks_for_anything(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1", "--max-age", "1s")
    wait_until(lambda: recycled(stand), stand.describe)
    assert "is recycled after" in recycled(stand)[0]


def test_a_request_that_runs_meanwhile_is_answered_by_the_old_worker(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1", "--max-requests", "20")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stand.get("/wait"), range(64)))
    assert {answer.status for answer in answers} == {200}


def test_a_successor_that_does_not_load_leaves_the_worker_in_its_place(
    serve: Serve, tmp_path: Path
) -> None:
    stand = serve(APP, "--workers", "1", "--max-requests", "10")
    before = pid(stand)
    (tmp_path / "app" / "app.py").write_text("import nowhere_to_be_found\n")
    for _ in range(12):
        stand.get("/")
    stand.wait_for_text("worker 1 goes on: the next try to recycle it is in")
    assert pid(stand) == before


def test_workers_come_while_requests_wait_and_cpus_are_idle(serve: Serve) -> None:
    stand = serve(APP, "--workers", "1", "--max-workers", "3", "--threads", "2")
    with ThreadPoolExecutor(24) as pool:
        rounds = 0
        while "2 workers from now on: requests waited" not in stand.err.text():
            rounds += 1
            assert rounds < 60, stand.describe()
            assert {each.status for each in pool.map(lambda _: stand.get("/wait"), range(48))} == {
                200
            }
    assert re.search(
        r"requests waited \d+ ms, and each worker used \d+% of a CPU", stand.err.text()
    )
