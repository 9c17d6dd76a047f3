"""A request that the app failed on: what the log and the access log are told.

What breaks a rule is often noticed when no code of the app is running: a view has returned, and
what it returned is wrong. Then the app's line is that of what was returned, as far as that knows
it (a generator does), or else that of the app's callable.
"""

import contextlib
import functools
import sys
import traceback
from dataclasses import dataclass
from types import CodeType
from typing import Any, Literal

from trivet.errors import RequestInterrupted
from trivet.worker import traces
from trivet.worker.interface import layers

TRACE_CHARACTERS = 12_000
"""Most of a traceback that an incident keeps; UTF-8 makes at most 48 KB of it, which a frame's
string can carry. The log has all of it."""

Progress = Literal["unsent", "cut", "whole"]
"""How much of the response the client has got: nothing, a part that now ends, or all of it."""

_WHAT: dict[Progress, str] = {
    "unsent": "failed",
    "cut": "broke off after its head",
    "whole": "failed after its response",
}


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """What the log says of the request."""

    request_id: str
    method: str
    path: str
    progress: Progress


def report(
    request: FailedRequest, error: BaseException, source: traceback.FrameSummary | None
) -> tuple[str, str, str]:
    """Log what was raised, as one write, so that no other line gets between.

    Args:
        request: Whose failure it is.
        error: What the app raised, or what is said about the rule that it broke.
        source: The app's line, for an error whose traceback has none.

    Returns:
        The exception in one line, where in the app it was raised, and its traceback, of which
        the middle is left out where it is very long.
    """
    if isinstance(error, RequestInterrupted):  # the supervisor has said so, with the stack
        return traces.summarise(error), "", ""
    # The path is decoded: a line break in it would begin a line of the client's own.
    shown = request.path if request.path.isprintable() else ascii(request.path)[1:-1]
    what = _WHAT[request.progress]
    head = f"{request.method} {shown} {what}, request id {request.request_id}\n"
    trace = traces.format_trimmed(error, source)
    with contextlib.suppress(OSError, ValueError):  # an app may have closed it
        sys.stderr.write(head + trace)
    place = traces.describe_frame(traces.app_frame(error.__traceback__) or source)
    return _printable(traces.summarise(error)), _printable(place), _printable(_shortened(trace))


def _shortened(trace: str) -> str:
    if len(trace) <= TRACE_CHARACTERS:
        return trace
    half = TRACE_CHARACTERS // 2
    return f"{trace[:half]}\n  […]\n{trace[-half:]}"


def _printable(text: str) -> str:
    """Make a text that has a UTF-8 form: an app's own may have lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


def source_of(app: Any, returned: object = None) -> traceback.FrameSummary | None:  # noqa: ANN401 - any app
    """Return the app's line for a rule that was broken while no code of the app ran.

    Args:
        app: The app's callable.
        returned: What it returned, if it did.
    """
    for prefix in ("gi", "cr", "ag"):
        code = getattr(returned, f"{prefix}_code", None)
        if isinstance(code, CodeType) and traces.is_app_file(code.co_filename):
            frame = getattr(returned, f"{prefix}_frame", None)
            return _line(code, frame.f_lineno if frame else code.co_firstlineno)
    codes = (_code_of(layer) for layer in layers(app))
    own = next((code for code in codes if code and traces.is_app_file(code.co_filename)), None)
    return _line(own, own.co_firstlineno) if own else None


def _line(code: CodeType, number: int) -> traceback.FrameSummary:
    return traceback.FrameSummary(code.co_filename, number, code.co_name)


def _code_of(call: Any) -> CodeType | None:  # noqa: ANN401 - any callable
    while isinstance(call, functools.partial):
        call = call.func
    call = getattr(call, "__wrapped__", call)
    for found in (call, getattr(call, "__func__", None), type(call).__call__):
        code = getattr(found, "__code__", None)
        if isinstance(code, CodeType):
            return code
    return None
