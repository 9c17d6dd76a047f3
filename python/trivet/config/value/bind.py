"""Where to listen, as an operator writes it.

Decides the forms only; whether an address can be listened on is found out by the supervisor.
"""

import re
from pathlib import Path
from typing import Final, Literal

import msgspec

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_SCHEME: Final = re.compile(r"(https?)://(.*?)/*", re.ASCII)
_LARGEST_PORT: Final = 65535


class Bind(msgspec.Struct, frozen=True):
    """One place to listen on.

    Attributes:
        kind: `tcp`, `unix` or `fd`.
        host: Name or address without brackets; empty for all interfaces, IPv4 and IPv6 (tcp);
            `None` where only a port was written: the default host of the place counts.
        port: 0 lets the system choose (tcp).
        path: Of the socket (unix).
        fd: A listening socket that is already open, inherited or from systemd (fd).
    """

    kind: Literal["tcp", "unix", "fd"]
    host: str | None = ""
    port: int = 0
    path: str = ""
    fd: int = -1

    @classmethod
    def parse(cls, text: str) -> "Bind":
        """Read `host:port`, `[::1]:port`, `:port`, `port`, `unix:PATH` or `fd://N`.

        Raises:
            ValueError: If the text has another form; the message completes "`option` …".
        """
        text = text.strip()
        if text.startswith("unix:"):
            return cls._unix(text.removeprefix("unix:"))
        if text.startswith("fd://"):
            return cls._fd(text.removeprefix("fd://"))
        if found := _SCHEME.fullmatch(text):
            raise ValueError(f"takes an address, not a URL: leave out `{found[1]}://`")
        if text.startswith(("/", "./")):
            raise ValueError(f"takes a socket's path as `unix:{text}`")
        if text.isdecimal():
            return cls("tcp", None, port_number(text))
        host, colon, port = text.rpartition(":")
        if not colon:
            raise ValueError(f"needs a port, such as `{text or '127.0.0.1'}:8000`")
        return cls("tcp", _host(host, port), port_number(port))

    @classmethod
    def _unix(cls, path: str) -> "Bind":
        path = path.removeprefix("//") if path.startswith("///") else path
        if not path or path.endswith("/") or "\0" in path:
            raise ValueError("needs the path of a socket behind `unix:`")
        return cls("unix", path=path)

    @classmethod
    def _fd(cls, number: str) -> "Bind":
        if not (number.isascii() and number.isdecimal() and len(number) <= len("1048576")):
            raise ValueError("needs the number of an open descriptor behind `fd://`")
        return cls("fd", fd=int(number))

    def settled(self, default_host: str, base: Path) -> "Bind":
        """Fill in what the text left open: the host of a bare port, the folder of a path."""
        if self.kind == "unix":
            return msgspec.structs.replace(self, path=str(base / self.path))
        if self.host is None:
            return msgspec.structs.replace(self, host=default_host)
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine (or container) can reach it over TCP."""
        return self.kind == "tcp" and (
            self.host in {"localhost", "::1"} or (self.host or "").startswith("127.")
        )

    @property
    def url(self) -> str | None:
        """Where a browser on this machine finds it, `None` for a socket without an address."""
        if self.kind != "tcp":
            return None
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(  # noqa: S104 - compared
            self.host or "", self.host or ""
        )
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.path}"
        if self.kind == "fd":
            return f"fd://{self.fd}"
        if self.host is None:
            return str(self.port)
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def port_number(text: str) -> int:
    """Read a port; 0 is allowed and lets the system choose.

    Raises:
        ValueError: If it is none; the message completes "`option` …".
    """
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= len(str(_LARGEST_PORT))):
        raise ValueError(f"has `{text}` where a port number (1-65535) belongs")
    if int(digits) > _LARGEST_PORT:
        raise ValueError(f"has the port {digits}, but ports end at 65535")
    return int(digits)


def _host(host: str, port: str) -> str:
    if host in {"", "*"}:
        return ""
    if host.startswith("[") and host.endswith("]"):
        return _address_v6(host[1:-1])
    if ":" in host:
        raise ValueError(f"needs brackets around an IPv6 address: `[{host}]:{port}`")
    if not _HOST.fullmatch(host):
        raise ValueError(f"has `{host}` where a host name or address belongs")
    return host


def _address_v6(text: str) -> str:
    from ipaddress import IPv6Address  # noqa: PLC0415 - 5 ms that few starts need

    try:
        return str(IPv6Address(text))
    except ValueError:
        raise ValueError(f"has `{text}`, which is not an IPv6 address") from None
