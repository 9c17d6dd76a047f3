"""A stand that a test starts, asks and stops."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit import fake_native
from tests.waiting import DEADLINE_S, wait_until

try:
    from trivet import _trivet  # noqa: F401 - whether it is there is the question
except ImportError:  # unit tests run before the engine is built
    fake_native.install()

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""


class StandProcess:
    """The supervisor as a process of its own, and what it and its edge say."""

    def __init__(self, folder: Path, root: Path, **options: Any) -> None:
        self.folder = folder
        self.log = folder / "edge.log"
        self.orders = folder / "edge.orders"
        self._text: dict[str, str] = {"stdout": "", "stderr": ""}
        defaults = {
            "binds": ["127.0.0.1:0"],
            "folder": str(folder),
            "graceful_s": 10,
            "json": False,
            "subreaper": False,
            "watch": False,
            "workers": 2,
        }
        ways = options.pop("edge", "")
        unread = options.pop("unread", ())
        stderr = options.pop("stderr", subprocess.PIPE)
        environ = {
            **os.environ,
            "FAKE_EDGE": ways,
            "FAKE_EDGE_LOG": str(self.log),
            "FAKE_EDGE_ORDERS": str(self.orders),
            "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        }
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.unit.supervisor.run_stand",
                json.dumps({**defaults, **options}),
            ],
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environ,
            cwd=root,
            start_new_session=True,
        )
        self._threads = [
            threading.Thread(target=self._read, args=(name,), daemon=True)
            for name in self._text
            if name not in unread
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, name: str) -> None:
        stream = getattr(self.process, name)
        for line in stream:
            self._text[name] += line.decode()

    @property
    def stdout(self) -> str:
        return self._text["stdout"]

    @property
    def stderr(self) -> str:
        return self._text["stderr"]

    def messages(self, *types: str) -> list[dict[str, Any]]:
        """Return what the edge was told so far, of these types."""
        if not self.log.exists():
            return []
        entries = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [entry for entry in entries if not types or entry["type"] in types]

    def wait_messages(self, kind: str, count: int) -> list[dict[str, Any]]:
        found = wait_until(
            lambda: self.messages(kind) if len(self.messages(kind)) >= count else None,
            f"{count} x {kind}; stderr:\n{self.stderr}",
        )
        assert found
        return found

    def wait_text(self, pattern: str) -> None:
        """Wait until standard error has a match."""
        try:
            wait_until(lambda: re.search(pattern, self.stderr), pattern)
        except AssertionError as error:
            raise AssertionError(f"{error} in:\n{self.stderr}") from None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def order(self, order: str) -> None:
        self.orders.write_text(order)

    def wait(self) -> int:
        """Return the exit code."""
        code = self.process.wait(DEADLINE_S)
        for thread in self._threads:
            thread.join(DEADLINE_S)
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(DEADLINE_S)
        for name in self._text:
            if stream := getattr(self.process, name):
                stream.close()


Start = Callable[..., StandProcess]


@pytest.fixture
def start_stand(tmp_path: Path, root: Path) -> Iterator[Start]:
    stands: list[StandProcess] = []

    def start(app: str = APP, **options: Any) -> StandProcess:
        (tmp_path / "app.py").write_text(app)
        stand = StandProcess(tmp_path, root, **options)
        stands.append(stand)
        return stand

    yield start
    for stand in stands:
        if stand.process.poll() is None:
            stand.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                stand.process.wait(5)
        stand.kill()
