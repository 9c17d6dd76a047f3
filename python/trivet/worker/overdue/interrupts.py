"""Ending a WSGI request that nobody waits for: looked at first, then interrupted, at most once."""

import threading
from collections.abc import Mapping

from trivet import _trivet
from trivet.errors import ClientDisconnected, RequestInterrupted, RequestTimeout
from trivet.wire.worker_control import Cause, Interrupt, Interrupted
from trivet.worker.overdue import stacks

EXCEPTIONS: Mapping[Cause, type[RequestInterrupted]] = {
    "disconnect": ClientDisconnected,
    "stall": RequestTimeout,
    "timeout": RequestTimeout,
}


def interrupt_thread(loop: _trivet.WsgiWorker, message: Interrupt) -> Interrupted:
    """Interrupt the thread that runs a request."""
    ident = loop.thread_of(message.request)
    stack = stacks.of_thread(ident) if ident is not None else ""
    # Only now, so that the stack is the one that the exception meets. The request may have ended
    # meanwhile; then nothing was raised, and the stack says nothing about it.
    if ident is None or not loop.interrupt(message.request, EXCEPTIONS[message.cause]):
        return Interrupted(request=message.request, found="nothing", stack="", thread=0)
    native = next((each.native_id for each in threading.enumerate() if each.ident == ident), 0)
    return Interrupted(request=message.request, found="thread", stack=stack, thread=native or 0)
