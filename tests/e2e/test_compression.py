"""Compression of apps' responses, as real decoders read it."""

import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard

from tests.e2e.apps.compress.app import document
from tests.e2e.http1 import (
    Client,
    CutOffError,
    RawAnswer,
    connect,
    line_of,
    make_fifo,
    release,
    request,
    running,
)
from tests.e2e.stand import Stand
from tests.waiting import wait_until

CONFIG = """
[compression]
enabled = true

[limits]
request_body = "1m"

[[route]]
path = "/document/plain"
compress = false
"""
CODINGS = ("gzip", "br", "zstd")


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("compression")
    with running(folder, "--workers", "1", config=CONFIG, app="compress") as stand:
        yield stand


@pytest.fixture
def client(stand: Stand) -> Iterator[Client]:
    with connect(stand) as client:
        yield client


def decoder(coding: str) -> Callable[[bytes], bytes]:
    """A decoder that gives all it can of what it has got."""
    made: dict[str, Callable[[], Any]] = {
        "gzip": lambda: zlib.decompressobj(31).decompress,
        "br": lambda: brotli.Decompressor().process,
        "zstd": lambda: zstandard.ZstdDecompressor().decompressobj().decompress,
    }
    decode: Callable[[bytes], bytes] = made[coding]()
    return decode


def decoded(answer: RawAnswer) -> bytes:
    """The content, by the decoder that insists on its end."""
    coding = answer.field("content-encoding")
    if coding == "gzip":
        return gzip.decompress(answer.body)
    if coding == "br":
        content: bytes = brotli.decompress(answer.body)
        return content
    if coding == "zstd":
        reader = zstandard.ZstdDecompressor().decompressobj()
        content = reader.decompress(answer.body)
        assert reader.eof
        return content
    assert coding is None
    return answer.body


def accepts(coding: str) -> str:
    return f"Accept-Encoding: {coding}"


# Which coding, and which content --------------------------------------------------------------


@pytest.mark.parametrize("coding", CODINGS)
def test_a_small_answer_is_coded_at_once(client: Client, coding: str) -> None:
    answer = client.get("/document?size=20000", accepts(coding))
    assert answer.field("content-encoding") == coding
    assert answer.field("vary") == "Accept-Encoding"
    assert answer.field("transfer-encoding") is None
    assert len(answer.body) < 5000
    assert decoded(answer) == document(20000)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    "what", ["size=1048576", "size=1048576&pieces=3&length=1", "size=300000&pieces=500"]
)
def test_a_large_answer_is_coded_as_it_comes(client: Client, coding: str, what: str) -> None:
    answer = client.get("/document?" + what, accepts(coding))
    assert answer.field("content-encoding") == coding
    assert answer.field("content-length") is None
    size = int(what.removeprefix("size=").partition("&")[0])
    assert decoded(answer) == document(size)
    # The connection goes on.
    assert client.get("/document?size=2000").body == document(2000)


def test_the_client_chooses_and_then_the_server(client: Client) -> None:
    for asked, coding in [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("deflate", None),
        ("identity", None),
        ("gzip;q=0", None),
        ("*;q=0", None),
        ("gzip;q=2, x", None),
    ]:
        answer = client.get("/document", accepts(asked))
        assert (asked, answer.field("content-encoding")) == (asked, coding)
        assert answer.field("vary") == "Accept-Encoding"
        assert decoded(answer) == document(20000)
    answer = client.get("/document")
    assert (answer.field("content-encoding"), answer.body) == (None, document(20000))


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("/document?size=1023", ()),
        ("/document?type=image/png", ()),
        ("/document?Cache-Control=public,no-transform", ()),
        ("/document", ("Cache-Control: no-transform",)),
        ("/document?Content-Encoding=gzip", ()),
        ("/document?Content-Digest=sha-256=:AA==:", ()),
        ("/document/plain", ()),
        ("/document?status=206+Partial+Content&Content-Range=bytes+0-19999/30000", ()),
    ],
)
def test_some_answers_are_left_alone(client: Client, target: str, fields: tuple[str, ...]) -> None:
    answer = client.get(target, accepts("gzip"), *fields)
    expected = document(1023 if "1023" in target else 20000)
    assert answer.body == expected
    assert answer.field("content-length") == str(len(expected))
    assert answer.field("vary") is None


