"""`[proxy]`: what is believed of a proxy in front of Trivet."""

from typing import Annotated

from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.peer import Peer


class Proxy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is believed of a proxy in front of Trivet."""

    trusted: Annotated[
        tuple[Peer, ...],
        Option(
            doc="Peers whose `Forwarded` and `X-Forwarded-*` fields are believed: addresses, "
            "networks, `unix`, `loopback`, `private` or `*`.",
            why="Whoever is believed can claim any client address. Behind a Unix socket there "
            "is always a proxy, and the file's mode says which. Loopback, which gunicorn and "
            "uvicorn believe, is left out: tunnels and TCP forwarders (`ssh -R`, socat, "
            "stunnel) bring strangers in from there.",
            flag="--forwarded-allow-ips",
            env="FORWARDED_ALLOW_IPS",
            metavar="PEERS",
            spec="RFC 7239 section 8.1",
            applies="reload",
        ),
    ] = (Peer("unix"),)
