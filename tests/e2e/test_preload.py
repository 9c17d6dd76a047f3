"""`preload`: the app is imported once, and workers are forked of it."""

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.load import Load
from tests.e2e.program import Project
from tests.e2e.stand import Stand
from tests.waiting import wait_until

APP = """
import os, random
IMPORTED = os.getpid()
VERSION = 1
ROUND = random.random()

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/version":
        return [str(VERSION).encode()]
    told = [IMPORTED, os.getpid(), os.getppid(), os.getsid(0), random.random()]
    print("said by", os.getpid(), flush=True)
    return [" ".join(map(str, told)).encode()]
"""
ASGI = """
import asyncio, os
IMPORTED, STARTED = os.getpid(), []

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        STARTED.append(os.getpid())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = f"{IMPORTED} {os.getpid()} {STARTED[0]} {len(STARTED)}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
ENDLESS = """
import asyncio, ctypes, pathlib

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    pathlib.Path("begun").touch()
    while scope["path"] == "/waits":
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
    # A call that keeps the interpreter lock: no thread of the worker sees anything any more.
    ctypes.PyDLL(None).sleep(3600)  # slow on purpose
"""
BIG = (
    """
BLOB = bytes(range(256)) * (100 * 4096)
"""
    + APP
)
GROWS = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/grow":
        HELD.append(bytearray(b"x") * (120 << 20))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
    return serve(environ, start_response)
"""
THREAD = """import threading
poller = threading.Thread(target=threading.Event().wait, daemon=True, name="poller")

poller.start()
"""
QUIET = ("--log-format", "text", "--no-access-log", "--preload")


def answers(stand: Stand, workers: int) -> dict[str, list[str]]:
    """Ask until every worker has answered; by process id."""
    found: dict[str, list[str]] = {}

    def all_have() -> bool:
        with Load(stand.port, [("GET", "/")], clients=4) as load:
            load.wait_for_more(8)
        for body in load.bodies:
            words = body.split()
            found[words[1]] = words
        return len(found) == workers

    wait_until(all_have, stand.describe)
    return found