def test_a_range_of_an_app_is_never_coded(client: Client) -> None:
    answer = client.get("/partial", accepts("gzip"), "Range: bytes=1000-3999")
    assert (answer.status, answer.field("content-encoding")) == (206, None)
    assert answer.body == document(5000)[1000:4000]
    answer = client.get("/partial", accepts("gzip"))
    assert (answer.field("content-encoding"), answer.field("accept-ranges")) == ("gzip", None)


def test_a_head_tells_what_a_get_would(client: Client) -> None:
    for asked in ("gzip", "identity"):
        client.send(request("HEAD", "/document?ETag=%22a%22", accepts(asked)))
        head = client.answer("HEAD")
        got = client.get("/document?ETag=%22a%22", accepts(asked))
        assert decoded(got) == document(20000)
        names = ("content-encoding", "etag", "vary", "content-type")
        assert [head.field(name) for name in names] == [got.field(name) for name in names]
    client.send(request("HEAD", "/document", accepts("gzip")))
    assert client.answer("HEAD").field("content-length") is None


def test_an_old_client_gets_it_until_the_connection_ends(client: Client) -> None:
    client.send(f"GET /document?pieces=3 HTTP/1.0\r\n{accepts('gzip')}\r\n\r\n")
    answer = client.answer()
    assert (answer.closes, answer.field("transfer-encoding")) == (True, None)
    assert decoded(answer) == document(20000)


def test_the_access_log_counts_what_was_sent(stand: Stand, client: Client) -> None:
    answer = client.get("/document", accepts("br"))
    assert line_of(stand, client)["bytes_out"] == len(answer.body)


# Validators -----------------------------------------------------------------------------------


def test_a_tag_is_weak_and_still_gets_a_304_from_a_framework(client: Client) -> None:
    plain = client.get("/tagged")
    coded = client.get("/tagged", accepts("zstd"))
    strong, weak = plain.field("etag"), coded.field("etag")
    assert strong is not None
    assert weak == f"W/{strong}"
    for tag in (strong, weak):
        again = client.get("/tagged", accepts("zstd"), f"If-None-Match: {tag}")
        # The tag of the 304 is the one of the response that the client has stored.
        assert (again.status, again.field("etag")) == (304, tag)
        assert again.field("content-encoding") is None
        assert again.field("vary") == ("Accept-Encoding" if tag == weak else None)


def test_an_app_that_compares_texts_sends_its_content_again(client: Client) -> None:
    coded = client.get("/strict", accepts("gzip"))
    assert coded.field("etag") == 'W/"v1"'
    again = client.get("/strict", accepts("gzip"), 'If-None-Match: W/"v1"')
    assert (again.status, decoded(again)) == (200, document(20000))
    assert client.get("/strict", 'If-None-Match: "v1"').status == 304


def test_vary_keeps_what_the_app_says(client: Client) -> None:
    answer = client.get("/document?Vary=Cookie,+Origin", accepts("gzip"))
    assert answer.field("vary") == "Cookie, Origin, Accept-Encoding"
    assert client.get("/document?Vary=*", accepts("gzip")).field("vary") == "*"


# Streams --------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", CODINGS)
def test_each_event_arrives_before_the_next_is_made(
    client: Client, tmp_path: Path, coding: str
) -> None:
    fifo = make_fifo(tmp_path)
    client.send(request("GET", f"/events?count=4&wait={fifo}", accepts(coding)))
    assert client.head().field("content-encoding") == coding
    decode, seen = decoder(coding), b""
    for number in range(4):
        if number:
            release(fifo)
        while not seen.endswith(f"data: event {number}\n\n".encode()):
            chunk = client.chunk()
            assert chunk
            seen += decode(chunk)
    while chunk := client.chunk():
        seen += decode(chunk)
    assert seen.count(b"data: ") == 4


