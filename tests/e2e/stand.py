"""A real stand for end-to-end tests: `trivet serve` with its edge and workers, and a raw client."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

from tests.waiting import wait_until

TRIVET = Path(sys.executable).with_name("trivet")


@dataclass
class Answer:
    """A response, read to its end."""

    status: int
    headers: dict[str, str]
    """Names in lower case; several fields of one name are joined by `, `."""
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Stand:
    """A running `trivet serve`."""

    process: "subprocess.Popen[bytes]"
    port: int
    out: "Lines"
    err: "Lines"
    code: int | None = field(default=None)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request on a connection of its own."""
        with contextlib.closing(self.connect()) as connection:
            chunked = body is not None and not isinstance(body, bytes)
            connection.request(
                method, target, body=body, headers=dict(headers or {}), encode_chunked=chunked
            )
            return read_answer(connection.getresponse())

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.request("GET", target, headers=headers)

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=20)

    def socket(self) -> socket.socket:
        """Connect, for bytes of the test's own."""
        connected = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def raw(self, data: bytes) -> bytes:
        """Send bytes, and return all that comes until the edge closes the connection."""
        with self.socket() as connected:
            connected.sendall(data)
            return read_to_end(connected)

    def log(self) -> list[dict[str, Any]]:
        """All JSON lines so far: access log and events."""
        found = []
        for line in self.out.lines() + self.err.lines():
            with contextlib.suppress(ValueError):
                parsed = json.loads(line)
                if isinstance(parsed, dict):
                    found.append(parsed)
        return found

    def requests(self) -> list[dict[str, Any]]:
        """The access log's lines so far."""
        return [line for line in self.log() if line.get("event") == "request"]

    def wait_for_request(self, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for an access log line."""
        return wait_until(
            lambda: next((line for line in self.requests() if matches(line)), None),
            lambda: f"no such request in the log:\n{self.describe()}",
        )

    def wait_for_text(self, text: str) -> None:
        """Wait until standard output or standard error holds `text`."""
        wait_until(
            lambda: text in self.out.text() or text in self.err.text(),
            lambda: f"{text!r} never came:\n{self.describe()}",
        )

    def describe(self) -> str:
        return f"--- stdout\n{self.out.text()}\n--- stderr\n{self.err.text()}"

    def children(self, kind: str) -> list[int]:
        """Process ids of the stand's `edge` or `worker` processes."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_bytes().split(b"\0")
                if parent == self.process.pid and kind.encode() in command:
                    found.append(int(entry.name))
        return sorted(found)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 30) -> int:
        """Wait for the end, and return the exit code."""
        self.code = self.process.wait(timeout_s)
        self.out.join()
        self.err.join()
        return self.code

    def stop(self) -> int:
        """Stop gracefully, and return the exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it, whatever state it is in."""
        if self.process.poll() is None:
            self.process.kill()
        self.wait()


class Lines:
    """What a process writes, collected by a thread so that it never blocks."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._data = bytearray()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        with self._pipe:
            while piece := self._pipe.read1(65536):
                self._data += piece

    def text(self) -> str:
        return bytes(self._data).decode(errors="replace")

    def lines(self) -> list[str]:
        """Whole lines only."""
        return self.text().split("\n")[:-1]

    def join(self) -> None:
        self._thread.join(10)


def read_answer(response: HTTPResponse) -> Answer:
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return Answer(response.status, headers, response.read())


def read_to_end(connected: socket.socket) -> bytes:
    """Read until the other side closes; a reset ends the data like a close."""
    data = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := connected.recv(65536):
            data += piece
    return bytes(data)


def start(  # noqa: PLR0913 - one per way to start it
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    bind: bool = True,
    ready: bool = True,
    prefix: Sequence[str] = (),
    command: Sequence[str] = (str(TRIVET),),
    verb: str = "serve",
) -> Stand:
    """Start `trivet serve ARGUMENTS`, or another `verb`, in `cwd`, on a port of its own.

    The listening socket is made here and handed over (`fd://N`), so that no other process can
    take the port in between. With `ready`, wait until the stand serves. `prefix` is a program
    that runs it, such as `unshare`, and `command` what is `trivet`.
    """
    environment = clean_environment(env)
    command = [*prefix, *command, verb, *arguments]
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        port = listener.getsockname()[1]
        if bind:
            command += ["--bind", f"fd://{listener.fileno()}"]
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            pass_fds=[listener.fileno()] if bind else [],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    stand = Stand(process, port, Lines(process.stdout), Lines(process.stderr))
    if ready:
        try:
            wait_until(
                lambda: "ready in" in stand.err.text() or process.poll() is not None,
                lambda: f"never ready:\n{stand.describe()}",
            )
            assert process.poll() is None, stand.describe()
        except BaseException:
            stand.kill()
            raise
    return stand


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment of the tests without what would configure a stand, and add `more`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TRIVET_", "FLASK_", "DJANGO_"))
        and name not in {"PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "NOTIFY_SOCKET"}
    }
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", **(more or {})}
