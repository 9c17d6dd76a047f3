"""Static files: Trivet's edge against nginx, one thread each, in the same minutes."""

from __future__ import annotations

import os
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import paths, wrk
from bench.ports import LOOPBACK
from bench.running import Running, StartError
from bench.section import Section
from bench.servers import TRIVET, Command, Launch, Server
from bench.summary import spread
from bench.table import NOTHING, Table
from bench.wrk import Load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NGINX = "nginx"
MANY = 10_000
GIBIBYTE = 1024**3
HEADS = ["file", "Trivet /s", "nginx /s", "Trivet ÷ nginx", "least", "greatest", "edge RSS MiB"]
OLD = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """One row: which file, by how many connections, and what the Lua script changes.

    Of large files few are done within a turn, so `counts_mebibytes` counts what has come of them.
    """

    name: str
    path: str
    connections: int = 32
    script: str = ""
    counts_mebibytes: bool = False


CASES = [
    Case("1 KiB", "/s/1k.bin"),
    Case("100 KiB", "/s/100k.bin"),
    Case("10 MiB, in MiB", "/s/10m.bin", connections=8, counts_mebibytes=True),
    Case("1 GiB, in MiB", "/s/1g.bin", connections=2, counts_mebibytes=True),
    Case("1 KiB, 304", "/s/1k.bin", script='wrk.headers["If-None-Match"] = "{etag}"'),
    Case(
        f"{MANY:,} files of 1 KiB",
        "/s/many/0.bin",
        script="request = function() return wrk.format('GET', '/s/many/' .. "
        f"math.random(0, {MANY - 1}) .. '.bin') end",
    ),
]


def static(ours: Path, rounds: int, seconds: int, tell: Callable[[str], None]) -> Section:
    """Measure each case with both servers in each round, one after the other.

    `ours` is the trivet executable.
    """
    servers = [
        Server(
            name=TRIVET,
            package="",
            note="",
            needs=(ours,),
            commands=lambda launch: trivet(ours, launch),
        )
    ]
    nginx_path = paths.system("nginx")
    servers.append(Server(name=NGINX, package="", note="", needs=(nginx_path,), commands=nginx))
    rates: dict[str, dict[str, list[float]]] = {
        case.name: {server.name: [] for server in servers} for case in CASES
    }
    memory: dict[str, float] = {}
    for number in range(rounds):
        for server in servers:
            tell(f"  round {number + 1}: {server.name}")
            try:
                with Running(server, "bare:hello", workers=1) as running:
                    running.wait_ready()
                    for case in CASES:
                        rate = one_turn(running, case, seconds)
                        rates[case.name][server.name].append(rate)
                        if server.name == TRIVET:
                            memory[case.name] = edge_mebibytes(running)
            except StartError as error:
                tell(f"    did not start: {error}")
    return Section(
        name="static",
        title="Static files",
        command="python -m bench static",
        notes=[
            "One thread each, no access log: nginx with `open_file_cache`, Trivet by default.",
            f"Median of {rounds} rounds of {seconds} s, ratios taken within a round.",
        ],
        table=Table(HEADS, [row(case, rates[case.name], memory) for case in CASES]),
        raw=rates,
    )


def one_turn(running: Running, case: Case, seconds: int) -> float:
    """Warm up, then measure; requests or MiB per second."""
    script = None
    if case.script:
        script = running.scratch / "case.lua"
        script.write_text(case.script.replace("{etag}", etag_of(running.port, case.path)))
    load = Load(connections=case.connections, script=script)
    url = f"http://{LOOPBACK}:{running.port}{case.path}"
    wrk.run(url, load, 1)
    found = wrk.run(url, load, seconds)
    if found.bad_statuses or found.socket_errors:
        raise StartError(f"{case.name}: {found.bad_statuses} wrong answers")
    return found.bytes_per_second / 2**20 if case.counts_mebibytes else found.rate


def etag_of(port: int, path: str) -> str:
    """Ask for a file's entity tag, written as a Lua text holds it."""
    import http.client  # noqa: PLC0415 - for one case only

    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    connection.request("HEAD", path)
    etag = connection.getresponse().getheader("ETag") or ""
    connection.close()
    return etag.replace('"', '\\"')


def edge_mebibytes(running: Running) -> float:
    """Give the memory of the edge that is its own: pages of files do not count."""
    for process in running.tree():
        if " edge" in process.command:
            with open(f"/proc/{process.pid}/status") as status:  # noqa: PTH123 - a line of /proc
                found = re.search(r"RssAnon:\s+(\d+)", status.read())
            return int(found[1]) / 1024 if found else 0.0
    return 0.0


def row(case: Case, rates: dict[str, list[float]], memory: dict[str, float]) -> list[str]:
    """Give a case's medians, and the ratio within the rounds."""
    ours, theirs = rates[TRIVET], rates[NGINX]
    ratio = spread(a / b for a, b in zip(ours, theirs, strict=False))
    medians = [spread(found) for found in (ours, theirs)]
    shown = [f"{each.median:,.0f}" if each else NOTHING for each in medians]
    ratios = (
        [f"{value:.2f}" for value in (ratio.median, ratio.least, ratio.greatest)]
        if ratio
        else [NOTHING] * 3
    )
    return [case.name, *shown, *ratios, f"{memory.get(case.name, 0):.0f}"]


def make_files(folder: Path) -> None:
    """Write the files once per start; the large one is sparse."""
    noise = random.Random(7)
    (folder / "many").mkdir(parents=True)
    for name, size in (("1k", 1 << 10), ("100k", 100 << 10), ("10m", 10 << 20)):
        write(folder / f"{name}.bin", noise.randbytes(size))
    write(folder / "1g.bin", b"")
    os.truncate(folder / "1g.bin", GIBIBYTE)
    for number in range(MANY):
        write(folder / "many" / f"{number}.bin", noise.randbytes(1 << 10))


def write(path: Path, content: bytes) -> None:
    """Write a file that looks as if it had not changed for long."""
    path.write_bytes(content)
    os.utime(path, (OLD, OLD))


def trivet(executable: Path, launch: Launch) -> list[Command]:
    """Serve the folder beside an app that nobody asks."""
    make_files(launch.scratch / "files")
    config = f'[[static]]\npath = "/s/"\nfolder = "{launch.scratch}/files"\n'
    (launch.folder / "trivet.toml").write_text(config)
    command = [str(executable), "serve", launch.app, "--workers", "1", "--no-access-log"]
    return [[*command, "--bind", f"{LOOPBACK}:{launch.port}"]]


def nginx(launch: Launch) -> list[Command]:
    """Serve the folder as nginx' documentation advises for many small files."""
    make_files(launch.scratch / "files")
    config = launch.scratch / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        NGINX_CONF.format(user=user, scratch=launch.scratch, bind=f"{LOOPBACK}:{launch.port}")
    )
    return [[str(paths.system("nginx")), "-p", str(launch.scratch), "-c", str(config)]]


NGINX_CONF = """
{user}
daemon off;
pid {scratch}/nginx.pid;
error_log stderr error;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    default_type application/octet-stream;
    open_file_cache max=20000 inactive=60s;
    open_file_cache_valid 60s;
    open_file_cache_min_uses 1;
    server {{
        listen {bind};
        location /s/ {{ alias {scratch}/files/; }}
        location / {{ return 200 "Hello, world!\\n"; }}
    }}
}}
"""
