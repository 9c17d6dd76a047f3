"""Whose word about a request's origin is taken: the elements of `proxy.trusted`."""

from typing import Final

WORDS: Final = ("*", "unix", "private", "loopback")


class Peer(str):
    """An address, a network, or one of the words `*`, `unix`, `private`, `loopback`.

    Raises:
        ValueError: If it is none of them; the message completes "`option` …".
    """

    __slots__ = ()

    def __new__(cls, text: str) -> "Peer":  # noqa: D102, PYI034 - the class tells; 3.10 has no Self
        text = text.strip()
        if text in WORDS:
            return super().__new__(cls, text)
        from ipaddress import ip_address, ip_network  # noqa: PLC0415 - 5 ms that few starts need

        try:
            if "/" not in text:
                return super().__new__(cls, str(ip_address(text)))
            return super().__new__(cls, str(ip_network(text)))
        except ValueError:
            raise ValueError(_complaint(text)) from None


def _complaint(text: str) -> str:
    from ipaddress import ip_network  # noqa: PLC0415 - as above

    try:
        nearest = ip_network(text, strict=False)
    except ValueError:
        return f"has `{text}`, which is neither an address, nor a network, nor one of " + (
            ", ".join(f"`{word}`" for word in WORDS)
        )
    return f"has `{text}`, whose host part is not zero: `{nearest}` is the network"
