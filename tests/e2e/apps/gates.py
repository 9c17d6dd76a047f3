"""Views that hold their thread until the test lets them go, or end their process."""

import ctypes
import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qs

from tests.e2e.apps.journal import note

PATIENCE_S = 30.0
"""Only a test that has failed leaves a gate shut for so long."""


class Gates:
    """The test's side: files that stand for open gates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> None:
        (self._folder / f"gate-{name}").touch()


def pass_gate(name: str, *, computing: bool = False) -> None:
    note(f"waiting {name} {os.getpid()}")
    end = time.monotonic() + PATIENCE_S
    while not Path(os.environ["FOLDER"], f"gate-{name}").exists():
        if time.monotonic() > end:
            raise TimeoutError(name)
        if computing:
            hashlib.sha1(b"x" * 1000, usedforsecurity=False).digest()
        else:
            time.sleep(0.005)  # slow on purpose


def crash(how: str) -> NoReturn:
    if how == "exit":
        os._exit(7)
    if how == "segfault":
        ctypes.string_at(0)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


_meeting = threading.Barrier(8)


def large(name: str) -> Iterator[bytes]:
    """Yield 64 MiB, more than fits between worker and client, with a gate before and behind."""
    pass_gate(f"before-{name}")
    for _ in range(512):
        yield b"x" * 131_072
    pass_gate(name)
    yield b"the end"


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    query = {key: values[0] for key, values in parse_qs(environ["QUERY_STRING"]).items()}
    view = environ["PATH_INFO"].removeprefix("/streamed").strip("/")
    text = f"{view} by {os.getpid()}"
    note(f"started {environ['REQUEST_METHOD']} {view} {query.get('name', '')}".strip())
    if view in {"gate", "compute"}:
        pass_gate(query["name"], computing=view == "compute")
    elif view == "meet":
        _meeting.wait(PATIENCE_S)
    elif view == "crash" or (view == "crash-once" and is_first(query["name"])):
        crash(query["how"])
    elif view == "echo":
        content = environ["wsgi.input"].read()
        start_response("200 OK", [("X-Tag", environ["HTTP_X_TAG"])])
        half = len(content) // 2
        return [content] if len(content) % 2 else iter([content[:half], content[half:]])
    start_response("200 OK", [("Content-Type", "text/plain")])
    if view == "large":
        return large(query["name"])
    if view == "crash-later":
        return crash_later(query["how"])
    return [text.encode()]


def crash_later(how: str) -> Iterator[bytes]:
    yield b"begun"
    crash(how)


def is_first(name: str) -> bool:
    try:
        Path(os.environ["FOLDER"], f"first-{name}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
