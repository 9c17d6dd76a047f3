"""What `docs/internals/lessons.md` and the decisions name is there."""

import re
from pathlib import Path

import pytest

PAGES = ["docs/internals", "docs/decisions"]
# A Rust or Python name of several words, a constant, or a vector by its number.
NAME = re.compile(r"`([a-z]\w*_\w+|[A-Z]+_[A-Z_]+|\d{3}-[\w-]+)`")
# Words of other projects that look like ours.
OTHERS = {"client_body_timeout", "SO_REUSEPORT", "SCHED_BATCH", "HTTP_PROXY", "CLOCK_MONOTONIC"}
OTHERS |= {"epoll_wait"}
OTHERS |= {"SCM_RIGHTS", "REMOTE_ADDR", "clock_gettime", "X_Real_Ip"}


@pytest.fixture(scope="module")
def sources(root: Path) -> set[str]:
    """Every word of the sources, and the name of every vector."""
    words: set[str] = set()
    for folder in ("crates", "python/trivet", "tests", "fuzz/src", "fuzz/fuzz_targets"):
        for path in (root / folder).rglob("*"):
            words.add(path.stem)
            if path.suffix in {".rs", ".py", ".pyi"} and path.name != Path(__file__).name:
                words.update(re.findall(r"\w+", path.read_text("utf-8")))
    return words


def test_each_name_on_the_pages_is_found(root: Path, sources: set[str]) -> None:
    named = [
        f"{page.name}: {name}"
        for folder in PAGES
        for page in sorted((root / folder).glob("*.md"))
        for name in NAME.findall(page.read_text("utf-8"))
        if name not in sources | OTHERS
    ]
    assert named == []
