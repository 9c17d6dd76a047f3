"""Views that do the worst to their process, WSGI and ASGI: the path says what.

FOLDER is where they leave word.
"""

import ctypes
import multiprocessing
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["FOLDER"])
LOCK = threading.Lock()
held: list[Any] = []

signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "LIMIT" in os.environ:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
if "FEW_FILES" in os.environ:
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def ok() -> str:
    return "ok"


def fork() -> str:
    """The child goes on as if it were its parent."""
    child = os.fork()
    if child == 0:
        return "from the child"
    _, status = os.waitpid(child, 0)
    return f"from the parent, child {os.waitstatus_to_exitcode(status)}"


def fork_and_raise() -> str:
    child = os.fork()
    if child == 0:
        raise LookupError("in the child")
    os.waitpid(child, 0)
    return "from the parent"


def fork_and_stay() -> str:
    """Leave a child behind that outlives its parent."""
    child = os.fork()
    if child == 0:
        while not (FOLDER / "release").exists():
            time.sleep(0.01)
        os._exit(0)
    return str(os.getpid())


def process() -> str:
    queue: Any = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=queue.put, args=["its work"])
    child.start()
    child.join()
    return str(queue.get())


def leave() -> str:
    os._exit(7)


def segfault() -> str:
    ctypes.string_at(0)
    return "never"


def allocate() -> str:
    return str(len(bytearray(10 << 30)))


def spin() -> str:
    """Compute in C without ever giving the interpreter lock away."""
    (FOLDER / f"spinning-{os.getpid()}").touch()
    return str(re.match(r"(a+)+$", "a" * 60 + "b"))


def deadlock() -> str:
    LOCK.acquire()
    (FOLDER / "locked").touch()
    LOCK.acquire()
    return "never"


def close_all() -> str:
    os.closerange(3, 1000)
    return "never"


def change_folder() -> str:
    os.chdir("/")
    return "changed"


def handle_sigterm() -> str:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return "ignored"


def shout() -> str:
    for number in range(100):
        sys.stdout.write(f"{number} {'x' * 100_000}\n")
    return "shouted"


def leave_a_thread() -> str:
    threading.Thread(target=threading.Event().wait).start()
    return "left"


def open_all() -> str:
    try:
        while True:
            held.append(Path("/dev/null").open())  # noqa: SIM115 - that is the point
    except OSError:
        return str(len(held))


VIEWS: dict[str, Callable[[], str]] = {
    name: value for name, value in list(globals().items()) if callable(value) and name.islower()
}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    body = VIEWS[environ["PATH_INFO"].strip("/").replace("-", "_")]().encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


Send = Callable[[dict[str, Any]], Awaitable[None]]


async def asgi(scope: dict[str, Any], _: object, send: Send) -> None:
    assert scope["type"] == "http"
    body = VIEWS[scope["path"].strip("/").replace("-", "_")]().encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
