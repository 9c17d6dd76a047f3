"""Whatever goes in comes out: content, fields and queries of any shape."""

import itertools
import json
from collections.abc import Iterator
from urllib.parse import quote_from_bytes

import hypothesis
import pytest
from hypothesis import strategies

from tests.e2e.apps import serving
from tests.e2e.apps.journal import Journal
from tests.e2e.stand import Stand

CONTENT = strategies.one_of(
    strategies.binary(max_size=2000),
    strategies.builds(
        lambda seed, times: (seed or b"-") * times,
        strategies.binary(max_size=9),
        strategies.integers(7000, 30_000),
    ),
)
# What a field's value may hold (RFC 9110 section 5.5), without blanks at its ends.
VALUE = strategies.text(
    strategies.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"),
    max_size=200,
).map(lambda text: text.strip(" \t"))


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    journal = Journal(tmp_path_factory.mktemp("echo") / "journal")
    with serving("gates:app", "--workers", "1", "--threads", "2", env=journal.env) as stand:
        yield stand


@pytest.fixture(scope="module")
def environment() -> Iterator[Stand]:
    with serving("environment:app", "--workers", "1", "--threads", "2") as stand:
        yield stand


def pieces(content: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({cut % (len(content) + 1) for cut in cuts} | {0, len(content)})
    for start, end in itertools.pairwise(places):
        yield content[start:end]


@hypothesis.settings(max_examples=40)
@hypothesis.given(
    content=CONTENT,
    cuts=strategies.lists(strategies.integers(0, 300_000), max_size=6),
    tag=VALUE,
    way=strategies.sampled_from(["/echo", "/streamed/echo"]),
    chunked=strategies.booleans(),
)
def test_content_and_fields_come_back_as_they_were(
    echo: Stand, content: bytes, cuts: list[int], tag: str, way: str, *, chunked: bool
) -> None:
    headers = {"X-Tag": tag} | ({"Transfer-Encoding": "chunked"} if chunked else {})
    body = pieces(content, cuts) if chunked else content
    answer = echo.request("POST", way, body, headers)
    assert (answer.status, answer.body, answer.headers["x-tag"]) == (200, content, tag)


@hypothesis.settings(max_examples=60)
@hypothesis.given(
    path=strategies.binary(max_size=60).filter(lambda path: b"\0" not in path),
    query=strategies.text(strategies.characters(min_codepoint=0x21, max_codepoint=0x7E)),
)
def test_path_and_query_arrive_as_they_were(environment: Stand, path: bytes, query: str) -> None:
    hypothesis.assume("#" not in query)
    answer = environment.get(f"/p{quote_from_bytes(path, safe='')}?{query}")
    hypothesis.assume(answer.status == 200)
    found = json.loads(answer.body)
    assert found["PATH_INFO"][1].encode("latin-1") == b"/p" + path
    assert found["QUERY_STRING"][1] == query
