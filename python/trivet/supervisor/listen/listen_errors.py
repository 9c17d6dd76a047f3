"""Why a listener could not be opened, and what to type instead."""

import errno
import os
import pwd
import socket

from trivet.config import Bind
from trivet.errors import ConfigError
from trivet.supervisor.listen.port_owner import Owner, find_path_owner, find_port_owner

_LARGEST_PORT = 65535
_PORTS_TRIED = 100
_USUAL_PORT = 8000
_UNIX_PATH_BYTES = 107


def of_tcp(bind: Bind, error: OSError) -> ConfigError:
    """Explain why an address cannot be listened on."""
    if error.errno == errno.EADDRINUSE:
        return _taken(bind)
    if error.errno in (errno.EACCES, errno.EPERM):
        return _forbidden(bind)
    if error.errno == errno.EAFNOSUPPORT:
        return _bad_address(f"cannot listen on `{bind}`: this machine has no IPv6")
    if error.errno == errno.EADDRNOTAVAIL:
        hint = f"to listen on all its addresses: trivet serve --bind :{bind.port}"
        return _bad_address(f"cannot listen on `{bind}`: no address of this machine", hint)
    return _bad_address(f"cannot listen on `{bind}`: {os.strerror(error.errno or 0).lower()}")


def of_name(bind: Bind, error: OSError) -> ConfigError:
    """Explain why a host name cannot be listened on."""
    reason = (error.strerror or str(error)).lower()
    return _bad_address(
        f"cannot listen on `{bind}`: the name `{bind.host}` has no address ({reason})",
        f"use an address of this machine: trivet serve --bind 127.0.0.1:{bind.port}",
    )


def of_unix(bind: Bind, error: OSError) -> ConfigError:
    """Explain why a socket file cannot be made."""
    folder = os.path.dirname(bind.path) or "."
    if len(os.fsencode(bind.path)) > _UNIX_PATH_BYTES:
        text = f"the path is longer than the {_UNIX_PATH_BYTES} bytes that a socket may have"
        return _bad_socket(bind, text, "choose a shorter one, such as unix:/run/trivet.sock")
    if error.errno == errno.ENOENT:
        return _bad_socket(bind, f"there is no folder `{folder}`", f"mkdir -p {folder}")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = f"choose a folder that user `{_user()}` may write to"
        return _bad_socket(bind, f"`{folder}` cannot be written to", hint)
    return _bad_socket(bind, (error.strerror or str(error)).lower())


def not_a_socket(bind: Bind) -> ConfigError:
    """Explain that a file is in the way, which is never removed."""
    return _bad_socket(bind, "a file that is not a socket is there", "choose another path")


def path_taken(bind: Bind) -> ConfigError:
    """Explain that somebody answers on the socket."""
    owner = find_path_owner(bind.path)
    by = owner.describe() if owner else "another process"
    hint = f"choose another path{_or_stop(owner)}"
    return ConfigError(f"`{bind}` is taken by {by}", code="config.socket_taken", hint=hint)


def of_descriptor(bind: Bind, text: str) -> ConfigError:
    """Explain why an inherited descriptor is of no use."""
    return ConfigError(
        f"descriptor {bind.fd} {text} (`{bind}`)",
        code="config.bad_descriptor",
        hint="whoever starts Trivet has to pass a listening socket under this number",
    )


def _taken(bind: Bind) -> ConfigError:
    owner = find_port_owner(bind.port)
    by = owner.describe() if owner else "a process of another user"
    free = next_free_port(bind)
    use = f"trivet serve --bind {_with_port(bind, free)}" if free else "choose another port"
    hint = f"{use}{_or_stop(owner)}"
    return ConfigError(f"`{bind}` is taken by {by}", code="config.port_taken", hint=hint)


def _forbidden(bind: Bind) -> ConfigError:
    usual = _with_port(bind, next_free_port(bind, _USUAL_PORT) or _USUAL_PORT)
    sysctl = f"net.ipv4.ip_unprivileged_port_start={bind.port}"
    choices = [
        f"trivet serve --bind {usual}",
        f"or let everybody open it: sudo sysctl -w {sysctl}",
        f"or have systemd open it: a socket unit with ListenStream={bind.port}",
    ]
    text = f"port {bind.port} needs a privilege that user `{_user()}` does not have"
    return ConfigError(text, code="config.port_forbidden", hint="\n".join(choices))


def _bad_address(text: str, hint: str | None = None) -> ConfigError:
    return ConfigError(text, code="config.bad_address", hint=hint)


def _bad_socket(bind: Bind, text: str, hint: str | None = None) -> ConfigError:
    return ConfigError(f"cannot listen on `{bind}`: {text}", code="config.bad_socket", hint=hint)


def _or_stop(owner: Owner | None) -> str:
    return f", or stop the other: kill {owner.pid}" if owner else ""


def next_free_port(bind: Bind, first: int | None = None) -> int | None:
    """Return the first port from there on that nobody listens on, if one is near."""
    start = bind.port + 1 if first is None else first
    for port in range(start, min(start + _PORTS_TRIED, _LARGEST_PORT + 1)):
        if _is_free(bind.host or "", port):
            return port
    return None


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)  # two may share an address as long as neither listens
        except OSError:
            return False
        return True


def _with_port(bind: Bind, port: int) -> Bind:
    return Bind("tcp", bind.host, port)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container may run under a number without a name
        return str(os.geteuid())
