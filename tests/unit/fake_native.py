"""Stands in for `trivet._trivet` where the engine's own part is not what is tested.

The link carries lines instead of frames: `GET /path\n` to the worker, the status line back.
"""

import os
import select
import socket
import sys
import types
from collections.abc import Callable
from typing import Any

import trivet

CLAIM_PAGE_BYTES = 8192


def die_with_parent() -> None:
    pass


def init_claim_page(descriptor: int) -> None:
    os.pwrite(descriptor, b"TRVV", 0)


class StreamedContent:
    """No request has content here."""


class WsgiWorker:
    """Thread 0 serves the link; the others wait for the end."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self._stop = os.eventfd(0)
        self._link = socket.socket(fileno=options["link_fd"])
        for name in ("claim_fd", "doorbell_fd"):
            os.fstat(options[name])

    def run(self, index: int, grow: Callable[[], bool]) -> None:
        if not index:
            grow()
        sources: list[Any] = [self._stop] if index else [self._stop, self._link]
        while True:
            ready = select.select(sources, [], [])[0]
            if self._stop in ready:
                return
            line = self._link.recv(4096)
            if not line:
                self.stop()
                return
            method, path = line.decode().split()
            self._link.sendall(self._call(method, path))

    def stop(self) -> None:
        os.eventfd_write(self._stop, 1)

    def abandon(self) -> None:
        """No app here forks."""

    def _call(self, method: str, path: str) -> bytes:
        status: list[str] = []

        def start_response(line: str, _: object, exc_info: object = None) -> Callable[..., None]:
            del exc_info
            status.append(line)
            return lambda _: None

        try:
            app = self.options["app"]
            environ = {**self.options["environ"], "REQUEST_METHOD": method, "PATH_INFO": path}
            body = b"".join(app(environ, start_response))
        except Exception as error:  # noqa: BLE001 - as the native loop
            on_error = self.options["on_error"]
            summary, place, trace = on_error(
                "id-1", method, path, error, "cut" if status else "unsent", None
            )
            assert trace.endswith(f"{summary}\n")
            return f"500 {summary} | {place}\n".encode()
        return status[0].encode() + b" " + body + b"\n"


def install() -> None:
    """Put it where `from trivet import _trivet` finds it."""
    module = types.ModuleType("trivet._trivet")
    module.__dict__.update(
        CLAIM_PAGE_BYTES=CLAIM_PAGE_BYTES,
        die_with_parent=die_with_parent,
        init_claim_page=init_claim_page,
        StreamedContent=StreamedContent,
        VERSION="0.0.0",
        WsgiWorker=WsgiWorker,
    )
    sys.modules["trivet._trivet"] = module
    vars(trivet)["_trivet"] = module
