"""Setting up `bench/.venv`, and saying what else a run needs."""

from __future__ import annotations

import subprocess
import sys
import venv
from typing import TYPE_CHECKING

from bench import paths

if TYPE_CHECKING:
    from collections.abc import Callable

# uWSGI is compiled: on a small machine that takes a minute.
PIP_SECONDS = 900.0
HINTS = {
    "wrk": "install it with `apt-get install wrk` (Debian, Ubuntu) or `brew install wrk`;\n"
    "or build it from its sources: `make` in a checkout of github.com/wg/wrk",
    "nginx": "install it with `apt-get install nginx-light` (Debian, Ubuntu); the service itself\n"
    "may stay off (`systemctl disable --now nginx`): the benchmark starts its own",
}


def setup(tell: Callable[[str], None]) -> int:
    """Create the environment with this Python, install the peers; give pip's exit code.

    A missing tool is only said: its servers are then reported as not present.
    May be repeated: pip then brings the environment to what requirements.txt says.
    """
    if not paths.peer("python").exists():
        tell(f"creating {paths.PEERS} with {sys.executable}")
        venv.create(paths.PEERS, with_pip=True)
    requirements = str(paths.BENCH / "requirements.txt")
    pip = [str(paths.peer("python")), "-m", "pip", "install", "--quiet", "-r", requirements]
    done = subprocess.run(pip, check=False, timeout=PIP_SECONDS)
    for tool in missing_tools():
        tell(hint(tool))
    return done.returncode


def missing_tools() -> list[str]:
    """Give the system tools that are not installed."""
    return [tool for tool in HINTS if not paths.system(tool).is_absolute()]


def hint(tool: str) -> str:
    """Say how to get a tool."""
    return f"`{tool}` is not installed\nhint: {HINTS[tool]}"
