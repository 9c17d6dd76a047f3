"""Apps of the other interface than the one that is declared, as far as loading cannot tell."""

from collections.abc import Callable
from typing import Any


def of_wsgi(*arguments: Any) -> Any:  # blame: of-wsgi
    """Answer as WSGI does, whatever it is called with."""
    del arguments
    return [b"content"]


async def of_asgi(_: dict[str, Any], start_response: Callable[..., Any]) -> Any:  # blame: of-asgi
    start_response("200 OK", [])
    return [b"content"]
