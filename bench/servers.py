"""The servers under test: how each is started, as its own documentation tells a user to.

Everyone gets two worker processes, no access log, loopback. Nothing else is tuned, apart from what
a row's name says. To add a server: one function that gives its commands, one entry in `catalogue`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bench import paths
from bench.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Interface = Literal["wsgi", "asgi"]
Command = list[str]
WSGI: frozenset[Interface] = frozenset({"wsgi"})
ASGI: frozenset[Interface] = frozenset({"asgi"})
TRIVET = "trivet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to serve and where.

    `app` is `module:attribute`, found in `folder`; `scratch` takes sockets, configs and logs.
    """

    app: str
    port: int
    folder: Path
    scratch: Path
    interface: Interface = "wsgi"
    workers: int = 2
    reloads: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One row of the tables.

    `commands` gives one command for each process to start, the application server first.
    `reload_option` is empty for a server that cannot watch files.
    """

    name: str
    package: str
    note: str
    needs: tuple[Path, ...]
    commands: Callable[[Launch], list[Command]]
    interfaces: frozenset[Interface] = WSGI
    reload_option: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def missing(self) -> str | None:
        """Say what is not installed, or None if the server can be started."""
        for need in self.needs:
            if not os.access(need, os.X_OK):
                return f"not present: {need}"
        return None

    def start_commands(self, launch: Launch) -> list[Command]:
        """Give the commands for `launch`, with the reload option if it asks for that."""
        app_server, *rest = self.commands(launch)
        if launch.reloads:
            app_server = [*app_server, *self.reload_option]
        return [app_server, *rest]


def catalogue(trivet: Path = paths.TRIVET, trivet_options: tuple[str, ...] = ()) -> list[Server]:
    """List all servers, Trivet first; `trivet_options` are added to `trivet serve`."""
    nginx = paths.system("nginx")
    return [
        Server(
            name=TRIVET,
            package="trivet",
            note="`trivet serve` " + (" ".join(trivet_options) or "with its defaults"),
            needs=(trivet,),
            commands=lambda launch: [trivet_command(launch, trivet, trivet_options)],
            interfaces=WSGI | ASGI,
            reload_option=("--reload",),
            environment={"VIRTUAL_ENV": str(trivet.parent.parent)},
        ),
        Server(
            name="peregrine",
            package="peregrine-server",
            note="defaults",
            needs=(paths.peer("peregrine"),),
            commands=peregrine,
            interfaces=WSGI | ASGI,
            reload_option=("--reload",),
        ),
        Server(
            name="granian",
            package="granian",
            note="defaults (256 threads in each of two WSGI workers)",
            needs=(paths.peer("granian"),),
            commands=granian,
            interfaces=WSGI | ASGI,
            reload_option=("--reload",),
        ),
        Server(
            name="granian-1-thread",
            package="granian",
            note="`--blocking-threads 1`, as its author's own benchmarks",
            needs=(paths.peer("granian"),),
            commands=lambda launch: [[*granian(launch)[0], "--blocking-threads", "1"]],
        ),
        Server(
            name="gunicorn",
            package="gunicorn",
            note="`-k gthread --threads 4`, facing the clients itself",
            needs=(paths.peer("gunicorn"),),
            commands=lambda launch: [gunicorn(launch, f"{LOOPBACK}:{launch.port}")],
            reload_option=("--reload",),
        ),
        Server(
            name="nginx+gunicorn",
            package="gunicorn",
            note="`-k gthread --threads 4` behind nginx, HTTP keep-alive over a Unix socket",
            needs=(paths.peer("gunicorn"), nginx),
            commands=nginx_gunicorn,
            reload_option=("--reload",),
        ),
        Server(
            name="nginx+uwsgi",
            package="uWSGI",
            note="two processes without threads behind nginx, uwsgi protocol over a Unix socket",
            needs=(paths.peer("uwsgi"), nginx),
            commands=nginx_uwsgi,
            reload_option=("--py-autoreload", "1"),
        ),
        Server(
            name="uvicorn",
            package="uvicorn",
            note="defaults, uvloop and httptools installed",
            needs=(paths.peer("uvicorn"),),
            commands=uvicorn,
            interfaces=ASGI,
            reload_option=("--reload",),
        ),
    ]


def trivet_command(launch: Launch, trivet: Path, options: tuple[str, ...]) -> Command:
    """Start Trivet."""
    return [
        *(str(trivet), "serve", launch.app),
        *("--bind", f"{LOOPBACK}:{launch.port}"),
        *("--workers", str(launch.workers)),
        "--no-access-log",
        *options,
    ]


def peregrine(launch: Launch) -> list[Command]:
    """Start peregrine-server."""
    return [
        [
            *(str(paths.peer("peregrine")), "--host", LOOPBACK, "--port", str(launch.port)),
            *("--workers", str(launch.workers), "--protocol", launch.interface),
            launch.app,
        ]
    ]


def granian(launch: Launch) -> list[Command]:
    """Start granian; the access log is off by default."""
    return [
        [
            *(str(paths.peer("granian")), "--host", LOOPBACK, "--port", str(launch.port)),
            *("--workers", str(launch.workers), "--interface", launch.interface),
            launch.app,
        ]
    ]


def gunicorn(launch: Launch, bind: str) -> Command:
    """Start gunicorn; the control socket is off because all instances would share its path."""
    return [
        *(str(paths.peer("gunicorn")), "--bind", bind, "--workers", str(launch.workers)),
        *("--worker-class", "gthread", "--threads", "4", "--no-control-socket"),
        launch.app,
    ]


def uvicorn(launch: Launch) -> list[Command]:
    """Start uvicorn; its reload mode knows one process only."""
    workers = [] if launch.reloads else ["--workers", str(launch.workers)]
    return [
        [
            *(str(paths.peer("uvicorn")), "--host", LOOPBACK, "--port", str(launch.port)),
            *workers,
            "--no-access-log",
            launch.app,
        ]
    ]


def nginx_gunicorn(launch: Launch) -> list[Command]:
    """Start gunicorn on a Unix socket and nginx before it."""
    socket = launch.scratch / "gunicorn.sock"
    upstream = f"upstream app {{ server unix:{socket}; keepalive 32; }}"
    # The fields are those of gunicorn's deployment page; HTTP/1.1 and an empty Connection field
    # are what nginx needs for upstream keep-alive.
    location = """
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;"""
    return [gunicorn(launch, f"unix:{socket}"), nginx(launch, upstream, location)]


def nginx_uwsgi(launch: Launch) -> list[Command]:
    """Start uWSGI on a Unix socket and nginx before it."""
    socket = launch.scratch / "uwsgi.sock"
    upstream = f"upstream app {{ server unix:{socket}; }}"
    location = """
            uwsgi_pass app;""" + "".join(
        f"\n            uwsgi_param {name} ${value};" for name, value in UWSGI_PARAMS
    )
    module, _, attribute = launch.app.partition(":")
    app_server = [
        *(str(paths.peer("uwsgi")), "--master", "--processes", str(launch.workers)),
        *("--socket", str(socket), "--chmod-socket=666", "--chdir", str(launch.folder)),
        *("--virtualenv", str(paths.PEERS), "--pythonpath", str(launch.folder)),
        *("--module", module, "--callable", attribute),
        # `--die-on-term`: without it TERM reloads. `--listen`: the default of 100 is too short
        # for a burst of connections.
        *("--disable-logging", "--die-on-term", "--listen", "1024"),
    ]
    return [app_server, nginx(launch, upstream, location)]


def nginx(launch: Launch, upstream: str, location: str) -> Command:
    """Write an nginx.conf to the scratch folder and give the command that runs it."""
    config = launch.scratch / "nginx.conf"
    # Root starts nginx's workers as another user, who may not enter our scratch folder.
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        NGINX_CONF.format(
            user=user,
            scratch=launch.scratch,
            workers=launch.workers,
            upstream=upstream,
            bind=f"{LOOPBACK}:{launch.port}",
            location=location,
        )
    )
    return [str(paths.system("nginx")), "-p", str(launch.scratch), "-c", str(config)]


# Debian's nginx.conf, less what these workloads never use, plus what the scratch folder needs.
NGINX_CONF = """
{user}
daemon off;
pid {scratch}/nginx.pid;
error_log stderr error;
worker_processes {workers};
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    default_type application/octet-stream;
    client_max_body_size 0;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    uwsgi_temp_path {scratch}/uwsgi;
    fastcgi_temp_path {scratch}/fastcgi;
    scgi_temp_path {scratch}/scgi;
    {upstream}
    server {{
        listen {bind};
        location / {{{location}
        }}
    }}
}}
"""

# The content of nginx's own `uwsgi_params`, which not every package installs.
UWSGI_PARAMS = [
    ("QUERY_STRING", "query_string"),
    ("REQUEST_METHOD", "request_method"),
    ("CONTENT_TYPE", "content_type"),
    ("CONTENT_LENGTH", "content_length"),
    ("REQUEST_URI", "request_uri"),
    ("PATH_INFO", "document_uri"),
    ("DOCUMENT_ROOT", "document_root"),
    ("SERVER_PROTOCOL", "server_protocol"),
    ("REQUEST_SCHEME", "scheme"),
    ("HTTPS", "https if_not_empty"),
    ("REMOTE_ADDR", "remote_addr"),
    ("REMOTE_PORT", "remote_port"),
    ("SERVER_PORT", "server_port"),
    ("SERVER_NAME", "server_name"),
]
