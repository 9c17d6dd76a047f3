"""`wsgi.input` reads content of any shape as a file does, however it came."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.apps import serving
from tests.e2e.apps.reading import result_of
from tests.e2e.stand import Stand

LINES = b"a\nb\nc\n"
LARGE = b"".join(b"line %d of many\n" % number for number in range(20_000))
CONTENTS = {
    "nothing": b"",
    "three lines": LINES,
    "no line break": b"no line break",
    "only line breaks": b"\n\n\n",
    "no last line break": b"first\nsecond",
    "carriage returns": b"a\r\nb\rc\r\n",
    "all bytes": bytes(range(256)) * 4,
    "a line over 64 KiB": b"x" * 70_000 + b"\n" + b"y" * 10,
    "many lines": LARGE,
}
CALLS: list[list[list[Any]]] = [
    [["read"], ["read"], ["readline"], ["readlines"], ["iterate"]],
    [["read", 3], ["read", 0], ["read", 100_000], ["read", -1], ["read", 1]],
    [["readline"], ["readline", 2], ["readline", 0], ["read", 5], ["readline"], ["read"]],
    [["readlines"], ["read"]],
    [["iterate"], ["readline"], ["read", 10]],
    [["read", 1], ["iterate"]],
    [["repeat", "readline"], ["read"]],
    [["repeat", "readline", 1000]],
    [["repeat", "read", 8192], ["read", 8192]],
]
WAYS = ["buffered", "buffered chunks", "streamed", "streamed chunks"]


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with serving("reading:app", "--workers", "1") as stand:
        yield stand


def read(stand: Stand, way: str, content: bytes, calls: list[list[Any]]) -> Any:
    body: bytes | Iterator[bytes] = content
    headers = {"X-Calls": json.dumps(calls)}
    if way.endswith("chunks"):
        body = (content[at : at + 7001] for at in range(0, len(content), 7001))
        headers["Transfer-Encoding"] = "chunked"
    target = "/streamed/content" if way.startswith("streamed") else "/content"
    answer = stand.request("POST", target, body, headers)
    assert answer.status == 200, stand.describe()
    return answer.json()


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_read_gives_what_a_file_gives(stand: Stand, way: str, content: bytes) -> None:
    for calls in CALLS:
        file = io.BytesIO(content)
        expected = [result_of(file, call) for call in calls]
        assert read(stand, way, content, calls)["results"] == expected, calls


@pytest.mark.parametrize("way", WAYS)
def test_three_lines_are_three_lines(stand: Stand, way: str) -> None:
    # granian 2.8.7 splits before the line break, and iteration ends after one line.
    [lines] = read(stand, way, LINES, [["iterate"]])["results"]
    assert lines == ["a\n", "b\n", "c\n"]


@pytest.mark.parametrize("way", WAYS)
def test_content_may_be_left_unread(stand: Stand, way: str) -> None:
    assert read(stand, way, LARGE, [])["results"] == []
    assert read(stand, way, LARGE, [["read", 4]])["results"] == [["line"]]


@pytest.mark.parametrize("way", WAYS)
def test_the_input_may_be_read_to_its_end(stand: Stand, way: str) -> None:
    assert read(stand, way, LINES, [])["terminated"] is True


@pytest.mark.parametrize(
    ("way", "length"),
    [("buffered", "6"), ("buffered chunks", "6"), ("streamed", "6"), ("streamed chunks", None)],
)
def test_the_length_is_told_where_it_is_known(stand: Stand, way: str, length: str | None) -> None:
    assert read(stand, way, LINES, [["read"]])["length"] == length


def test_a_large_chunked_upload_has_its_length(stand: Stand) -> None:
    answer = read(stand, "buffered chunks", LARGE, [["repeat", "read", 65536]])
    assert answer["length"] == str(len(LARGE))


@pytest.mark.parametrize("way", WAYS)
def test_a_hint_ends_the_lines_once_they_exceed_it(stand: Stand, way: str) -> None:
    assert read(stand, way, LINES, [["readlines", 3], ["readlines"]])["results"] == [
        ["a\n", "b\n"],
        ["c\n"],
    ]
