"""Where things are: the repository, the peers' environment, the apps, the results."""

from __future__ import annotations

import shutil
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
APPS = BENCH / "apps"
RESULTS = BENCH / "results"
PEERS = BENCH / ".venv"
TRIVET = ROOT / ".venv" / "bin" / "trivet"
PAGE = ROOT / "docs" / "benchmarks.md"


def peer(name: str) -> Path:
    """Give the path of an executable of the peers' environment, present or not."""
    return PEERS / "bin" / name


def system(name: str) -> Path:
    """Give the path of a system executable, or its bare name when it is not present.

    `/usr/sbin` is searched too: Debian keeps nginx there, outside a user's PATH.
    """
    return Path(shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin") or name)
