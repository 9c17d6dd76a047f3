"""Clients that ask without a pause while something happens to the stand."""

import threading
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import TYPE_CHECKING

from tests.waiting import wait_until

if TYPE_CHECKING:
    from typing_extensions import Self

ASKED_ON_ONE_CONNECTION = 20
"""So that new connections are made all the time, too."""


class Load:
    """So many clients between `with` and its end, each with requests of its own in turn."""

    def __init__(self, port: int, requests: Sequence[tuple[str, str]], clients: int = 4) -> None:
        self._port = port
        self._requests = requests
        self._is_over = threading.Event()
        self._outcomes: list[tuple[int, str]] = []
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]

    def __enter__(self) -> "Self":
        for thread in self._threads:
            thread.start()
        self.wait_for_more(len(self._threads))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(20)

    @property
    def bodies(self) -> list[str]:
        """What the good answers said, in their order."""
        return [body for status, body in list(self._outcomes) if status == 200]

    @property
    def failures(self) -> list[tuple[int, str]]:
        """Status and text of every request that was not answered with 200; 0 for no answer."""
        return [outcome for outcome in list(self._outcomes) if outcome[0] != 200]

    def wait_for_more(self, requests: int) -> None:
        """Wait until so many more requests have ended."""
        wanted = len(self._outcomes) + requests
        wait_until(lambda: len(self._outcomes) >= wanted, lambda: f"{self._outcomes[-5:]}")

    def _ask(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=20)
        number = 0
        while not self._is_over.is_set():
            method, target = self._requests[number % len(self._requests)]
            number += 1
            try:
                connection.request(method, target)
                answer = connection.getresponse()
                self._outcomes.append((answer.status, answer.read().decode()))
            except (OSError, HTTPException) as error:
                self._outcomes.append((0, repr(error)))
                connection.close()
            if number % ASKED_ON_ONE_CONNECTION == 0:
                connection.close()
        connection.close()
