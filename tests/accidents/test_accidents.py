"""What becomes of Trivet when something goes wrong that is not its fault.

The first five are the accidents that `make bench` plays with the other servers too.
"""

import itertools
import os
import re
import signal
import socket
import threading

import pytest

from tests.accidents.conftest import Serve
from tests.e2e.load import Load
from tests.e2e.program import Project
from tests.e2e.stand import Answer, Stand
from tests.waiting import wait_until

NUMBERS = itertools.count()


class Held:
    """A request that the app holds until the test lets go."""

    def __init__(self, stand: Stand, project: Project, method: str = "GET") -> None:
        self._stand = stand
        self._folder = project.folder
        self._name = f"held{next(NUMBERS)}x"
        self._answers: list[Answer | Exception] = []
        self._thread = threading.Thread(target=self._ask, args=[method], daemon=True)
        self._thread.start()

    def _ask(self, method: str) -> None:
        try:
            self._answers.append(self._stand.request(method, f"/{self._name}"))
        except Exception as error:  # noqa: BLE001 - a test looks at it
            self._answers.append(error)

    def worker(self) -> int:
        """Wait until it runs, and give its worker's process id."""
        held = wait_until(lambda: list(self._folder.glob(f"{self._name}-*")), self._stand.describe)
        return int(held[0].name.rpartition("-")[2])

    def answer(self) -> Answer:
        self._thread.join(20)
        [answer] = self._answers
        assert isinstance(answer, Answer), answer
        return answer


def release(project: Project) -> None:
    (project.folder / "release").touch()


def rewrite(project: Project, old: str, new: str) -> None:
    source = project.folder / "accident.py"
    source.write_text(source.read_text().replace(old, new))


# 1: a module that does not exist


def test_a_module_that_does_not_exist_ends_the_start_with_3_and_a_hint(project: Project) -> None:
    ended = project.run("serve", "acident:app", "--bind", ":0")
    assert ended.code == 3
    assert ended.said == [
        "error[app.no_module]: no module `acident`",
        f"  looked in {project.folder}",
        "  hint: did you mean `accident`?  (accident.py is here)",
    ]


# 2: SIGKILL for one of two workers


def test_a_killed_worker_costs_no_request_that_may_be_repeated(serve: Serve) -> None:
    stand = serve("--threads", "2", "--no-access-log")
    with Load(stand.port, [("GET", "/brief"), ("HEAD", "/brief")], clients=8) as load:
        for kills in (1, 2, 3):
            os.kill(stand.children("worker")[0], signal.SIGKILL)
            wait_for_deaths(stand, kills)
            wait_until(lambda: len(stand.children("worker")) == 2, stand.describe)
            load.wait_for_more(20)
    assert load.failures == []


def wait_for_deaths(stand: Stand, deaths: int) -> None:
    wait_until(lambda: stand.err.text().count("killed by SIGKILL") >= deaths, stand.describe)


def test_a_killed_worker_leaves_waiting_requests_unharmed(serve: Serve, project: Project) -> None:
    stand = serve("--threads", "1")
    running = [Held(stand, project), Held(stand, project)]
    victim, other = (held.worker() for held in running)
    assert victim != other
    waiting = [stand.socket() for _ in range(6)]
    for each in waiting:
        each.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        )
    os.kill(victim, signal.SIGKILL)
    stand.wait_for_text("was killed by SIGKILL")
    release(project)
    for each in waiting:
        with each:
            assert each.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert [held.answer().status for held in running] == [200, 200]


def test_the_client_of_a_killed_worker_gets_an_honest_page_where_a_retry_is_unsafe(
    serve: Serve, project: Project
) -> None:
    stand = serve()
    posted, beside = Held(stand, project, "POST"), Held(stand, project)
    victim = posted.worker()
    beside.worker()
    os.kill(victim, signal.SIGKILL)
    answer = posted.answer()
    release(project)
    assert answer.status == 502
    assert answer.headers["x-request-id"] in answer.text
    assert beside.answer().status == 200


