"""The app of the accidents: says which version and which process it is, and can take its time."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

VERSION = 1


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/brief":
        time.sleep(0.02)
    if path.startswith("/held"):
        wait_for_release(path)
    body = str(os.getpid() if path == "/pid" else VERSION).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def wait_for_release(path: str) -> None:
    """Say who is held in a file `held-…`, and go on when a file `release` is there."""
    Path(f"{path[1:]}-{os.getpid()}").touch()
    while not Path("release").exists():
        time.sleep(0.01)
