"""The workloads: which app, which request, and which answer is the right one."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import paths
from bench.ports import LOOPBACK
from bench.wrk import Load

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.servers import Interface

MEBIBYTE = 1024 * 1024
CHECK_SECONDS = 20.0


class WrongAnswerError(Exception):
    """A server answered, but not what the app says: its figures would mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One table of the report.

    `is_right` judges the body of one request made before measuring. `slow_clients` is how many
    clients trickle their request heads in beside wrk; 0 for an ordinary workload.
    """

    name: str
    title: str
    app: str
    is_right: Callable[[bytes], bool]
    path: str = "/"
    body: bytes | None = None
    load: Load = field(default_factory=Load)
    interface: Interface = "wsgi"
    slow_clients: int = 0
    is_default: bool = True

    def check(self, port: int) -> None:
        """Make the workload's request once.

        Raises:
            WrongAnswerError: if the status is not 200 or the body is not the app's.
        """
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=CHECK_SECONDS)
        try:
            connection.request("POST" if self.body else "GET", self.path, body=self.body)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise WrongAnswerError(f"no answer: {error!r}") from error
        finally:
            connection.close()
        if response.status != http.client.OK or not self.is_right(body):
            raise WrongAnswerError(f"status {response.status}, {len(body)} bytes: {body[:80]!r}")


def is_hello(body: bytes) -> bool:
    """Tell whether `body` is the hello of all apps."""
    return body == b"Hello, world!\n"


WORKLOADS = [
    Workload(name="bare", title="Bare WSGI hello", app="bare:hello", is_right=is_hello),
    Workload(name="flask", title="Flask hello", app="flask_app:app", is_right=is_hello),
    Workload(
        name="template",
        title="Flask with a Jinja template of 20 rows",
        app="flask_app:app",
        path="/page/June",
        is_right=lambda body: b"<h1>Prices for June</h1>" in body and body.count(b"<tr ") == 20,
    ),
    Workload(
        name="upload-1mib",
        title="Upload of 1 MiB, read by the app",
        app="bare:upload",
        body=b"x" * MEBIBYTE,
        is_right=lambda body: body == b"1048576\n",
        load=Load(script=paths.APPS / "upload.lua"),
    ),
    Workload(
        name="download-10mb",
        title="Response of 10 MB from the app's memory",
        app="bare:large",
        is_right=lambda body: body == b"0123456789" * 1_000_000,
    ),
    Workload(
        name="slow",
        title="Flask hello beside 64 slow clients",
        app="flask_app:app",
        is_right=is_hello,
        slow_clients=64,
    ),
    # Not run unless named: ASGI comes after WSGI.
    Workload(
        name="asgi",
        title="Bare ASGI hello",
        app="asgi_bare:hello",
        is_right=is_hello,
        interface="asgi",
        is_default=False,
    ),
    Workload(
        name="websocket",
        title="Echo over 1,000 WebSockets, each waiting for its answer",
        app="asgi_bare:echo",
        is_right=is_hello,
        interface="asgi",
        load=Load(connections=1000, is_websocket=True),
        is_default=False,
    ),
]
