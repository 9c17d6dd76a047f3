"""`[server]`: where to listen, and how many processes and threads answer."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Struct

from trivet.config.option import Option
from trivet.config.value.bind import Bind
from trivet.config.value.duration import Duration
from trivet.config.value.size import Size
from trivet.config.value.umask import Umask

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to listen, and how many processes and threads answer."""

    bind: Annotated[
        tuple[Bind, ...],
        Option(
            doc="Where to listen: `host:port`, `[::1]:port`, `:port` (all interfaces), `port`, "
            "`unix:PATH` or `fd://N`; several make several listeners.",
            why="An app that is still being written should not be open to the network: "
            "127.0.0.1. In a container the network is what the container is for: 0.0.0.0.",
            flag="--bind",
            short="-b",
            metavar="ADDRESS",
            auto="`127.0.0.1:8000`; in a container `0.0.0.0:8000`",
            takes_auto=False,
        ),
    ] = (Bind("tcp", DEFAULT_HOST, DEFAULT_PORT),)

    host: Annotated[
        str | None,
        Option(
            doc="Host of the only listener; short for `bind`, which it cannot stand beside.",
            why="uvicorn, granian and `flask run` have it.",
            flag="--host",
            metavar="HOST",
        ),
    ] = None

    port: Annotated[
        int | None,
        Option(
            doc="Port of the only listener, 0 for any free one; short for `bind`, "
            "which it cannot stand beside.",
            why="uvicorn, granian and `flask run` have it, and platforms tell it as `PORT`: "
            "that beats the file and listens on all interfaces, since the platform knows "
            "where its traffic comes in and the file cannot.",
            flag="--port",
            short="-p",
            env="PORT",
            metavar="PORT",
            minimum=0,
            maximum=65_535,
            form="a port number (1-65535)",
        ),
    ] = None

    workers: Annotated[
        int,
        Option(
            doc="Worker processes that run the app.",
            why="One Python process uses one CPU; more processes than CPUs only cost memory.",
            flag="--workers",
            short="-w",
            aliases=("--processes",),
            env="WEB_CONCURRENCY",
            metavar="N|auto",
            minimum=1,
            maximum=1024,
            auto="one per CPU that this process may use (affinity and cgroup quota)",
            in_app="workers",
            applies="reload",
        ),
    ] = 1

    max_workers: Annotated[
        int | None,
        Option(
            doc="Worker processes at the most: above `workers`, Trivet adds one while requests "
            "wait though CPUs are idle, and takes it away when there is little to do.",
            why="Left out, the number stays as it is: more processes than CPUs help only an app "
            "that waits for others, and cost memory.",
            flag="--max-workers",
            metavar="N",
            minimum=1,
            maximum=1024,
            in_app="max_workers",
            applies="reload",
        ),
    ] = None

    max_requests: Annotated[
        int | None,
        Option(
            doc="Requests after which a worker is recycled: another one takes its place first, "
            "and it ends when its last request has.",
            why="For apps that leak. Not set: an app that does not leak is best left alone.",
            flag="--max-requests",
            aliases=("--limit-max-requests",),
            metavar="N",
            minimum=1,
            maximum=1_000_000_000,
            in_app="max_requests",
            applies="reload",
        ),
    ] = None

    max_requests_jitter: Annotated[
        int,
        Option(
            doc="At most so many requests more, drawn for each worker.",
            why="Workers that were started together should not be recycled together.",
            flag="--max-requests-jitter",
            aliases=("--limit-max-requests-jitter",),
            metavar="N",
            minimum=0,
            maximum=1_000_000_000,
            in_app="max_requests_jitter",
            applies="reload",
        ),
    ] = 0

    max_memory: Annotated[
        Size | None,
        Option(
            doc="Memory at which a worker is recycled.",
            why="For apps that leak: a worker that ends in good order is better than one that the "
            "kernel kills.",
            flag="--max-memory",
            metavar="SIZE",
            minimum="16m",
            in_app="max_memory",
            applies="reload",
        ),
    ] = None

    max_age: Annotated[
        Duration | None,
        Option(
            doc="Time after which a worker is recycled, up to a tenth longer.",
            why="For apps that go stale, or leak something that nobody counts.",
            flag="--max-age",
            aliases=("--workers-lifetime",),
            metavar="DURATION",
            minimum="1s",
            maximum="49d",
            in_app="max_age",
            applies="reload",
        ),
    ] = None

    threads: Annotated[
        int,
        Option(
            doc="Requests that one worker may run at once (WSGI).",
            why="A ceiling, not a target: a thread is made only when a request has held the others "
            "for about a millisecond without computing, so an app that computes stays on one. "
            "Forty, as Starlette's pool has, let as many requests wait for a database.",
            flag="--threads",
            aliases=("--blocking-threads",),
            metavar="N",
            minimum=1,
            maximum=128,
            in_app="threads",
            applies="reload",
        ),
    ] = 40

    preload: Annotated[
        bool,
        Option(
            doc="Whether the app is imported once, by a process that workers are then forked from.",
            why="Workers share the memory of what was imported, and start in milliseconds. What "
            "the import opens (threads, connections, event loops) does not survive a fork, so "
            "it is for apps that open nothing then: off.",
            flag="--preload",
            off="--no-preload",
            in_app="preload",
            applies="reload",
        ),
    ] = False

    window: Annotated[
        int,
        Option(
            doc="Requests that one worker may hold, with the running one; 0 measures.",
            why="Measuring keeps the wait behind a running request near a millisecond; a fixed "
            "number is for experiments.",
            minimum=0,
            maximum=64,
            in_app="window",
            applies="reload",
        ),
    ] = 0

    edge_threads: Annotated[
        int,
        Option(
            doc="Threads of the edge.",
            why="The edge is a small part of the work: on few CPUs a second thread would take "
            "more from the workers than it gives.",
            metavar="N|auto",
            minimum=1,
            maximum=64,
            auto="1 up to 4 CPUs, then a quarter of them, at most 4",
        ),
    ] = 1

    graceful_timeout: Annotated[
        Duration,
        Option(
            doc="How long requests in flight may run on when Trivet stops or reloads.",
            why="gunicorn's default, and what Kubernetes allows before it kills.",
            flag="--graceful-timeout",
            aliases=("--timeout-graceful-shutdown", "--workers-kill-timeout"),
            metavar="DURATION",
            maximum="1d",
            in_app="graceful_timeout",
            applies="reload",
        ),
    ] = Duration("30s")

    load_timeout: Annotated[
        Duration,
        Option(
            doc="How long a worker may take to load the app.",
            why="An import that waits for a server that is not there would wait for ever; apps "
            "that load a model need a minute and more.",
            metavar="DURATION",
            minimum="1s",
            maximum="1d",
            in_app="load_timeout",
            applies="reload",
        ),
    ] = Duration("2m")

    root_path: Annotated[
        str,
        Option(
            doc="Path prefix below which clients find the app (`SCRIPT_NAME`, `root_path`).",
            why="A proxy in front may give the app a part of its paths; links must carry it.",
            flag="--root-path",
            aliases=("--url-path-prefix",),
            metavar="PREFIX",
            pattern=r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)*",
            form="a path such as `/shop`, without a slash at its end",
            in_app="path",
            applies="reload",
        ),
    ] = ""

    server_field: Annotated[
        str | None,
        Option(
            doc="Value of the `Server` field in answers; `off` for none.",
            why="The name without a version helps people and tells an attacker nothing new.",
            metavar="TEXT|off",
            none="off",
            pattern=r"[!-~](?:[ -~]*[!-~])?",
            form="visible ASCII text",
            spec="RFC 9110 section 10.2.4",
            applies="reload",
        ),
    ] = "Trivet"

    underscores: Annotated[
        Literal["drop", "refuse", "allow"],
        Option(
            doc="What becomes of request fields with an underscore in their name: "
            "left out, refused with 400, or passed on.",
            why="`X_Real_IP` and `X-Real-IP` are one name to WSGI, so a client could forge what "
            "a proxy sets; nginx and gunicorn drop them too.",
            applies="reload",
        ),
    ] = "drop"

    backlog: Annotated[
        int,
        Option(
            doc="Connections that the kernel keeps until the edge accepts them.",
            why="The edge accepts at once; this bridges a restart. Linux cuts it to "
            "`net.core.somaxconn`, 4096 by default since 5.4.",
            flag="--backlog",
            metavar="N",
            minimum=1,
            maximum=65_535,
        ),
    ] = 4096

    user: Annotated[
        str | None,
        Option(
            doc="User that edge and workers run as, by name or number, with that user's groups.",
            why="Started as root for a port below 1024, an app should not stay root. The "
            "supervisor does: it opens the sockets and runs no code of the app.",
            flag="--user",
            aliases=("--uid",),
            metavar="USER",
            in_app="user",
        ),
    ] = None

    group: Annotated[
        str | None,
        Option(
            doc="Group that edge and workers run as, by name or number; left out, the user's own.",
            why="gunicorn and uWSGI have it: files may belong to a group of several users.",
            flag="--group",
            aliases=("--gid",),
            metavar="GROUP",
            in_app="group",
        ),
    ] = None

    umask: Annotated[
        Umask | None,
        Option(
            doc="Bits that files made by any process of the stand do not get, in octal: `027`.",
            why="Left out, it stays as it was where Trivet was started.",
            flag="--umask",
            metavar="OCTAL",
        ),
    ] = None

    pidfile: Annotated[
        Path | None,
        Option(
            doc="File that the supervisor's process id is written to once its sockets are open, "
            "and that is removed at the end.",
            why="For scripts that send signals; systemd and Docker know the process without one.",
            flag="--pidfile",
            aliases=("--pid",),
            metavar="FILE",
        ),
    ] = None