# 3: a syntax error while reloading


@pytest.mark.parametrize("by", ["--reload", "SIGHUP"])
def test_a_syntax_error_keeps_the_old_code_until_it_is_repaired(
    serve: Serve, project: Project, by: str
) -> None:
    stand = serve(
        "--log-format", "text", "--no-access-log", *(["--reload"] if by == "--reload" else [])
    )

    def changed(old: str, new: str) -> None:
        rewrite(project, old, new)
        if by == "SIGHUP":
            stand.signal(signal.SIGHUP)

    with Load(stand.port, [("GET", "/")], clients=2) as load:
        changed("VERSION = 1", "VERSION = 1 +")
        stand.wait_for_text("not loaded, still serving the version of")
        assert "accident.py:9:14\n" in stand.err.text()
        assert " 9 | VERSION = 1 +\n" in stand.err.text()
        assert re.search(r"^ +\| {14}\^$", stand.err.text(), re.MULTILINE)
        load.wait_for_more(10)
        assert set(load.bodies) == {"1"}
        changed("VERSION = 1 +", "VERSION = 2")
        wait_until(lambda: load.bodies[-1] == "2", stand.describe)
        stand.wait_for_text("reloaded in")
        mixed = len(load.bodies)
        load.wait_for_more(20)
    assert load.failures == []
    assert set(load.bodies[mixed + 4 :]) == {"2"}
    assert stand.stop() == 0


# 4: the port is busy


def test_a_busy_port_names_its_owner_and_the_next_step(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = owner.getsockname()[1]
        ended = project.run("serve", "--bind", f"0.0.0.0:{port}", "accident:app")
    assert ended.code == 2
    error, hint = ended.said
    assert error.startswith(f"error[config.port_taken]: `0.0.0.0:{port}` is taken by ")
    assert f"(pid {os.getpid()}: " in error
    assert re.fullmatch(
        r"  hint: trivet serve --bind 0\.0\.0\.0:\d+, or stop the other: kill \d+", hint
    )


# 5: SIGTERM with a request in flight


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_lets_the_request_in_flight_finish(
    serve: Serve, project: Project, number: signal.Signals
) -> None:
    stand = serve(workers=1)
    held = Held(stand, project)
    held.worker()
    stand.signal(number)
    stand.wait_for_text("stopping:")
    release(project)
    assert (held.answer().status, held.answer().text) == (200, "1")
    assert stand.wait() == 0


def test_no_connection_is_taken_while_stopping(serve: Serve, project: Project) -> None:
    stand = serve(workers=1)
    held = Held(stand, project)
    held.worker()
    stand.signal(signal.SIGTERM)
    stand.wait_for_text("stopping:")
    wait_until(lambda: refuses(stand), stand.describe)
    release(project)
    assert held.answer().status == 200
    assert stand.wait() == 0


def refuses(stand: Stand) -> bool:
    try:
        stand.socket().close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_second_signal_ends_it_now(serve: Serve, project: Project) -> None:
    stand = serve(workers=1)
    Held(stand, project).worker()
    stand.signal(signal.SIGTERM)
    stand.wait_for_text("stopping:")
    stand.signal(signal.SIGTERM)
    assert stand.wait() == 128 + signal.SIGTERM


# Other processes of the stand


def test_a_killed_edge_is_replaced_and_serves_again(serve: Serve) -> None:
    stand = serve()
    [edge] = stand.children("edge")
    os.kill(edge, signal.SIGKILL)
    stand.wait_for_text("the edge is back")
    # Connections meanwhile have waited in the listener, which is the supervisor's.
    assert stand.get("/").text == "1"
    assert stand.children("edge") not in ([], [edge])


def test_nothing_outlives_a_killed_supervisor(serve: Serve, project: Project) -> None:
    stand = serve()
    Held(stand, project).worker()
    stand.process.kill()
    # The fixture waits until nothing is left.
    assert stand.wait() == -signal.SIGKILL
