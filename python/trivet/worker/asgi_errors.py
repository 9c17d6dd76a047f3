"""What an ASGI app is told that breaks a rule of the specification, and how its absence is told.

Each text names the message, what is wrong with it, and the section that says so.
"""

from typing import Any


class ClientGoneError(OSError):
    """The client has gone away (ASGI 2.4: `send` raises `OSError`)."""

    def __init__(self) -> None:
        super().__init__("the client has gone away")


def comes_from_a_gone_client(error: BaseException) -> bool:
    """Tell whether it was raised because the client left, by the app or a framework in between."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, ClientGoneError):
            return True
        seen.add(id(current))
        current = current.__cause__ or current.__context__
    return False


def no_message(message: Any) -> Exception:  # noqa: ANN401 - whatever the app has sent
    """Explain that a message is no dictionary, or has no type."""
    if isinstance(message, dict):
        return ValueError("the app sent a message without `type` (ASGI, Events)")
    name = type(message).__name__
    return TypeError(f"the app sent {name}, but a message is a dict (ASGI, Events)")


def missing(kind: str, key: str) -> ValueError:
    """Explain that a message lacks a key that it must have."""
    return ValueError(f"{kind}: `{key}` is missing (ASGI, HTTP)")


def as_bytes(kind: str, body: Any) -> bytes:  # noqa: ANN401 - whatever the app has sent
    """Return the content of a message that is not exactly `bytes`.

    Raises:
        TypeError: It is nothing like a byte string.
    """
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    name = type(body).__name__
    raise TypeError(f"{kind}: `body` must be a byte string, not {name} (ASGI, HTTP)")


def too_long(promised: int) -> RuntimeError:
    """Explain that content goes beyond the `content-length`."""
    return RuntimeError(
        f"the app promised {promised} bytes by content-length and sent more (ASGI, HTTP)"
    )


def too_short(promised: int, sent: int) -> RuntimeError:
    """Explain that content ends short of the `content-length`."""
    return RuntimeError(
        f"the app promised {promised} bytes by content-length and sent {sent} (ASGI, HTTP)"
    )


def out_of_order(kind: Any, *, has_head: bool, has_ended: bool) -> RuntimeError:  # noqa: ANN401 - as above
    """Explain that a message is not due now, or never."""
    if not str(kind).startswith("http.response."):
        state = "it is no message of an HTTP response"
    elif has_ended:
        state = "the response is complete"
    elif has_head:
        state = "the response has been started"
    else:
        state = "`http.response.start` must come first"
    return RuntimeError(f"the app sent `{kind}`, but {state} (ASGI, HTTP)")


def returned_early(*, has_head: bool) -> RuntimeError:
    """Explain that the app is done and its response is not."""
    done = "before its response was complete" if has_head else "without a response"
    return RuntimeError(f"the app returned {done} (ASGI, HTTP)")


def not_awaitable(value: object) -> TypeError:
    """Explain that the app is not asynchronous."""
    name = type(value).__name__
    return TypeError(
        f"the app returned {name}, which cannot be awaited (ASGI, Applications); "
        'a WSGI app needs `interface = "wsgi"`'
    )
