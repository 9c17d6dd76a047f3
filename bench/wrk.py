"""Running wrk and reading what it prints."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import paths

if TYPE_CHECKING:
    from pathlib import Path

# Beyond its duration wrk only waits for answers under way, two seconds each by its own default.
GRACE_SECONDS = 15.0
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}
BYTES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}


class WrkError(Exception):
    """wrk is missing, failed, or printed something unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How a server is loaded: by wrk, where `script` is a Lua file, or by `bench.echo`."""

    connections: int = 32
    script: Path | None = None
    is_websocket: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one run of wrk saw. `bad_statuses` counts answers outside of 2xx and 3xx."""

    requests: int
    rate: float
    bytes_per_second: float
    p50_us: float
    p99_us: float
    bad_statuses: int
    socket_errors: int


def run(url: str, load: Load, seconds: int) -> Result:
    """Load `url` for `seconds`.

    Raises:
        WrkError: if wrk is missing, fails, hangs, or prints something unknown.
    """
    command = [str(paths.system("wrk")), "-t1", f"-c{load.connections}", "--latency"]
    command += [f"-d{seconds}s"]
    if load.script:
        command += ["-s", str(load.script)]
    try:
        done = subprocess.run(
            [*command, url],
            capture_output=True,
            check=True,
            text=True,
            timeout=seconds + GRACE_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise WrkError(str(error)) from error
    return parse(done.stdout)


def parse(text: str) -> Result:
    """Read the output of `wrk --latency`.

    Raises:
        WrkError: if a line that every run has is missing.
    """
    return Result(
        requests=int(find(r"(\d+) requests in ", text)[0]),
        rate=float(find(r"Requests/sec: +([\d.]+)", text)[0]),
        bytes_per_second=amount(*find(r"Transfer/sec: +([\d.]+)(\w+)", text), units=BYTES),
        p50_us=amount(*find(r"\n +50% +([\d.]+)(\w+)", text), units=UNITS),
        p99_us=amount(*find(r"\n +99% +([\d.]+)(\w+)", text), units=UNITS),
        bad_statuses=int(search(r"Non-2xx or 3xx responses: (\d+)", text) or 0),
        socket_errors=sum(
            int(number) for number in re.findall(r"\d+", search(r"Socket errors: (.*)", text) or "")
        ),
    )


def find(pattern: str, text: str) -> tuple[str, ...]:
    """Give the groups of the first match.

    Raises:
        WrkError: if there is none.
    """
    match = re.search(pattern, text)
    if match is None:
        raise WrkError(f"wrk printed nothing like `{pattern}`: {text!r}")
    return match.groups()


def search(pattern: str, text: str) -> str | None:
    """Give the first group of the first match, if there is one."""
    match = re.search(pattern, text)
    return match[1] if match else None


def amount(number: str, unit: str, *, units: dict[str, float] | dict[str, int]) -> float:
    """Give a number with its unit in the base unit of `units`."""
    return float(number) * units[unit]
