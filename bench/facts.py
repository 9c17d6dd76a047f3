"""What a figure needs beside it: date, machine, and the versions of all that took part."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from bench import paths

if TYPE_CHECKING:
    from bench.servers import Server

PROBE_SECONDS = 20.0
FRAMEWORK = ("Flask", "Werkzeug", "Jinja2", "MarkupSafe")
LIST_PACKAGES = (
    "import importlib.metadata as m, json, platform;"
    "print(json.dumps({'python': platform.python_version()} |"
    "{d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
)


def facts(servers: list[Server], trivet: Path) -> dict[str, str]:
    """Collect what the report says of the machine and of the versions."""
    peers = packages(paths.peer("python"))
    ours = packages(trivet.parent / "python")
    found = {
        "date": datetime.now(tz=timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": f"{cpu_model()}, {os.cpu_count()} cores",
        "kernel": platform.release(),
        "python": peers.get("python", "?"),
        "framework": ", ".join(f"{name} {peers.get(name.lower(), '?')}" for name in FRAMEWORK),
        "peers": ", ".join(
            sorted(
                {
                    f"{server.package} {peers[server.package.lower()]}"
                    for server in servers
                    if server.package.lower() in peers
                }
            )
        ),
        "trivet": f"{ours.get('trivet', 'not present')}, commit {commit()}",
        "tools": ", ".join(
            [
                "nginx " + version([str(paths.system("nginx")), "-v"]),
                "wrk " + version([str(paths.system("wrk")), "-v"]),
            ]
        ),
    }
    if unequal := differences(ours, peers):
        found["warning"] = "Trivet's environment differs from the peers': " + unequal
    return found


def differences(ours: dict[str, str], theirs: dict[str, str]) -> str:
    """Say which of Python and the framework differ between two environments, if both are there."""
    if not ours or not theirs:
        return ""
    return ", ".join(
        f"{name} {ours.get(name.lower(), 'absent')} against {theirs.get(name.lower(), 'absent')}"
        for name in ("Python", *FRAMEWORK)
        if ours.get(name.lower()) != theirs.get(name.lower())
    )


def packages(python: Path) -> dict[str, str]:
    """Ask an environment's Python for its packages by lower-case name; empty if it is absent."""
    text = output([str(python), "-c", LIST_PACKAGES])
    found: dict[str, str] = json.loads(text) if text.startswith("{") else {}
    return found


def cpu_model() -> str:
    """Give the processor's name."""
    match = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return match[1] if match else platform.machine()


def version(command: list[str]) -> str:
    """Give the first thing like a version that a command prints."""
    match = re.search(r"\d+\.\d+[\w.]*", output(command))
    return match[0] if match else "not present"


def commit() -> str:
    """Give the repository's commit, marked if there are changes beside it."""
    git = ["git", "-C", str(paths.ROOT)]
    name = output([*git, "rev-parse", "--short", "HEAD"]).strip() or "unknown"
    has_changes = output([*git, "status", "--porcelain", "--untracked-files=no"]).strip()
    return name + (" with changes" if has_changes else "")


def output(command: list[str]) -> str:
    """Give what a command prints on both streams; empty if it is absent, fails to run or hangs."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PROBE_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
