"""Options that other servers have and Trivet does not, each with what to do instead."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Final

from trivet.errors import ConfigError

ADVICE: Final = {
    "--uds": "use `--bind unix:PATH`",
    "--fd": "use `--bind fd://N`",
    "--socket": "use `--bind ADDRESS`",
    "--http": "use `--bind ADDRESS`",
    "--http-socket": "use `--bind ADDRESS`",
    "--listen": "use `--bind ADDRESS`, or `--backlog N` for uwsgi's meaning",
    "--wsgi-file": "name the file: `trivet serve FILE`",
    "--module": "name the module: `trivet serve MODULE:NAME`",
    "--callable": "name it behind the module: `trivet serve MODULE:NAME`",
    "--app": "name it without an option: `trivet serve MODULE:NAME`",
    "--daemon": "Trivet stays in the foreground: systemd, Docker or `&` hold it",
    "-D": "Trivet stays in the foreground: systemd, Docker or `&` hold it",
    "--daemonize": "Trivet stays in the foreground: systemd, Docker or `&` hold it",
    "--master": "drop it: there is always a supervisor",
    "--enable-threads": "drop it: threads always work",
    "--proxy-headers": "use `--forwarded-allow-ips` to name the proxy",
    "--worker-connections": "use `limits.connections` in trivet.toml",
    "--limit-request-line": "use `limits.request_target` in trivet.toml",
    "--limit-request-fields": "use `limits.request_fields` in trivet.toml",
    "--limit-request-field_size": "use `limits.request_head` in trivet.toml",
    "--access-logformat": "use `--log-format text|json|combined|logfmt`",
    "--error-logfile": "messages go to standard error: redirect it",
    "--no-server-header": 'use `server_field = "off"` in the table [server] of trivet.toml',
    "--log-config": "the app sets up its own logging; `--log-format` is for Trivet's lines",
    "--pid-file": "use `--pidfile FILE`",
    "--lazy-apps": "drop it: that is the default, and `--preload` the other way",
    "--chmod-socket": "use `--umask OCTAL`",
    "--chown-socket": "a Unix socket belongs to `--user` and `--group`",
    "--debug": "use `--reload` while developing",
    "--certfile": "TLS is not there yet: put it in front of Trivet",
    "--keyfile": "TLS is not there yet: put it in front of Trivet",
    "--ssl-certfile": "TLS is not there yet: put it in front of Trivet",
    "--ssl-keyfile": "TLS is not there yet: put it in front of Trivet",
    "--max-requests": "workers are not replaced by count yet",
    "--max-requests-jitter": "workers are not replaced by count yet",
}

IGNORED: Final = ("-k", "--worker-class")
"""Accepted with a note: what it chooses is chosen by the app's interface."""

_ADDRESS: Final = re.compile(
    r"(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|\*|\[?[0-9A-Fa-f]*:[0-9A-Fa-f:]+\]?)(?::\d+)?", re.ASCII
)


def check_collisions(arguments: Sequence[str]) -> None:
    """Answer two habits whose short option means something else here.

    Raises:
        ConfigError: For `-h ADDRESS` (flask's host; here the help) and `-p FILE` (gunicorn's pid
            file; here the port).
    """
    for one, other in itertools.pairwise([*arguments, ""]):
        if one == "--":
            return
        short, value = (one[:2], one[2:] or other) if one[:1] == "-" else ("", "")
        if short == "-h" and _ADDRESS.fullmatch(value):
            raise ConfigError(
                f"`-h` is the help, not the host: `-h {value}`",
                code="usage.foreign_option",
                hint=f"trivet serve --host {value}" if ":" not in value else "use `--bind`",
            )
        if short == "-p" and value and not value.isdecimal():
            raise ConfigError(
                f"`-p` is the port, not a pid file: `-p {value}`",
                code="usage.foreign_option",
                hint=f"for a port: `-p 8000`; for a pid file: `--pidfile {value}`",
            )


def unknown_option(name: str, known: Sequence[str]) -> ConfigError:
    """Say what an option of another server is called here, or which one was meant."""
    from trivet.config.suggestion import nearest

    if name in ADVICE:
        return ConfigError(
            f"no such option `{name}`", code="usage.foreign_option", hint=ADVICE[name]
        )
    meant = nearest(name, known) if name.startswith("--") else None
    hint = f"did you mean `{meant}`?" if meant else "trivet serve --help lists them"
    return ConfigError(f"no such option `{name}`", code="usage.unknown_option", hint=hint)
