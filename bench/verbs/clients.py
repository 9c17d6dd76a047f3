"""Clients that notice how they are treated: answered, refused, reset, or left hanging."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from typing_extensions import Self

HANG_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One request: `kind` is a status, or `refused`, `reset`, `hang`; `body` of a 200 only."""

    kind: str
    body: str
    began: float
    ended: float

    @property
    def is_good(self) -> bool:
        """Whether the app answered."""
        return self.kind == "200"


def ask(port: int, path: str, timeout_seconds: float = HANG_SECONDS) -> Outcome:
    """Make one request on a new connection, and never raise."""
    began = time.monotonic()
    body = ""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_seconds)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read().decode(errors="replace").strip()
        kind = str(response.status)
    except ConnectionRefusedError:
        kind = "refused"
    except TimeoutError:
        kind = "hang"
    except (OSError, http.client.HTTPException):
        kind = "reset"
    finally:
        connection.close()
    return Outcome(kind=kind, body=body, began=began, ended=time.monotonic())


def tally(outcomes: Iterable[Outcome]) -> str:
    """Write how many outcomes of each kind there were, the most frequent first."""
    counts = Counter(outcome.kind for outcome in outcomes)
    return ", ".join(f"{count}x {kind}" for kind, count in counts.most_common()) or "nothing"


class Clients:
    """Some threads that ask for one path again and again in the `with` block."""

    def __init__(self, port: int, path: str, count: int, pause_seconds: float = 0.0) -> None:
        """Prepare; nobody asks yet."""
        self.outcomes: list[Outcome] = []
        self._port = port
        self._path = path
        self._pause_seconds = pause_seconds
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def _run(self) -> None:
        while not self._stop.is_set():
            self.outcomes.append(ask(self._port, self._path))
            if self._pause_seconds:
                self._stop.wait(self._pause_seconds)
            elif not self.outcomes[-1].is_good:
                # A refused client would else spin.
                self._stop.wait(0.01)

    def __enter__(self) -> Self:
        """Start asking."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Let each client finish its last request."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
