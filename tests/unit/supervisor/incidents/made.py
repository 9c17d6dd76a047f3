"""Incidents and requests as the tests need them."""

from typing import Any

from trivet.wire.control import FailedRequest
from trivet.wire.incident import Incident


def request(wanted: str, **more: Any) -> FailedRequest:
    parts: dict[str, Any] = {
        "id": wanted,
        "method": "GET",
        "target": "/",
        "mount": "",
        "route": None,
        "client": "127.0.0.1",
        "attempts": 1,
        "received_unix_us": 1_700_000_000_000_000,
        "handed_out_us": 10,
        "started_us": 20,
        "answered_us": None,
        "failed_us": 500_000,
        "outcome": "answered",
        "status": 500,
    }
    return FailedRequest(**parts | more)


def incident(wanted: str, **more: Any) -> Incident:
    parts: dict[str, Any] = {
        "id": wanted,
        "time": 1_700_000_000.0,
        "kind": "exception",
        "summary": "KeyError: 'a'",
        "place": "app.py:3 in view",
        "stack": "Traceback",
        "process": "worker",
        "app": "",
        "worker": 1,
        "pid": 77,
        "generation": 1,
        "signal": None,
        "exit_code": None,
        "is_out_of_memory": False,
        "memory_before_bytes": None,
        "memory_after_bytes": None,
        "requests": (),
        "more_requests": 0,
    }
    return Incident(**parts | more)
