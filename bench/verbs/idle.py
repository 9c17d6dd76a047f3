"""What an idle keep-alive connection costs: open very many, and look at the memory."""

from __future__ import annotations

import resource
import socket
import time
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench.ports import LOOPBACK
from bench.running import Running, StartError
from bench.section import Section
from bench.table import NOTHING, Table, padded
from bench.verbs import roles

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.servers import Server

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER_SECONDS = 5.0
# Bounds the opening of all connections together.
OPEN_SECONDS = 120.0
# Descriptors that either side needs beside the connections.
SPARE_DESCRIPTORS = 200
# How long the server gets to forget closed connections before its memory is read again.
SETTLE_SECONDS = 2.0
HEADS = ["server", "processes", "before MiB", "with all open MiB", "bytes/connection", "after MiB"]


def idle(servers: list[Server], count: int, tell: Callable[[str], None]) -> Section:
    """Open `count` connections to each server in turn; see `one_server`."""
    count = raise_descriptor_limit(count)
    rows: list[list[str]] = []
    raw: dict[str, Any] = {}
    for server in servers:
        tell(f"  {server.name}")
        if why := server.missing():
            rows.append(padded([server.name, why], HEADS))
            continue
        try:
            rows += one_server(server, count, raw)
        except StartError as error:
            rows.append(padded([server.name, f"did not start: {error}"], HEADS))
    opened = ", ".join(f"{name}: {found['open_at_end']}" for name, found in raw.items())
    return Section(
        name="idle",
        title=f"{count:,} idle keep-alive connections",
        command="python -m bench idle",
        notes=[
            "Each connection makes one request to a bare WSGI app and then stays idle.",
            f"Still open when memory was read: {opened or 'none'}.",
            "The columns are RSS; growth is divided by the connections still open.",
        ],
        table=Table(HEADS, rows),
        raw=raw,
    )


def one_server(server: Server, count: int, raw: dict[str, Any]) -> list[list[str]]:
    """Read one server's memory before, with, and after the connections; one row for each role."""
    with Running(server, "bare:hello") as running:
        running.wait_ready()
        for _ in range(100):
            running.status("/")
        before = roles.memory_by_role(running)
        with ExitStack() as stack:
            connections = open_connections(running.port, count, stack)
            time.sleep(SETTLE_SECONDS)
            during = roles.memory_by_role(running)
            open_at_end = sum(is_open(connection) for connection in connections)
        time.sleep(SETTLE_SECONDS)
        after = roles.memory_by_role(running)
    raw[server.name] = {"opened": len(connections), "open_at_end": open_at_end} | {
        moment: {role: asdict(memory) for role, memory in found.items()}
        for moment, found in (("before", before), ("during", during), ("after", after))
    }
    rows = []
    for role, start in before.items():
        growth = during[role].rss_bytes - start.rss_bytes
        figures = [start.rss_bytes, during[role].rss_bytes, after[role].rss_bytes]
        first, second, third = (f"{value / 2**20:.1f}" for value in figures)
        each = f"{growth / open_at_end:,.0f}" if open_at_end else NOTHING
        rows.append([server.name, role, first, second, each, third])
    return rows


def open_connections(port: int, count: int, stack: ExitStack) -> list[socket.socket]:
    """Open up to `count` connections, each with one answered request; `stack` closes them."""
    deadline = time.monotonic() + OPEN_SECONDS
    connections: list[socket.socket] = []
    while len(connections) < count and time.monotonic() < deadline:
        try:
            connection = socket.create_connection((LOOPBACK, port), ANSWER_SECONDS)
            stack.callback(connection.close)
            connection.sendall(REQUEST)
            if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
                break
        except OSError:
            break
        connections.append(connection)
    return connections


def is_open(connection: socket.socket) -> bool:
    """Tell whether the server has left a connection open."""
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def raise_descriptor_limit(count: int) -> int:
    """Raise RLIMIT_NOFILE for us and the servers; give how many connections it allows."""
    wanted = count + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return min(count, hard - SPARE_DESCRIPTORS)
    return count
