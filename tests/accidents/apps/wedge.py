"""An app that wedges its worker in every way that there is, by its path."""

import ctypes
import os
import threading
import time
from pathlib import Path
from typing import Any

NEVER = threading.Lock()
NEVER.acquire()
LIBC_WITH_LOCK = ctypes.PyDLL(None)
"""Calls through it keep the interpreter lock."""


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    path = environ["PATH_INFO"].strip("/")
    name, _, mark = path.partition("/")
    if mark:
        Path(mark).write_text(f"{os.getpid()}\n")
    try:
        answer = WAYS[name](environ)
    finally:
        if mark:
            Path(f"{mark}.over").touch()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(answer).encode()]


def short_sleeps(_: object) -> str:
    """Let the exception in at the end of each."""
    while True:
        time.sleep(0.01)


def long_sleep(_: object) -> str:
    time.sleep(3600)
    return "awake"


def computes(_: object) -> str:
    number = 1
    while True:
        number = number * 3 % 1_000_003


def spins_in_c(_: object) -> str:
    """Hold the interpreter lock and compute: no thread of the process runs Python any more."""
    return str(len(str(pow(7, 40_000_000))))


def sleeps_with_the_lock(_: object) -> str:
    """Hold the interpreter lock and wait."""
    LIBC_WITH_LOCK.sleep(3600)
    return "awake"


def deadlock(_: object) -> str:
    NEVER.acquire()
    return "freed"


def swallows(_: object) -> str:
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:  # noqa: BLE001, S110 - as bad apps do
            pass


def retries(_: object) -> str:
    """Swallow what is an `Exception`, as retry loops do."""
    while True:
        try:
            while True:
                time.sleep(0.01)
        except Exception:  # noqa: BLE001, S110 - as bad apps do
            pass


def held(_: object) -> str:
    while not Path("release").exists():
        time.sleep(0.01)
    return "released"


def deadline(environ: dict[str, Any]) -> str:
    due = environ.get("trivet.deadline")
    return "none" if due is None else f"{due - time.monotonic():.3f}"


def pid(_: object) -> str:
    return str(os.getpid())


WAYS = {
    function.__name__: function
    for function in (
        short_sleeps,
        long_sleep,
        computes,
        spins_in_c,
        sleeps_with_the_lock,
        deadlock,
        swallows,
        retries,
        held,
        deadline,
        pid,
    )
}
