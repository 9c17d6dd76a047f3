"""Files of a folder, as browsers, caches and people who look for holes ask for them."""

import gzip
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.http1 import Client, CutOffError, RawAnswer, connect, line_of, request, running
from tests.e2e.stand import Stand
from tests.waiting import wait_until

SCRIPT = b"console.log('hello')\n" * 40
LARGE = bytes(range(256)) * 16384
OLD = 1_700_000_000

CONFIG = """
[[static]]
path = "/static"
folder = "files"
[static.cache_control]
"*.css" = "no-cache"
[static.types]
"abc" = "text/x-abc"

[[static]]
path = "/open/"
folder = "files"
listing = true
index = []

[[static]]
path = "/spa/"
folder = "files"
fallback = ["{path}.html", "/index.html"]

[[static]]
path = "/own/"
folder = "files"
not_found = "sub/index.html"

[[static]]
path = "/"
folder = "files"
next = true
"""


def write(path: Path, content: bytes, age: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (OLD + age, OLD + age))


def make_files(folder: Path) -> None:
    write(folder / "index.html", b"<p>home")
    write(folder / "app.js", SCRIPT)
    write(folder / "app.js.gz", gzip.compress(SCRIPT))
    write(folder / "app.js.br", b"as if it were brotli")
    write(folder / "stale.js", SCRIPT, age=10)
    write(folder / "stale.js.gz", gzip.compress(b"of another content"))
    write(folder / "style.css", b"p{}")
    write(folder / "main.5f3c9a1b.js", b"1")
    write(folder / "empty.txt", b"")
    write(folder / "thing.abc", b"x")
    write(folder / "a b \u00fc.txt", b"umlaut")
    write(folder / "about.html", b"<p>about")
    write(folder / "large.bin", LARGE)
    write(folder / "sub" / "index.html", b"<p>sub")
    write(folder / "bare" / "one.txt", b"1")
    write(folder / ".env", b"SECRET=1")
    write(folder / ".git" / "config", b"[core]")
    write(folder / ".well-known" / "security.txt", b"Contact:")
    write(folder.parent / "secret.txt", b"root:x")
    (folder / "out.txt").symlink_to("../secret.txt")
    (folder / "absolute.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "up").symlink_to("..")
    (folder / "in.txt").symlink_to("style.css")
    os.mkfifo(folder / "fifo")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    make_files(folder / "files")
    return folder


@pytest.fixture(scope="module")
def stand(folder: Path) -> Iterator[Stand]:
    with running(folder, "--workers", "1", config=CONFIG) as stand:
        yield stand


@pytest.fixture
def client(stand: Stand) -> Iterator[Client]:
    with connect(stand) as client:
        yield client


def get(client: Client, target: str, *fields: str, method: str = "GET") -> RawAnswer:
    client.send(request(method, target, *fields))
    return client.answer(method)


def test_a_file_comes_with_its_type_length_and_validators(stand: Stand, client: Client) -> None:
    answer = get(client, "/static/app.js")
    assert (answer.status, answer.body) == (200, SCRIPT)
    assert answer.field("content-type") == "text/javascript; charset=utf-8"
    assert answer.field("content-length") == str(len(SCRIPT))
    assert answer.field("last-modified") == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert answer.field("accept-ranges") == "bytes"
    assert re.fullmatch(r'"[0-9a-f.]+-[0-9a-f]+"', answer.field("etag") or "")
    assert not answer.closes
    line = line_of(stand, client)
    assert (line["status"], line["bytes_out"]) == (200, len(SCRIPT))
    assert "worker" not in line


def test_head_tells_the_same_without_content(client: Client) -> None:
    whole, head = get(client, "/static/app.js"), get(client, "/static/app.js", method="HEAD")
    assert head.body == b""
    skipped = {"date", "x-request-id"}
    assert [field for field in head.fields if field[0].lower() not in skipped] == [
        field for field in whole.fields if field[0].lower() not in skipped
    ] or head.field("content-length") == whole.field("content-length")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_files_can_only_be_read(client: Client, method: str) -> None:
    answer = get(client, "/static/app.js", method=method)
    assert (answer.status, answer.field("allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("target", "content_type"),
    [
        ("/static/style.css", "text/css; charset=utf-8"),
        ("/static/thing.abc", "text/x-abc; charset=utf-8"),
        ("/static/large.bin", "application/octet-stream"),
        ("/static/a%20b%20%C3%BC.txt", "text/plain; charset=utf-8"),
        ("/static/", "text/html; charset=utf-8"),
        ("/.well-known/security.txt", "text/plain; charset=utf-8"),
        ("/static/in.txt", "text/plain; charset=utf-8"),
    ],
)
def test_types_go_by_the_ending(client: Client, target: str, content_type: str) -> None:
    answer = get(client, target, method="HEAD")
    assert (answer.status, answer.field("content-type")) == (200, content_type)


def test_how_long_a_file_may_be_kept_is_told(client: Client) -> None:
    assert get(client, "/static/style.css").field("cache-control") == "no-cache"
    immutable = "public, max-age=31536000, immutable"
    assert get(client, "/static/main.5f3c9a1b.js").field("cache-control") == immutable
    assert get(client, "/static/app.js").field("cache-control") is None


# Conditions (RFC 9110 section 13)


def test_who_has_the_file_already_gets_304(client: Client) -> None:
    etag = get(client, "/static/style.css").field("etag") or ""
    date = "Tue, 14 Nov 2023 22:13:20 GMT"
    for field in (
        f"If-None-Match: {etag}",
        f'If-None-Match: "x", W/{etag}',
        "If-None-Match: *",
        f"If-Modified-Since: {date}",
    ):
        answer = get(client, "/static/style.css", field)
        assert (answer.status, answer.body, answer.field("etag")) == (304, b"", etag), field
        assert answer.field("cache-control") == "no-cache"
        assert answer.field("content-type") is None
    both = (f"If-Modified-Since: {date}", 'If-None-Match: "other"')
    assert get(client, "/static/style.css", *both).status == 200
    assert get(client, "/static/style.css", "If-Modified-Since: tomorrow").status == 200


def test_a_condition_that_does_not_hold_is_412(client: Client) -> None:
    assert get(client, "/static/style.css", 'If-Match: "other"').status == 412
    long_ago = "If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT"
    assert get(client, "/static/style.css", long_ago).status == 412
    etag = get(client, "/static/style.css").field("etag")
    assert get(client, "/static/style.css", f"If-Match: {etag}", long_ago).status == 200


# Ranges (RFC 9110 section 14)


@pytest.mark.parametrize("target", ["/static/large.bin", "/static/app.js"])
@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 0), ("5-9", 5, 9), ("100-", 100, None), ("-7", -7, None), ("0-99999999", 0, None)],
)
def test_one_range_is_one_part(
    client: Client, target: str, asked: str, first: int, last: int | None
) -> None:
    content = LARGE if "large" in target else SCRIPT
    answer = get(client, target, f"Range: bytes={asked}")
    first = first % len(content)
    last = len(content) - 1 if last is None else last
    assert (answer.status, answer.body) == (206, content[first : last + 1])
    assert answer.field("content-range") == f"bytes {first}-{last}/{len(content)}"
    assert answer.field("content-length") == str(last + 1 - first)


