"""A request as somebody types it, for `trivet explain`."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from trivet.config.route import NAME
from trivet.errors import ConfigError
from trivet.wire.routes import Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

_URL: Final = re.compile(r"(?:(?P<scheme>[A-Za-z]+)://)?(?P<host>[^/?#]*)(?P<target>[^#]*)(?:#.*)?")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def asked(url: str, *, method: str, fields: Sequence[str], client: str) -> Asked:
    """Make the request that a client would send.

    Only what no client could send is refused here: the gate judges the rest. As browsers do,
    characters beyond ASCII are percent-encoded, and what stands behind `#` is left out.

    Args:
        url: `https://example.com/path?query`, without scheme or host too.
        method: As it is sent.
        fields: `Field: value` each; `Host` takes the place of that in `url`.
        client: Address of the other end of the connection.

    Raises:
        ConfigError: One of them is not of that form.
    """
    parts = _URL.fullmatch(url)
    scheme = (parts["scheme"] or "http").lower() if parts else ""
    if parts is None or scheme not in {"http", "https"}:
        hint = "write `https://example.com/path` or `/path`"
        raise _bad(f"`{url}` is no URL of HTTP", hint)
    target = url if url == "*" else parts["target"]
    host = "" if url == "*" else parts["host"]
    given = [_field(each) for each in fields]
    if not any(name.lower() == "host" for name, _ in given):
        given.insert(0, ("Host", _encoded(host) or "localhost"))
    if not re.fullmatch(NAME, method):
        raise _bad(f"`{method}` is no method", "methods are words such as `POST`")
    if _CONTROL.search(url):
        raise _bad(f"`{url}` has a control character", "write it percent-encoded: `%0a`")
    if not target.startswith(("/", "*")):
        target = f"/{target}"
    return Asked(
        method=method,
        target=_encoded(target),
        fields=tuple(given),
        secure=scheme == "https",
        peer=_address(client),
    )


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(NAME, name) or _CONTROL.search(value):
        raise _bad(f"`{text}` is no field", "write `Field: value`")
    return name, value.strip(" \t")


def _address(client: str) -> str:
    try:
        return str(ipaddress.ip_address(client))
    except ValueError:
        raise _bad(f"`{client}` is no address", "write `192.0.2.1` or `2001:db8::1`") from None


def _encoded(text: str) -> str:
    return "".join(each if each.isascii() else quote(each) for each in text)


def _bad(message: str, hint: str) -> ConfigError:
    return ConfigError(message, code="usage.bad_argument", hint=hint)
