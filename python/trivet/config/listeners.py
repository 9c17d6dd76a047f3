"""Where to listen, decided from `bind`, `host`, `port` and `PORT` of all sources.

The highest source that says anything about it decides. What it leaves open (a port without a host,
a host without a port) comes from the next source that says it.
"""

from collections.abc import Mapping, Sequence

import msgspec

from trivet.config.loaded import Origin, Raw
from trivet.config.server import DEFAULT_HOST, DEFAULT_PORT
from trivet.config.value.bind import Bind, port_number
from trivet.errors import ConfigError, Notice

EVERYWHERE = "0.0.0.0"  # noqa: S104 - in a container, or where a platform's router must reach it
_FAMILY = ("server.bind", "server.host", "server.port")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What one source says, already converted.

    Attributes:
        raws: As written, by option path.
        is_platform: Whether a hosting platform speaks: its port is on all interfaces.
    """

    bind: tuple[Bind, ...] | None
    host: str | None
    port: int | None
    raws: Mapping[str, Raw]
    is_platform: bool

    @property
    def speaks(self) -> bool:
        """Whether it says anything about where to listen."""
        return self.bind is not None or self.host is not None or self.port is not None

    @property
    def halves(self) -> tuple[str | None, int | None]:
        """Host and port that it offers to a higher source which has only one of them."""
        if self.bind is not None and len(self.bind) == 1 and self.bind[0].kind == "tcp":
            return self.bind[0].host, self.bind[0].port
        return (EVERYWHERE if self.is_platform and self.host is None else self.host), self.port

    @property
    def first(self) -> Raw:
        """The value to point at in messages."""
        return next(self.raws[path] for path in _FAMILY if path in self.raws)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Where to listen, and why there."""

    bind: tuple[Bind, ...]
    origin: Origin
    notices: tuple[Notice, ...] = ()


def decide(sources: Sequence[Source], container: str) -> Decision:
    """Decide where to listen; `sources` from the highest to the lowest.

    Raises:
        ConfigError: If a source says it twice, or `host` is no host.
    """
    speaking = [source for source in sources if source.speaks]
    default_host = EVERYWHERE if container else DEFAULT_HOST
    if not speaking:
        return Decision(
            bind=(Bind("tcp", default_host, DEFAULT_PORT),),
            origin=Origin("default", _default_reason(container)),
        )
    winner = speaking[0]
    if winner.bind is None:
        bind: tuple[Bind, ...] = (_joined(speaking, default_host),)
    elif len(winner.raws) > 1:
        raise _fight(winner)
    elif not winner.bind:
        raw = winner.first
        raise ConfigError(
            f"`{raw.name}` needs one address at least",
            code="config.bad_value",
            place=raw.origin.place,
        )
    else:
        base = winner.first.base
        bind = tuple(each.settled(default_host, base) for each in winner.bind)
    origin = winner.first.origin
    if winner.is_platform:
        origin = Origin(origin.text, "the platform knows where its traffic comes in")
    return Decision(bind=bind, origin=origin, notices=tuple(_notices(bind, speaking, container)))


def _joined(speaking: Sequence[Source], default_host: str) -> Bind:
    hosts, ports = zip(*(source.halves for source in speaking), strict=True)
    host = next((host for host in hosts if host is not None), default_host)
    port = next((port for port in ports if port is not None), DEFAULT_PORT)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    try:
        return Bind.parse(f"{host}:{port_number(str(port))}")
    except ValueError:
        raw = speaking[0].raws.get("server.host", speaking[0].first)
        raise ConfigError(
            f"`{raw.name}` must be a host name or address, not `{raw.value}`",
            code="config.bad_value",
            hint="an address with its port goes to `--bind`",
            place=raw.origin.place,
        ) from None


def _fight(source: Source) -> ConfigError:
    names = [source.raws[path].name for path in _FAMILY if path in source.raws]
    others = " and ".join(f"`{name}`" for name in names[1:])
    return ConfigError(
        f"`{names[0]}` and {others} both say where to listen",
        code="config.conflict",
        hint=f"keep `{names[0]}`, which can say all of it",
        place=source.raws[_FAMILY[0]].origin.place,
    )


def _default_reason(container: str) -> str:
    if container:
        return f"in a container, as {container} shows; its network must reach it"
    return "this machine only; `--bind :8000` opens it to the network"


def _notices(bind: Sequence[Bind], speaking: Sequence[Source], container: str) -> list[Notice]:
    found = []
    winner, *beaten = speaking
    if winner.is_platform and beaten:
        other = beaten[0].first
        message = f"`{winner.first.name}` decides where to listen, not `{other.name}`"
        place = other.origin.place
        found.append(Notice("note", message, "config.platform_port", None, place))
    if container:
        found += [_unreachable(each, winner.first) for each in bind if each.is_loopback]
    return found


def _unreachable(bind: Bind, raw: Raw) -> Notice:
    return Notice(
        "warning",
        f"listening on {bind.host} inside a container: `docker run -p` cannot reach it",
        "config.loopback_in_container",
        f"drop `{raw.name}` (in a container Trivet listens on all interfaces), "
        f"or use `{EVERYWHERE}:{bind.port}`",
        raw.origin.place,
    )
