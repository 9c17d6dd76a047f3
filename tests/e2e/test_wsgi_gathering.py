"""Answers that the worker gathers for one send are never held up by a slow request behind them."""

import threading
from pathlib import Path

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.stand import Answer, Stand
from tests.waiting import wait_until

APP = """
import os, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/blocked":
        while not os.path.exists("go"):
            time.sleep(0.005)  # slow on purpose
    if path == "/computing":
        while not os.path.exists("go"):
            sum(range(200))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
QUICK = 16
ROUNDS = 12


@pytest.mark.parametrize("slow", ["/blocked", "/computing"])
def test_quick_answers_before_a_slow_request_arrive(
    serve: Serve, tmp_path: Path, slow: str
) -> None:
    stand = serve(APP, "--workers", "1")
    go = tmp_path / "app" / "go"
    for _ in range(ROUNDS):
        go.unlink(missing_ok=True)
        quick, held = Crowd(stand, ["/"] * QUICK), Crowd(stand, [slow])
        again = Crowd(stand, ["/"] * QUICK)
        quick.wait()
        # Those that came after it are run by another thread, or wait while it computes.
        go.touch()
        held.wait()
        again.wait()


class Crowd:
    """Clients that ask at the same time, each on a connection of its own."""

    def __init__(self, stand: Stand, targets: list[str]) -> None:
        self._stand = stand
        self._answers: list[Answer] = []
        self._wanted = len(targets)
        for target in targets:
            threading.Thread(target=self._ask, args=(target,), daemon=True).start()

    def wait(self) -> None:
        """Wait until all are answered."""
        wait_until(lambda: len(self._answers) == self._wanted, self._stand.describe)
        assert {each.status for each in self._answers} == {200}

    def _ask(self, target: str) -> None:
        self._answers.append(self._stand.get(target))