@pytest.mark.parametrize("target", ["/static/large.bin", "/static/app.js"])
def test_several_ranges_come_in_parts(client: Client, target: str) -> None:
    content = LARGE if "large" in target else SCRIPT
    answer = get(client, target, "Range: bytes=0-1, 400-402, -3")
    assert answer.status == 206
    kind = answer.field("content-type") or ""
    boundary = kind.removeprefix("multipart/byteranges; boundary=").encode()
    parts = answer.body.split(b"--" + boundary)
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    bodies = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:-1]]
    assert bodies == [content[:2], content[400:403], content[-3:]]
    assert b"Content-Range: bytes 400-402/%d" % len(content) in parts[2]


def test_a_range_beyond_the_end_is_416(client: Client) -> None:
    answer = get(client, "/static/style.css", "Range: bytes=10-")
    assert (answer.status, answer.field("content-range")) == (416, "bytes */3")


@pytest.mark.parametrize(
    "field", ["bytes=a-b", "lines=0-1", "bytes=2-1", "bytes=", "bytes=0-1,x", "0-1"]
)
def test_a_range_that_means_nothing_is_ignored(client: Client, field: str) -> None:
    assert get(client, "/static/style.css", f"Range: {field}").status == 200


def test_if_range_asks_for_the_whole_of_another_state(client: Client) -> None:
    etag = get(client, "/static/app.js").field("etag")
    ranged = "Range: bytes=0-3"
    assert get(client, "/static/app.js", ranged, f"If-Range: {etag}").status == 206
    assert get(client, "/static/app.js", ranged, 'If-Range: "other"').status == 200
    date = "If-Range: Tue, 14 Nov 2023 22:13:20 GMT"
    assert get(client, "/static/app.js", ranged, date).status == 206
    assert get(client, "/static/app.js", ranged, method="HEAD").status == 200