@pytest.mark.parametrize("target", ["/broken", "/short"])
def test_an_answer_that_breaks_off_is_never_completed(client: Client, target: str) -> None:
    client.send(request("GET", target, accepts("gzip")))
    assert client.head().field("content-encoding") == "gzip"
    chunks: list[bytes] = []
    with pytest.raises((CutOffError, ConnectionResetError)):
        chunks.extend(client.chunks())
    reader = zlib.decompressobj(31)
    assert document(100_000).startswith(reader.decompress(b"".join(chunks)))
    assert not reader.eof


def test_a_client_that_reads_slowly_gets_all_of_it(client: Client) -> None:
    size = 20_000_000
    # Bytes that hardly compress fill the buffers between app and client.
    client.send(request("GET", f"/document?size={size}&pieces=400", accepts("gzip;q=1")))
    assert client.head().field("content-encoding") == "gzip"
    assert not client.is_silent(0.1)
    reader, length, crc = zlib.decompressobj(31), 0, 0
    for chunk in client.chunks():
        data = reader.decompress(chunk)
        length, crc = length + len(data), zlib.crc32(data, crc)
    assert (length, crc, reader.eof) == (size, zlib.crc32(document(size)), True)


def test_the_app_hears_of_a_client_that_leaves(stand: Stand, tmp_path: Path) -> None:
    left = tmp_path / "left"
    with connect(stand) as client:
        client.send(request("GET", f"/endless?left={left}", accepts("gzip")))
        client.head()
        client.chunk()
    wait_until(left.exists, "the app was never told")


@pytest.mark.parametrize("coding", CODINGS)
def test_a_file_of_the_apps_is_coded_in_pieces(client: Client, tmp_path: Path, coding: str) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(document(3_000_000))
    answer = client.get(f"/file?path={path}", accepts(coding))
    assert answer.field("content-encoding") == coding
    assert decoded(answer) == document(3_000_000)


# Configuration --------------------------------------------------------------------------------


def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    config = """
    [[route]]
    path = "/document/packed"
    compress = true
    """
    with (
        running(tmp_path, "--workers", "1", config=config, app="compress") as stand,
        connect(stand) as client,
    ):
        answer = client.get("/document", accepts("gzip"))
        assert (answer.field("content-encoding"), answer.field("vary")) == (None, None)
        assert client.get("/document/packed", accepts("gzip")).field("content-encoding") == "gzip"


def test_streams_beyond_the_memory_go_out_as_they_are(tmp_path: Path) -> None:
    config = """
    [compression]
    enabled = true
    codings = ["gzip"]
    memory = "512k"
    """
    fifo = make_fifo(tmp_path)
    target = f"/events?count=2&wait={fifo}"
    with (
        running(tmp_path, "--workers", "1", config=config, app="compress") as stand,
        connect(stand) as first,
        connect(stand) as second,
    ):
        first.send(request("GET", target, accepts("gzip")))
        assert first.head().field("content-encoding") == "gzip"
        answer = second.get("/document?pieces=2", accepts("gzip"))
        assert (answer.field("content-encoding"), answer.body) == (None, document(20000))
        assert answer.field("vary") == "Accept-Encoding"
        # What is coded at once holds nothing.
        assert second.get("/document", accepts("gzip")).field("content-encoding") == "gzip"
        release(fifo)
        list(first.chunks())
        wait_until(
            lambda: second.get("/document?pieces=2", accepts("gzip")).field("content-encoding"),
            "the memory of a stream that has ended was never given back",
        )


def test_a_bad_media_type_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "trivet.toml").write_text('[compression]\ntypes = ["text/html", "text"]\n')
    command = [sys.executable, "-m", "trivet", "check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "trivet.toml:2" in done.stderr
    assert "text/*" in done.stderr
