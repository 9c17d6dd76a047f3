"""What a very large upload costs: stream it by one raw socket, and look at the peak memory."""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING, Any

from bench import procfs
from bench.ports import LOOPBACK
from bench.running import Running, StartError
from bench.section import Section
from bench.table import NOTHING, Table, padded
from bench.verbs import roles

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.servers import Server

BLOCK = b"x" * (1024 * 1024)
# For one send or the wait for the answer: the app reads all of it after the edge has spooled it.
SILENCE_SECONDS = 60.0
TOTAL_SECONDS = 300.0
HEADS = ["server", "processes", "answer", "seconds", "MiB/s", "RSS before MiB", "peak growth MiB"]


def upload(servers: list[Server], mebibytes: int, tell: Callable[[str], None]) -> Section:
    """Send `mebibytes` to each server in turn; one row for each role."""
    rows: list[list[str]] = []
    raw: dict[str, Any] = {}
    for server in servers:
        tell(f"  {server.name}")
        if why := server.missing():
            rows.append(padded([server.name, why], HEADS))
            continue
        try:
            rows += one_server(server, mebibytes, raw)
        except StartError as error:
            rows.append(padded([server.name, f"did not start: {error}"], HEADS))
    return Section(
        name="upload",
        title=f"One upload of {mebibytes:,} MiB",
        command="python -m bench upload",
        notes=[
            "The app reads `wsgi.input` in pieces of 64 KiB and answers the length.",
            "Growth is `VmHWM` after the upload less the RSS before, over the role's processes.",
            "A server that answers 413 needs a higher limit: `--trivet-options` for Trivet.",
        ],
        table=Table(HEADS, rows),
        raw=raw,
    )


def one_server(server: Server, mebibytes: int, raw: dict[str, Any]) -> list[list[str]]:
    """Upload once, and once more of a single block before it, so that the path is warm."""
    with Running(server, "bare:upload") as running:
        running.wait_ready()
        send(running.port, 1)
        pids = roles.pids_by_role(running)
        for pid in pids[roles.ALL]:
            procfs.reset_peak(pid)
        before = {role: procfs.memory(members) for role, members in pids.items()}
        start = time.monotonic()
        answer = send(running.port, mebibytes)
        seconds = time.monotonic() - start
        after = {role: procfs.memory(members) for role, members in pids.items()}
    expected = f"200 {mebibytes * len(BLOCK)}"
    answer = "200, right length" if answer == expected else answer
    rate = f"{mebibytes / seconds:.0f}" if answer.startswith("200") else NOTHING
    rows = []
    for role, memory in before.items():
        growth = after[role].peak_rss_bytes - memory.rss_bytes
        figures = [f"{memory.rss_bytes / 2**20:.1f}", f"{growth / 2**20:.1f}"]
        rows.append([server.name, role, answer, f"{seconds:.1f}", rate, *figures])
    raw[server.name] = {"answer": answer, "seconds": seconds, "rows": rows}
    return rows


def send(port: int, mebibytes: int) -> str:
    """Post so many blocks; give the status and the text of the answer, or what went wrong."""
    head = (
        f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {mebibytes * len(BLOCK)}\r\n"
        "Content-Type: application/octet-stream\r\nConnection: close\r\n\r\n"
    )
    deadline = time.monotonic() + TOTAL_SECONDS
    problem = ""
    try:
        with socket.create_connection((LOOPBACK, port), SILENCE_SECONDS) as connection:
            try:
                connection.sendall(head.encode())
                for _ in range(mebibytes):
                    if time.monotonic() > deadline:
                        return f"not done in {TOTAL_SECONDS:.0f} s"
                    connection.sendall(BLOCK)
            except OSError as error:
                # A server that refuses may have answered before it closed.
                problem = f"{type(error).__name__} while sending"
            return answer_text(read_all(connection)) or problem or "closed without an answer"
    except OSError as error:
        return problem or type(error).__name__


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    pieces = []
    while piece := connection.recv(64 * 1024):
        pieces.append(piece)
    return b"".join(pieces)


def answer_text(response: bytes) -> str:
    """Give the status and, of a 200, the content; empty if there is no response."""
    match = re.match(rb"HTTP/1\.[01] (\d+)", response)
    if match is None:
        return ""
    status = match[1].decode()
    content = response.partition(b"\r\n\r\n")[2]
    # A chunked answer still shows the length among its chunk sizes: take the longest number.
    numbers = sorted(re.findall(rb"\d+", content), key=len)
    return f"{status} {numbers[-1].decode()}" if status == "200" and numbers else status
