"""Who a request counts for: `address`, `address/24`, `field:X-Api-Key`, `cookie:NAME`, `route`."""

import re
from typing import Final

_FIELD_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}"
_FORM: Final = re.compile(
    rf"(?:(route)|(address)(?:/([0-9]{{1,2}})(?:/([0-9]{{1,3}}))?)?|(field|cookie):({_FIELD_NAME}))",
    re.ASCII,
)


class LimitKey:
    """What requests are told apart by.

    `address/24/56` counts an IPv4 network of 24 and an IPv6 network of 56 bits as one client; left
    out they are 32 and 64 bits, for a household has a /64 of IPv6 at the least.

    Raises:
        ValueError: If the text has another form; the message completes "`option` …".
    """

    __slots__ = ("kind", "name", "v4_prefix", "v6_prefix")

    kind: str
    name: str
    """Of a field in lower case, or of a cookie."""
    v4_prefix: int
    v6_prefix: int

    def __init__(self, value: "str | LimitKey") -> None:
        found = _FORM.fullmatch(str(value).strip())
        if found is None:
            raise ValueError("must be a key")
        route, address, v4_prefix, v6_prefix, named, name = found.groups()
        self.kind = route or address or named
        self.name = (name or "").lower() if named == "field" else name or ""
        self.v4_prefix = int(v4_prefix or 32)
        self.v6_prefix = int(v6_prefix or 64)
        if self.v4_prefix > 32 or self.v6_prefix > 128:  # noqa: PLR2004 - bits of an address
            raise ValueError("has a prefix that is longer than an address")

    def __str__(self) -> str:
        if self.kind == "address":
            if self.v6_prefix != 64:  # noqa: PLR2004 - as it is left out
                return f"address/{self.v4_prefix}/{self.v6_prefix}"
            return "address" if self.v4_prefix == 32 else f"address/{self.v4_prefix}"  # noqa: PLR2004 - as above
        return f"{self.kind}:{self.name}" if self.name else self.kind

    def __repr__(self) -> str:
        return f"LimitKey({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, LimitKey) else NotImplemented

    def __hash__(self) -> int:
        return hash((LimitKey, str(self)))