def test_a_range_of_nothing_is_the_whole_of_nothing(client: Client) -> None:
    answer = get(client, "/static/empty.txt", "Range: bytes=0-0")
    assert (answer.status, answer.body, answer.field("content-length")) == (200, b"", "0")


# Precompressed siblings


def test_a_compressed_sibling_is_sent_to_who_takes_it(client: Client) -> None:
    plain = get(client, "/static/app.js")
    zipped = get(client, "/static/app.js", "Accept-Encoding: gzip, deflate")
    best = get(client, "/static/app.js", "Accept-Encoding: gzip, br")
    assert (zipped.field("content-encoding"), gzip.decompress(zipped.body)) == ("gzip", SCRIPT)
    assert (best.field("content-encoding"), best.body) == ("br", b"as if it were brotli")
    assert {each.field("vary") for each in (plain, zipped, best)} == {"Accept-Encoding"}
    assert len({each.field("etag") for each in (plain, zipped, best)}) == 3
    kind = "text/javascript; charset=utf-8"
    assert {each.field("content-type") for each in (plain, zipped, best)} == {kind}
    refused = get(client, "/static/app.js", "Accept-Encoding: br;q=0, gzip;q=0.5")
    assert refused.field("content-encoding") == "gzip"


def test_ranges_are_of_the_coding_that_is_sent(client: Client) -> None:
    answer = get(client, "/static/app.js", "Accept-Encoding: br", "Range: bytes=0-4")
    assert (answer.status, answer.body, answer.field("content-encoding")) == (206, b"as if", "br")


def test_a_sibling_older_than_its_file_is_not_sent(client: Client) -> None:
    answer = get(client, "/static/stale.js", "Accept-Encoding: gzip")
    assert (answer.field("content-encoding"), answer.body) == (None, SCRIPT)


# What is not there, or must not be


@pytest.mark.parametrize(
    "target",
    [
        "/static/.env",
        "/static/.git/config",
        "/static/sub/../.env",
        "/static/out.txt",
        "/static/absolute.txt",
        "/static/up/secret.txt",
        "/static/up/files/style.css",
        "/static/fifo",
        "/static/style.css/",
        "/static/style.css/x",
        "/static/bare/",
        "/static//style.css",
        "/static/sub%2findex.html",
        "/static/..%5csecret.txt",
        "/static/%ff",
        "/static/" + "a" * 300,
        "/static/sub/.well-known/x",
    ],
)
def test_what_must_not_be_served_is_not_there(client: Client, target: str) -> None:
    answer = get(client, target)
    assert answer.status == 404
    assert b"edge" not in answer.body or b"<h1>404" in answer.body


def test_no_way_out_of_the_folder(stand: Stand, root: Path) -> None:
    lines = (root / "tests/vectors/static/traversal.txt").read_text().splitlines()
    targets = [line.split("\t")[0] for line in lines if line.startswith("/")]
    assert len(targets) > 100
    for target in targets:
        with connect(stand) as client:
            client.send(request("GET", target))
            answer = client.answer()
            assert b"root:x" not in answer.body, target
            assert b"SECRET" not in answer.body, target


def test_a_folder_without_a_slash_is_sent_to_the_one_with(client: Client) -> None:
    assert get(client, "/static?a=b").field("location") == "/static/?a=b"
    answer = get(client, "/static/sub?a=%20")
    assert (answer.status, answer.field("location")) == (308, "/static/sub/?a=%20")
    assert get(client, "/static/sub/").body == b"<p>sub"


def test_a_page_of_the_site_may_say_404(client: Client) -> None:
    answer = get(client, "/own/nowhere", "If-None-Match: *", "Range: bytes=0-0")
    assert (answer.status, answer.body) == (404, b"<p>sub")


def test_a_single_page_app_answers_every_address(client: Client) -> None:
    assert get(client, "/spa/about").body == b"<p>about"
    answer = get(client, "/spa/users/7")
    assert (answer.status, answer.body) == (200, b"<p>home")
    assert get(client, "/spa/.env").status == 404


