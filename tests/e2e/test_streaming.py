"""Large and slow content, both ways: intact, flushed as it comes, and never at a worker's cost."""

import hashlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.http1 import (
    Client,
    CutOffError,
    chunked,
    connect,
    line_of,
    make_fifo,
    release,
    request,
    running,
    wait_for_file,
)
from tests.e2e.stand import Stand
from tests.waiting import wait_until

CONFIG = """
[limits]
request_body = "64m"
[timeouts]
write_stall = "30s"
[[route]]
path = "/do/upload"
request_buffering = false
[[route]]
path = "/do/duplex"
request_buffering = false
[[route]]
path = "/do/first"
request_buffering = false
"""
PIECE = bytes(range(256)) * 256


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A stand whose only worker has one thread: whoever holds it stops everybody."""
    folder = tmp_path_factory.mktemp("streaming")
    with running(folder, "--workers", "1", "--threads", "1", config=CONFIG) as stand:
        yield stand


@pytest.fixture
def client(stand: Stand) -> Iterator[Client]:
    with connect(stand) as client:
        yield client


def sent_by_app(size: int) -> str:
    """The digest of what `/do/big` sends."""
    digest = hashlib.sha256()
    for _ in range(size // len(PIECE)):
        digest.update(PIECE)
    digest.update(PIECE[: size % len(PIECE)])
    return digest.hexdigest()


def read_big(client: Client) -> tuple[int, str]:
    """Read chunks to the end, without keeping them."""
    digest, length = hashlib.sha256(), 0
    for chunk in client.chunks():
        digest.update(chunk)
        length += len(chunk)
    return length, digest.hexdigest()


# Requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 300_000, 20_000_000])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_content_of_any_size_arrives_intact(client: Client, size: int, framing: str) -> None:
    body = os.urandom(size)
    fields: tuple[str, ...] = ()
    content = body
    if framing == "chunks":
        fields = ("Transfer-Encoding: chunked",)
        content = chunked(*[body[at : at + 50_001] for at in range(0, size, 50_001)])
    for _ in range(2):  # the connection is still in step afterwards
        client.send(request("POST", "/do/digest", *fields, body=content))
        assert client.answer().body == f"{size} {hashlib.sha256(body).hexdigest()}".encode()


def test_large_content_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    config = f"[buffers]\nfolder = '{spool}'"
    with running(tmp_path, "--workers", "1", config=config) as stand:
        fifo = make_fifo(tmp_path)
        with connect(stand) as client:
            target = f"/do/hold?fifo={fifo}&here={tmp_path}/here"
            client.send(request("POST", target, body=bytes(1_000_000)))
            wait_for_file(tmp_path / "here")
            assert list(spool.iterdir()) == []
            release(fifo)
            assert client.answer().status == 200
        (edge,) = stand.children("edge")
        wait_until(lambda: not spooled(edge, spool), stand.describe)


def spooled(edge: int, spool: Path) -> list[int]:
    """Sizes of the nameless files that the edge holds in a folder."""
    sizes = []
    for descriptor in Path(f"/proc/{edge}/fd").iterdir():
        try:
            if descriptor.readlink().is_relative_to(spool):
                sizes.append(descriptor.stat().st_size)
        except FileNotFoundError:
            continue
    return sizes


def test_a_slow_upload_holds_no_worker(stand: Stand, client: Client) -> None:
    client.send(request("POST", "/do/digest", "Content-Length: 200000") + bytes(199_999))
    for _ in range(3):
        assert stand.get("/other").status == 200
    client.send(b"x")
    assert client.answer().body.startswith(b"200000 ")


def test_streamed_content_reaches_the_app_as_it_comes(client: Client, tmp_path: Path) -> None:
    client.send(request("POST", f"/do/upload?folder={tmp_path}", "Content-Length: 10"))
    wait_for_file(tmp_path / "begun")
    client.send(b"hello")
    wait_for_file(tmp_path / "got-5")
    client.send(b"world")
    assert client.answer().body == b"10"
    assert client.get("/next").status == 200


def test_streamed_chunks_reach_the_app_as_they_come(client: Client, tmp_path: Path) -> None:
    target = f"/do/upload?folder={tmp_path}"
    client.send(request("POST", target, "Transfer-Encoding: chunked"))
    wait_for_file(tmp_path / "begun")
    client.send(b"5\r\nhe")
    wait_for_file(tmp_path / "got-2")
    client.send(b"llo\r\n5;x=y\r\nworld\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert client.answer().body == b"10"
    assert client.get("/next").status == 200


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_streamed_content_is_asked_for_when_the_app_reads(
    client: Client, tmp_path: Path, framing: str
) -> None:
    target = f"/do/upload?folder={tmp_path}"
    client.send(request("POST", target, "Expect: 100-continue", framing))
    assert client.answer().status == 100
    client.send(b"hello" if "Length" in framing else chunked(b"hello"))
    assert client.answer().body == b"5"
    assert client.get("/next").status == 200


# Worker and edge once disagreed about how much had been asked for, and both waited.
@pytest.mark.parametrize("size", [262_144, 262_145, 5_000_000])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_large_streamed_content_arrives_whole(
    client: Client, tmp_path: Path, size: int, framing: str
) -> None:
    body = bytes(size)
    fields: tuple[str, ...] = ()
    if framing == "chunks":
        fields = ("Transfer-Encoding: chunked",)
        body = chunked(*[body[at : at + 10_007] for at in range(0, size, 10_007)])
    client.send(request("POST", f"/do/upload?folder={tmp_path}", *fields, body=body))
    assert client.answer().body == str(size).encode()
    assert client.get("/next").status == 200


def test_pipelined_requests_follow_streamed_content(client: Client, tmp_path: Path) -> None:
    target = f"/do/upload?folder={tmp_path}"
    client.send(
        request("POST", target, body=b"x" * 70_000)
        + request("POST", target, "Transfer-Encoding: chunked", body=chunked(b"y" * 70_000))
        + request("GET", "/after")
    )
    assert [client.answer().body for _ in range(2)] == [b"70000", b"70000"]
    assert client.answer().json()["path"] == "/after"


def test_an_app_may_answer_while_the_content_still_comes(client: Client) -> None:
    client.send(request("POST", "/do/duplex", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n")
    client.head()
    assert client.chunk() == b"3"
    client.send(b"5\r\nhello\r\n")
    assert client.chunk() == b"5"
    client.send(b"0\r\n\r\n")
    assert client.chunk() == b""


# The edge once waited for the client alone: the app's answer was lost to a 408.
def test_an_app_may_answer_before_it_has_got_all(client: Client) -> None:
    client.send(request("POST", "/do/first", "Content-Length: 100") + b"hello")
    answer = client.answer()
    assert (answer.body, answer.closes) == (b"hello", True)
    assert client.is_ended()


def test_a_bad_chunk_in_streamed_content_is_400(client: Client, tmp_path: Path) -> None:
    target = f"/do/upload?folder={tmp_path}"
    client.send(request("POST", target, "Transfer-Encoding: chunked") + b"3\r\nabcd\r\n")
    answer = client.answer()
    assert (answer.status, answer.closes) == (400, True)
    assert client.is_ended()
    wait_for_file(tmp_path / "broken")


def test_an_upload_that_breaks_off_never_reaches_the_app(stand: Stand) -> None:
    before = stand.get("/do/count").body
    for length in (1000, 200_000):
        with connect(stand) as client:
            client.send(request("POST", "/", f"Content-Length: {length}") + bytes(500))
            port = client.port
        line = line_of(stand, port)
        assert (line["aborted"], line["bytes_in"], line["path"]) == (True, 500, "/")
    assert stand.get("/do/count").body == before


def test_a_streamed_upload_that_breaks_off_raises_in_the_app_and_frees_it(
    stand: Stand, tmp_path: Path
) -> None:
    with connect(stand) as client:
        target = f"/do/upload?folder={tmp_path}"
        client.send(request("POST", target, "Content-Length: 1000") + bytes(500))
        wait_for_file(tmp_path / "got-500")
        port = client.port
    wait_for_file(tmp_path / "broken")
    assert line_of(stand, port)["aborted"]
    assert stand.get("/next").status == 200
    # A client that leaves is no error of the app: its line in the access log says it all.
    assert "POST /do/upload failed" not in stand.describe()
    assert "POST /do/upload broke" not in stand.describe()


# Answers --------------------------------------------------------------------------------------


def test_a_piece_is_sent_before_the_app_makes_the_next(client: Client, tmp_path: Path) -> None:
    fifo = make_fifo(tmp_path)
    client.send(request("GET", f"/do/pieces?fifo={fifo}"))
    assert client.head().field("transfer-encoding") == "chunked"
    assert client.chunk() == b"first"
    release(fifo)
    assert client.chunk() == b"second"
    assert client.chunk() == b""
    assert client.get("/next").status == 200


def test_a_piece_is_sent_to_http_1_0_before_the_app_makes_the_next(
    client: Client, tmp_path: Path
) -> None:
    fifo = make_fifo(tmp_path)
    client.send(f"GET /do/pieces?fifo={fifo} HTTP/1.0\r\n\r\n")
    client.head()
    assert client.exactly(5) == b"first"
    release(fifo)
    assert client.rest() == b"second"


@pytest.mark.parametrize("size", [65_536, 1_000_000, 10_000_000])
def test_a_large_answer_arrives_whole(client: Client, size: int) -> None:
    client.send(request("GET", f"/do/big?bytes={size}"))
    client.head()
    assert read_big(client) == (size, sent_by_app(size))
    client.send(request("GET", f"/do/big?bytes={size}&length=1"))
    assert hashlib.sha256(client.answer().body).hexdigest() == sent_by_app(size)


@pytest.mark.parametrize("size", [10_000_000, 200_000_000])
def test_a_slow_reader_of_a_large_answer_holds_no_worker(
    stand: Stand, tmp_path: Path, size: int
) -> None:
    with connect(stand, receive_buffer=65536) as client:
        client.send(request("GET", f"/do/big?bytes={size}&done={tmp_path}/done"))
        client.head()
        wait_for_file(tmp_path / "done")
        for _ in range(3):
            assert stand.get("/other").status == 200
        assert read_big(client) == (size, sent_by_app(size))
        line = line_of(stand, client)
        assert (line["bytes_out"], line.get("aborted")) == (size, None)


def test_an_answer_that_fills_memory_and_file_waits_for_its_client(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    config = f"""
    [buffers]
    folder = "{spool}"
    response_memory = "64k"
    response_file = "1m"
    """
    with running(tmp_path, "--workers", "1", "--threads", "1", config=config) as stand:
        (edge,) = stand.children("edge")
        with connect(stand, receive_buffer=4096) as client:
            client.send(request("GET", f"/do/big?bytes=30000000&done={tmp_path}/done"))
            client.head()
            wait_until(
                lambda: any(size >= 1 << 20 for size in spooled(edge, spool)), stand.describe
            )
            with connect(stand) as other:
                other.send(request("GET", "/other"))
                assert other.is_silent(0.2)
                assert max(spooled(edge, spool)) < 3 << 20
                assert not (tmp_path / "done").exists()
                assert read_big(client) == (30_000_000, sent_by_app(30_000_000))
                assert other.answer().status == 200
        wait_until(lambda: not spooled(edge, spool), stand.describe)


# Credit was given when content had been sent, not when it had left memory: where all that the
# worker may send came at once, it waited for a client that took nothing.
def test_with_little_memory_a_slow_reader_holds_no_worker_either(tmp_path: Path) -> None:
    config = """
    [buffers]
    response_memory = "16k"
    """
    with running(tmp_path, "--workers", "1", "--threads", "1", config=config) as stand:
        for number in range(10):
            with connect(stand, receive_buffer=4096) as client:
                done = tmp_path / f"done-{number}"
                client.send(request("GET", f"/do/big?bytes=8000000&done={done}"))
                wait_for_file(done)


def test_an_apps_file_keeps_its_place_behind_what_was_written_before(
    stand: Stand, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"the end" * 100_000)
    written = 40
    with connect(stand, receive_buffer=4096) as client:
        client.send(request("GET", f"/do/file?path={file}&first={written}"))
        client.head()
        length, digest = read_big(client)
    expected = PIECE * written + file.read_bytes()
    assert (length, digest) == (len(expected), hashlib.sha256(expected).hexdigest())


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_an_apps_file_arrives_whole(client: Client, tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    client.send(request("GET", f"/do/file?path={file}"))
    answer = client.answer()
    assert answer.body == file.read_bytes()
    assert client.get("/next").status == 200


def test_a_client_that_leaves_in_mid_answer_frees_the_worker(stand: Stand, tmp_path: Path) -> None:
    target = f"/do/big?bytes=10000000000&closed={tmp_path}/closed"
    with connect(stand) as client:
        client.send(request("GET", target))
        client.head()
        client.exactly(100_000)
        port = client.port
    wait_for_file(tmp_path / "closed")
    line = line_of(stand, port)
    assert (line["aborted"], line["status"]) == (True, 200)
    assert line["bytes_out"] >= 65536
    assert stand.get("/next").status == 200


def test_a_client_that_leaves_between_pieces_frees_the_worker(stand: Stand, tmp_path: Path) -> None:
    fifo = make_fifo(tmp_path)
    with connect(stand) as client:
        client.send(request("GET", f"/do/pieces?fifo={fifo}"))
        client.head()
        assert client.chunk() == b"first"
        port = client.port
    assert line_of(stand, port)["aborted"]
    release(fifo)
    assert stand.get("/next").status == 200


def test_an_error_in_mid_answer_is_never_a_clean_end(stand: Stand, client: Client) -> None:
    client.send(request("GET", "/do/raise"))
    answer = client.head()
    assert (answer.status, client.chunk()) == (200, b"begun")
    with pytest.raises((CutOffError, ConnectionResetError)):
        client.chunk()
    line = line_of(stand, client)
    assert (line["status"], "ZeroDivisionError" in line["error"]) == (200, True)


def test_an_error_in_mid_answer_cuts_a_promised_length_short(client: Client) -> None:
    client.send(request("GET", "/do/raise?length=1"))
    assert client.head().field("content-length") == "100"
    assert client.exactly(5) == b"begun"
    with pytest.raises((CutOffError, ConnectionResetError)):
        client.exactly(1)


# HTTP/1.0 content ends with the connection: an orderly close would say that it was all.
def test_an_error_in_mid_answer_resets_http_1_0(client: Client) -> None:
    client.send(b"GET /do/raise HTTP/1.0\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        client.answer()


def test_an_app_that_sends_less_than_it_promised_is_cut_off(stand: Stand, client: Client) -> None:
    client.send(request("GET", "/do/short?sent=4"))
    assert client.head().status == 200
    with pytest.raises((CutOffError, ConnectionResetError)):
        client.exactly(10)
    assert line_of(stand, client)["status"] == 200


def test_an_app_that_sends_more_than_it_promised_gets_nothing_out(client: Client) -> None:
    client.send(request("GET", "/do/short?sent=14"), request("GET", "/next"))
    answer = client.answer()
    assert (answer.status, b"xxx" in answer.body) == (500, False)
    assert client.answer().json()["path"] == "/next"


def test_an_app_that_sends_more_than_it_promised_behind_its_head_is_cut_off(
    stand: Stand, client: Client, tmp_path: Path
) -> None:
    fifo = make_fifo(tmp_path)
    client.send(request("GET", f"/do/short?sent=4&then=14&fifo={fifo}"), request("GET", "/next"))
    assert (client.head().status, client.exactly(4)) == (200, b"xxxx")
    release(fifo)
    # Neither what was too much, nor anything that could be taken for it: the next answer.
    with pytest.raises((CutOffError, ConnectionResetError)):
        client.exactly(7)
    line = line_of(stand, client)
    assert (line["status"], "sent more" in line["error"]) == (200, True)


def test_two_slow_readers_get_each_their_own(stand: Stand, tmp_path: Path) -> None:
    clients = [connect(stand, receive_buffer=4096) for _ in range(4)]
    for number, client in enumerate(clients):
        done = tmp_path / f"done-{number}"
        client.send(request("GET", f"/do/big?bytes={5_000_000 + number}&done={done}"))
    results: dict[int, tuple[int, str]] = {}

    def read(number: int) -> None:
        clients[number].head()
        results[number] = read_big(clients[number])

    readers = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)
    for client in clients:
        client.socket.shutdown(socket.SHUT_RDWR)
        client.socket.close()
    assert results == {n: (5_000_000 + n, sent_by_app(5_000_000 + n)) for n in range(4)}