def pss(pid: int) -> int:
    """Give the proportional share of memory of a process, in bytes."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no Pss of {pid}")


def test_workers_are_forked_of_one_import_and_belong_to_the_supervisor(serve: Serve) -> None:
    stand = serve(APP, "--workers", "3", *QUIET)
    (server,) = stand.children("preload")
    found = answers(stand, 3)
    for pid, (imported, _, parent, session, _) in found.items():
        assert (imported, parent, session) == (str(server), str(stand.process.pid), pid)
    assert sorted(map(int, found)) == stand.children("worker")


def test_memory_that_is_shared_does_not_count_for_each(serve: Serve) -> None:
    """Every worker has the 100 MiB of the import in its RSS, and only a part of them is its own."""
    app = BIG + "\nHELD = []\nserve = app\n" + GROWS
    stand = serve(app, "--workers", "3", "--max-memory", "100m", *QUIET)
    answers(stand, 3)
    grown = int(stand.get("/grow").text)
    wait_until(lambda: grown not in stand.children("worker"), stand.describe)
    assert stand.err.text().count("is recycled") == 1


def test_each_worker_has_random_numbers_and_output_of_its_own(serve: Serve) -> None:
    stand = serve(APP, "--workers", "2", *QUIET)
    found = answers(stand, 2)
    assert len({words[4] for words in found.values()}) == 2
    for pid in found:
        stand.wait_for_text(f"said by {pid}")
    lines = [line for line in stand.out.lines() if "said by" in line]
    assert {line.split("]")[0] for line in lines} == {"[worker 1", "[worker 2"}


def test_the_lifespan_runs_in_each_worker(serve: Serve) -> None:
    stand = serve(ASGI, "--workers", "2", *QUIET)
    (server,) = stand.children("preload")
    for pid, (imported, _, started, times) in answers(stand, 2).items():
        assert (imported, started, times) == (str(server), pid, "1")


def test_memory_of_the_import_is_shared(serve: Serve) -> None:
    stand = serve(BIG, "--workers", "4", *QUIET)
    answers(stand, 4)
    everybody = [*stand.children("worker"), *stand.children("preload")]
    assert len(everybody) == 5
    # The blob alone has 100 MiB: five copies of it would be five times what is allowed here.
    assert sum(map(pss, everybody)) < 200 << 20


def test_a_reload_imports_anew_and_fails_no_request(serve: Serve, project: Project) -> None:
    project.write({"app.py": APP})
    stand = serve(project.folder, "--workers", "2", *QUIET)
    before = stand.children("preload")
    with Load(stand.port, [("GET", "/version")], clients=3) as load:
        for version in (2, 3):
            project.write({"app.py": APP.replace("VERSION = 1", f"VERSION = {version}")})
            stand.signal(signal.SIGHUP)
            wait_until(lambda: stand.err.text().count("reloaded in") == version - 1, stand.describe)  # noqa: B023
            load.wait_for_more(6)
    assert load.failures == []
    assert stand.get("/version").text == "3"
    wait_until(lambda: len(stand.children("preload")) == 1, stand.describe)
    assert stand.children("preload") != before


def test_a_reload_that_fails_keeps_workers_and_fork_server(serve: Serve, project: Project) -> None:
    project.write({"app.py": APP})
    stand = serve(project.folder, "--workers", "2", *QUIET)
    before = stand.children("preload")
    project.write({"app.py": "1 / 0\n"})
    stand.signal(signal.SIGHUP)
    stand.wait_for_text("not loaded, still serving the version of")
    assert stand.err.text().count("error[app.raised]") == 1
    wait_until(lambda: stand.children("preload") == before, stand.describe)
    # A worker that is lost now comes back as it was, though its file is broken.
    lost = stand.children("worker")[0]
    os.kill(lost, signal.SIGKILL)
    wait_until(lambda: len(set(stand.children("worker")) - {lost}) == 2, stand.describe)
    assert stand.get("/version").text == "1"


def test_a_killed_worker_is_reaped_and_replaced(serve: Serve) -> None:
    stand = serve(APP, "--workers", "2", *QUIET)
    server, lost = stand.children("preload"), stand.children("worker")[0]
    os.kill(lost, signal.SIGKILL)
    stand.wait_for_text(f"(pid {lost}) was killed by SIGKILL after using up to ")
    wait_until(lambda: len(set(stand.children("worker")) - {lost}) == 2, stand.describe)
    assert stand.children("preload") == server
    answers(stand, 2)


def test_workers_outlive_their_fork_server(serve: Serve) -> None:
    stand = serve(APP, "--workers", "2", *QUIET)
    (server,), workers = stand.children("preload"), stand.children("worker")
    os.kill(server, signal.SIGKILL)
    stand.wait_for_text("running workers go on, and the next one begins with a new import")
    assert set(map(int, answers(stand, 2))) == set(workers)
    os.kill(workers[0], signal.SIGKILL)
    wait_until(lambda: len(set(stand.children("worker")) - {workers[0]}) == 2, stand.describe)
    found = answers(stand, 2)
    assert {words[0] for words in found.values()} == {
        str(server),
        str(stand.children("preload")[0]),
    }


def test_nothing_is_left_when_the_supervisor_is_killed(serve: Serve) -> None:
    stand = serve(APP, "--workers", "2", *QUIET)
    everybody = [*stand.children("preload"), *stand.children("worker"), *stand.children("edge")]
    stand.process.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in everybody), stand.describe)


@pytest.mark.parametrize("way", ["waits", "holds"])
def test_a_worker_that_never_ends_goes_with_a_killed_supervisor(
    serve: Serve, project: Project, way: str
) -> None:
    project.write({"app.py": ENDLESS})
    stand = serve(project.folder, "--workers", "1", *QUIET)
    [worker] = stand.children("worker")
    everybody = [worker, *stand.children("preload"), *stand.children("edge")]
    with stand.socket() as client:
        client.sendall(f"GET /{way} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until((project.folder / "begun").exists, stand.describe)
        # One that is stopping already does not look for its supervisor any more.
        os.kill(worker, signal.SIGTERM)
        stand.process.kill()
        wait_until(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in everybody), stand.describe
        )


def test_it_works_as_the_first_process_of_a_namespace(serve: Serve) -> None:
    prefix = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGTERM")
    stand = serve(APP, "--workers", "2", *QUIET, prefix=prefix)
    found = answers(stand, 2)
    assert {words[2] for words in found.values()} == {"1"}
    assert {words[0] for words in found.values()}.isdisjoint(found)
    stand.kill()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            THREAD,
            ["app.preload_thread", "the thread `poller` was started", "app.py:5"],
        ),
        (
            "import socket\n\n\nlistener = socket.create_server(('127.0.0.1', 0))\n",
            ["app.preload_socket", "a listening socket on 127.0.0.1:", "app.py:5"],
        ),
        (
            "import asyncio\nloop = asyncio.new_event_loop()\n",
            ["app.preload_loop", "an event loop (_UnixSelectorEventLoop)", "app.py:3"],
        ),
        (
            "import helper\n",
            ["app.preload_socket", "a connection to another socket", "helper.py:2"],
        ),
    ],
    ids=["thread", "socket", "loop", "library"],
)
def test_what_the_import_opens_is_told_with_its_line(
    serve: Serve, project: Project, source: str, said: list[str]
) -> None:
    project.write(
        {"app.py": "\n" + source + APP, "helper.py": "import socket\npair = socket.socketpair()\n"}
    )
    stand = serve(project.folder, "--workers", "1", *QUIET)
    (warning,) = [part for part in stand.err.text().split("\n\n") if "warning[" in part]
    assert warning.count("warning[") == 1
    for text in said:
        assert text in warning
    assert stand.get("/version").text == "1"


def test_what_is_closed_again_is_no_matter(serve: Serve) -> None:
    source = """
    import asyncio, socket, threading
    socket.create_server(("127.0.0.1", 0)).close()
    threading.Thread(target=print).start()
    asyncio.new_event_loop().close()
    """
    stand = serve("\n".join(line.strip() for line in source.splitlines()) + APP, *QUIET)
    assert "warning[" not in stand.err.text()


def test_an_app_that_does_not_load_ends_the_start(project: Project) -> None:
    project.write({"app.py": "import no_such_module\n" + APP})
    ended = project.run("serve", "--preload", "--bind", "127.0.0.1:0", "--workers", "3")
    assert ended.code == 3
    assert ended.err.count("error[app.missing_module]") == 1


def test_an_import_that_hangs_is_ended_by_the_load_timeout(project: Project) -> None:
    project.write(
        {
            "app.py": "import threading\nthreading.Event().wait()\n" + APP,
            "trivet.toml": "[server]\nload_timeout = '1s'\npreload = true\nworkers = 2\n",
        }
    )
    ended = project.run("serve", "--bind", "127.0.0.1:0")
    assert ended.code == 3
    assert "has not loaded the app after 1 s: killed" in ended.err


def test_a_death_while_importing_is_a_failed_start(project: Project) -> None:
    project.write({"app.py": "import os\nos._exit(7)\n" + APP})
    ended = project.run("serve", "--preload", "--bind", "127.0.0.1:0", "--workers", "2")
    assert ended.code == 3
    assert "exited with code 7" in ended.err


def test_numpy_draws_anew_in_each_worker(serve: Serve, project: Project) -> None:
    # A stand-in with numpy's name: what is asked is that `numpy.random.seed()` is called.
    project.write(
        {
            "numpy/__init__.py": "from numpy import random\n",
            "numpy/random.py": "SEEDED = []\ndef seed(): SEEDED.append(1)\n",
            "app.py": "import numpy\n" + APP.replace("str(VERSION)", "str(numpy.random.SEEDED)"),
        }
    )
    stand = serve(project.folder, *QUIET)
    assert stand.get("/version").text == "[1]"