def test_the_app_answers_what_is_no_file(client: Client) -> None:
    assert get(client, "/style.css").body == b"p{}"
    assert get(client, "/nowhere").json()["path"] == "/nowhere"
    client.send(request("POST", "/style.css", body=b"x"))
    assert client.answer().json()["method"] == "POST"


# Listings


def test_a_folder_is_listed_where_that_is_wanted(client: Client) -> None:
    page = get(client, "/open/")
    assert page.field("content-type") == "text/html; charset=utf-8"
    assert b'<a href="./a%20b%20%C3%BC.txt">' in page.body
    assert b'<a href="./sub/">sub/</a>' in page.body
    for hidden in (b".env", b".git", b"fifo", b"out.txt", b"absolute.txt", b'"./up'):
        assert hidden not in page.body
    found = get(client, "/open/bare/", "Accept: application/json").json()
    assert found == {
        "entries": [
            {"name": "one.txt", "type": "file", "size": 1, "modified": "2023-11-14T22:13:20Z"}
        ],
        "complete": True,
    }


# Changes while it is served


def test_a_changed_file_is_noticed(stand: Stand, folder: Path) -> None:
    path = folder / "files" / "changing.txt"
    path.write_text("one")
    os.utime(path, (OLD, OLD))
    with connect(stand) as client:
        first = get(client, "/static/changing.txt")
        assert first.body == b"one"
        path.write_text("other")
        wait_until(lambda: get(client, "/static/changing.txt").body == b"other", stand.describe)
        assert get(client, "/static/changing.txt").field("etag") != first.field("etag")
        path.unlink()
        wait_until(lambda: get(client, "/static/changing.txt").status == 404, stand.describe)


def test_a_file_that_is_cut_while_it_is_sent_breaks_its_answer_only(
    stand: Stand, folder: Path
) -> None:
    path = folder / "files" / "cut.bin"
    path.write_bytes(bytes(8 << 20))
    with connect(stand, receive_buffer=4096) as slow, connect(stand) as other:
        slow.send(request("GET", "/static/cut.bin"))
        head = slow.head()
        assert head.field("content-length") == str(8 << 20)
        os.truncate(path, 1 << 20)
        with pytest.raises((CutOffError, ConnectionResetError)):
            slow.exactly(8 << 20)
        assert get(other, "/static/style.css").body == b"p{}"
    line = stand.wait_for_request(lambda line: line["path"] == "/static/cut.bin")
    assert line["error"] == "the file was changed while it was being sent"


def test_the_root_may_be_a_link_that_is_turned(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name / "a.txt", name.encode())
    (tmp_path / "current").symlink_to("one")
    config = '[[static]]\npath = "/"\nfolder = "current"\n'
    with running(tmp_path, "--workers", "1", config=config) as stand, connect(stand) as client:
        assert get(client, "/a.txt").body == b"one"
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").rename(tmp_path / "current")
        wait_until(lambda: get(client, "/a.txt").body == b"two", stand.describe)


# Large files


def test_a_large_file_reaches_slow_and_fast_clients_whole(stand: Stand) -> None:
    expected = hashlib.sha256(LARGE).digest()
    with connect(stand, receive_buffer=4096) as slow, connect(stand) as fast:
        for client in (slow, fast):
            client.send(request("GET", "/static/large.bin"))
        for client in (fast, slow):
            head = client.head()
            content = client.exactly(int(head.field("content-length") or 0))
            assert hashlib.sha256(content).digest() == expected
        assert get(fast, "/static/style.css").status == 200


def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    targets = ["/static/style.css", "/static/large.bin", "/static/app.js", "/nowhere"]
    client.send(b"".join(request("GET", target) for target in targets))
    bodies = [client.answer().body for _ in targets]
    assert bodies[:3] == [b"p{}", LARGE, SCRIPT]
    assert json.loads(bodies[3])["path"] == "/nowhere"


def test_a_reload_with_a_folder_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "files" / "a.txt", b"a")
    config = '[[static]]\npath = "/s"\nfolder = "files"\n'
    with running(tmp_path, "--workers", "1", config=config) as stand, connect(stand) as client:
        (tmp_path / "trivet.toml").write_text(config.replace("files", "nowhere"))
        os.kill(stand.process.pid, 1)
        stand.wait_for_text("names no folder")
        assert get(client, "/s/a.txt").body == b"a"
        assert time.time() > OLD
