"""Each limit and timeout, with its status, its log line, and what happens to the connection."""

import hashlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.http1 import (
    Client,
    CutOffError,
    chunked,
    connect,
    line_of,
    lines_of,
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
request_head = "4k"
request_fields = 20
request_target = 1000
request_body = "1m"
[timeouts]
request_head = "400ms"
keep_alive = "400ms"
body_grace = "400ms"
body_minimum_rate = "1k"
write_stall = "500ms"
linger = "300ms"
[buffers]
response_memory = "64k"
response_file = "256k"
[[route]]
path = "/do/upload"
request_buffering = false
[[route]]
path = "/large/*"
request_body = "3m"
"""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("limits")
    with running(folder, "--workers", "1", "--threads", "1", config=CONFIG) as stand:
        yield stand


@pytest.fixture
def client(stand: Stand) -> Iterator[Client]:
    with connect(stand) as client:
        yield client


def check_refusal(stand: Stand, client: Client, status: int, code: str) -> None:
    """The answer, the close and the only log line of a refused request."""
    answer = client.answer()
    assert (answer.status, answer.closes) == (status, True)
    assert client.is_ended()
    line = line_of(stand, client)
    assert (line["status"], line["error"]) == (status, code)
    assert line["request_id"] == answer.field("x-request-id")
    assert len(lines_of(stand, client)) == 1


def test_a_head_that_is_too_large_is_431(stand: Stand, client: Client) -> None:
    client.send_while_taken(request("GET", "/", "X: " + "x" * 5000))
    check_refusal(stand, client, 431, "edge.fields_too_large")


def test_a_head_that_never_ends_is_431(stand: Stand, client: Client) -> None:
    client.send_while_taken(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 5000)
    check_refusal(stand, client, 431, "edge.fields_too_large")


def test_too_many_fields_are_431(stand: Stand, client: Client) -> None:
    client.send(request("GET", "/", *[f"X-{number}: 1" for number in range(20)]))
    check_refusal(stand, client, 431, "edge.fields_too_large")


def test_a_target_that_is_too_long_is_414(stand: Stand, client: Client) -> None:
    client.send(request("GET", "/" + "x" * 1000))
    check_refusal(stand, client, 414, "edge.uri_too_long")


def test_a_target_at_the_limit_is_served(client: Client) -> None:
    assert client.get("/" + "x" * 999).status == 200


def test_declared_content_that_is_too_large_is_413(stand: Stand, client: Client) -> None:
    client.send(request("POST", "/", "Content-Length: 1048577"))
    check_refusal(stand, client, 413, "edge.content_too_large")


def test_chunked_content_that_is_too_large_is_413(stand: Stand, client: Client) -> None:
    content = chunked(*[bytes(65536)] * 17)
    client.send_while_taken(request("POST", "/", "Transfer-Encoding: chunked", body=content))
    check_refusal(stand, client, 413, "edge.content_too_large")


def test_streamed_content_that_is_too_large_is_413(
    stand: Stand, client: Client, tmp_path: Path
) -> None:
    target = f"/do/upload?folder={tmp_path}"
    content = chunked(*[bytes(65536)] * 17)
    client.send_while_taken(request("POST", target, "Transfer-Encoding: chunked", body=content))
    check_refusal(stand, client, 413, "edge.content_too_large")
    wait_for_file(tmp_path / "broken")
    assert stand.get("/").status == 200


def test_content_at_the_limit_is_served(client: Client) -> None:
    client.send(request("POST", "/do/digest", body=bytes(1 << 20)))
    assert client.answer().body.startswith(b"1048576 ")


# A connection that is closed with unread content is reset, and a browser then shows
# "connection reset" in place of the answer that it had already received.
def test_a_client_that_first_sends_all_of_its_large_content_can_read_the_413(
    stand: Stand,
) -> None:
    content = bytes(20 << 20)
    for fields in (("Connection: close",), ()):
        with connect(stand) as client:
            client.send(request("POST", "/", *fields, body=content))
            assert client.answer().status == 413
            assert client.is_ended()


# Two seconds were once the whole time for it, whatever the client was still sending.
def test_a_client_that_sends_slowly_can_read_the_413_when_it_has_sent_all(stand: Stand) -> None:
    here, _there = socket.socketpair()
    with _there, Client(here) as clock, connect(stand) as client:
        client.send(request("POST", "/", "Content-Length: 2000000"))
        for _ in range(10):
            client.send(bytes(100_000))
            assert clock.is_silent(0.1)
        assert client.answer().status == 413
        client.send(bytes(100_000))
        assert client.is_ended()


def test_a_route_may_take_larger_content(client: Client) -> None:
    client.send(request("POST", "/large/file", body=bytes(2 << 20)))
    assert len(client.answer().json()["body"]) == 2 << 20


def test_a_head_that_comes_too_slowly_is_408(stand: Stand, client: Client) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
    check_refusal(stand, client, 408, "edge.request_timeout")


def test_bytes_that_trickle_in_do_not_prolong_the_time_for_a_head(
    stand: Stand, client: Client
) -> None:
    client.send(b"GET / HTTP/1.1\r\n")
    while client.is_silent(0.05):
        client.send_while_taken(b"X: y\r\n")
    check_refusal(stand, client, 408, "edge.request_timeout")


def test_content_that_trickles_is_408(stand: Stand, client: Client) -> None:
    client.send(request("POST", "/", "Content-Length: 100000"))
    while client.is_silent(0.05):
        client.send_while_taken(b"x")
    check_refusal(stand, client, 408, "edge.request_timeout")


def test_chunks_that_trickle_are_408(stand: Stand, client: Client) -> None:
    client.send(request("POST", "/", "Transfer-Encoding: chunked"))
    while client.is_silent(0.05):
        client.send_while_taken(b"1\r\nx\r\n")
    check_refusal(stand, client, 408, "edge.request_timeout")


def test_large_content_that_stops_is_408(stand: Stand, client: Client) -> None:
    client.send(request("POST", "/", "Content-Length: 100000") + bytes(100))
    check_refusal(stand, client, 408, "edge.request_timeout")


# Content that is streamed holds a thread of a worker: a client could hold it for ever.
def test_streamed_content_that_trickles_is_408_and_frees_the_worker(
    stand: Stand, client: Client, tmp_path: Path
) -> None:
    client.send(request("POST", f"/do/upload?folder={tmp_path}", "Content-Length: 100000"))
    while client.is_silent(0.05):
        client.send_while_taken(b"x")
    check_refusal(stand, client, 408, "edge.request_timeout")
    wait_for_file(tmp_path / "broken")
    assert stand.get("/").status == 200


def test_content_that_comes_steadily_may_take_longer_than_the_grace(client: Client) -> None:
    client.send(request("POST", "/", "Content-Length: 2000"))
    for _ in range(19):
        client.send(bytes(100))
        assert client.is_silent(0.04)
    client.send(bytes(100))
    assert len(client.answer().json()["body"]) == 2000


def test_an_idle_connection_is_closed_in_silence(stand: Stand, client: Client) -> None:
    assert client.get("/").status == 200
    assert client.is_ended()
    assert line_of(stand, client)["status"] == 200
    assert len(lines_of(stand, client)) == 1


def test_a_connection_that_never_speaks_is_closed_in_silence(stand: Stand, client: Client) -> None:
    assert client.is_ended()
    assert lines_of(stand, client) == []


def test_a_client_that_takes_nothing_of_its_answer_is_dropped(stand: Stand, tmp_path: Path) -> None:
    target = f"/do/big?bytes=50000000&length=1&closed={tmp_path}/closed"
    with connect(stand, receive_buffer=4096) as client:
        client.send(request("GET", target))
        line = line_of(stand, client)
        assert (line["aborted"], line["status"]) == (True, 200)
        assert line["bytes_out"] < 50_000_000
        wait_for_file(tmp_path / "closed")
        with pytest.raises((CutOffError, ConnectionResetError)):
            client.answer()
    assert stand.get("/").status == 200


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A stand for four connections."""
    config = """
    [limits]
    connections = 4
    [timeouts]
    linger = "10s"
    """
    folder = tmp_path_factory.mktemp("small")
    with running(folder, "--workers", "1", "--threads", "1", config=config) as stand:
        yield stand


def test_one_connection_too_many_is_told_so_and_the_others_are_served(small: Stand) -> None:
    others = [connect(small) for _ in range(4)]
    try:
        for other in others:
            assert other.get("/").status == 200
        with connect(small) as client:
            client.send(request("POST", "/", body=bytes(1 << 20)))
            answer = client.answer()
            assert (answer.status, answer.field("retry-after"), answer.closes) == (503, "1", True)
            assert client.is_ended()
            line = line_of(small, client)
            assert (line["status"], line["error"]) == (503, "edge.too_many_connections")
        for other in others:
            assert other.get("/").status == 200
    finally:
        for other in others:
            other.socket.close()

    def is_served() -> bool:
        with connect(small) as client:
            return client.get("/").status == 200

    wait_until(is_served, small.describe)


def test_a_flood_of_connections_is_refused_one_by_one(small: Stand) -> None:
    held = [connect(small) for _ in range(4)]
    for client in held:
        client.get("/")
    flood = [connect(small) for _ in range(100)]
    for client in flood:
        assert client.answer().status == 503
    for client in [*held, *flood]:
        client.socket.close()
    wait_until(lambda: small.get("/").status == 200, small.describe)


def test_without_descriptors_accepting_pauses_and_goes_on_later(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "1") as stand:
        stand.get("/")
        (edge,) = stand.children("edge")
        descriptors = len(list(Path(f"/proc/{edge}/fd").iterdir()))
        _, most = resource.prlimit(edge, resource.RLIMIT_NOFILE)
        resource.prlimit(edge, resource.RLIMIT_NOFILE, (descriptors + 1, most))
        with connect(stand) as first, connect(stand) as second:
            assert first.get("/first").status == 200
            second.send(request("GET", "/second"))
            stand.wait_for_text("accepting pauses")
            assert first.get("/first").status == 200
            first.socket.close()
            assert second.answer().json()["path"] == "/second"


SPOOL = """
[timeouts]
write_stall = "5s"
[buffers]
folder = "{folder}"
response_memory = "64k"
response_file = "1g"
"""


@pytest.fixture
def spooling(tmp_path: Path) -> Iterator[Stand]:
    (tmp_path / "spool").mkdir()
    config = SPOOL.format(folder=tmp_path / "spool")
    with running(tmp_path, "--workers", "1", "--threads", "1", config=config) as stand:
        yield stand


def test_without_room_for_its_content_only_that_request_is_507(
    spooling: Stand, tmp_path: Path
) -> None:
    (tmp_path / "spool").rmdir()
    with connect(spooling) as client:
        client.send_while_taken(request("POST", "/", body=bytes(100_000)))
        answer = client.answer()
        assert (answer.status, answer.field("retry-after"), answer.closes) == (507, "30", True)
        assert line_of(spooling, client)["error"] == "edge.insufficient_storage"
    assert spooling.request("POST", "/", body=bytes(60_000)).status == 200
    (tmp_path / "spool").mkdir()
    assert spooling.request("POST", "/", body=bytes(100_000)).status == 200


def limit_files(stand: Stand, size: int) -> None:
    """Let the edge's files grow to `size` only, as a full disk would."""
    (edge,) = stand.children("edge")
    resource.prlimit(edge, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_disk_that_fills_up_in_mid_request_costs_that_request(spooling: Stand) -> None:
    limit_files(spooling, 600_000)
    for fields, content in (
        ((), bytes(2_000_000)),
        (("Transfer-Encoding: chunked",), chunked(*[bytes(65536)] * 30)),
    ):
        with connect(spooling) as client:
            client.send_while_taken(request("POST", "/", *fields, body=content))
            assert client.answer().status == 507
    assert spooling.request("POST", "/", body=bytes(500_000)).status == 200


def test_an_answer_is_whole_even_where_it_cannot_be_spilled(spooling: Stand) -> None:
    limit_files(spooling, 1)
    with connect(spooling, receive_buffer=4096) as client:
        client.send(request("GET", "/do/big?bytes=8000000"))
        client.head()
        # The worker is held: nothing else can be done with its content.
        with connect(spooling) as other:
            other.send(request("GET", "/other"))
            assert other.is_silent(0.2)
            digest, length = hashlib.sha256(), 0
            for chunk in client.chunks():
                digest.update(chunk)
                length += len(chunk)
            assert other.answer().status == 200
    assert (length, digest.hexdigest()) == (8_000_000, big_digest(8_000_000))


def big_digest(size: int) -> str:
    """What `/do/big` sends."""
    piece = bytes(range(256)) * 256
    return hashlib.sha256((piece * (size // len(piece) + 1))[:size]).hexdigest()


def test_without_a_folder_large_content_is_streamed_and_no_file_is_made(tmp_path: Path) -> None:
    config = """
    [buffers]
    folder = "none"
    """
    with running(tmp_path, "--workers", "1", "--threads", "1", config=config) as stand:
        body = os.urandom(3_000_000)
        digest = hashlib.sha256(body).hexdigest()
        for fields, content in (
            ((), body),
            (("Transfer-Encoding: chunked",), chunked(body[:1_000_000], body[1_000_000:])),
        ):
            with connect(stand) as client:
                client.send(request("POST", "/do/digest", *fields, body=content))
                assert client.answer().body == f"3000000 {digest}".encode()
                assert client.get("/").status == 200


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A stand whose only worker takes one request, and whose queue another one."""
    config = """
    [server]
    window = 1
    [limits]
    queue = 1
    [timeouts]
    queue_wait = "500ms"
    [[route]]
    path = "/streamed"
    request_buffering = false
    """
    folder = tmp_path_factory.mktemp("busy")
    with running(folder, "--workers", "1", "--threads", "1", config=config) as stand:
        yield stand


@pytest.fixture
def held(busy: Stand, tmp_path: Path) -> Iterator[Stand]:
    """The same, while its worker is busy."""
    fifo = make_fifo(tmp_path)
    with connect(busy) as client:
        client.send(request("GET", f"/do/hold?fifo={fifo}&here={tmp_path}/here"))
        wait_for_file(tmp_path / "here")
        yield busy
        release(fifo)
        assert client.answer().body == b"held"


def test_a_request_that_waited_too_long_is_503_and_never_runs(held: Stand) -> None:
    with connect(held) as client:
        answer = client.get("/late")
        assert (answer.status, answer.field("retry-after"), answer.closes) == (503, "1", False)
        line = line_of(held, client)
        assert (line["error"], "worker" in line) == ("app.queue_timeout", False)


def test_a_request_that_finds_the_queue_full_is_503_at_once(held: Stand) -> None:
    with connect(held) as waiting, connect(held) as client:
        waiting.send(request("GET", "/waiting"))
        # Whichever of the two came second finds no room.
        client.send(request("GET", "/second"))
        answers = [waiting.answer(), client.answer()]
        assert [answer.status for answer in answers] == [503, 503]
        errors = {line_of(held, each)["error"] for each in (waiting, client)}
        assert errors == {"app.queue_full", "app.queue_timeout"}
        assert {answer.field("retry-after") for answer in answers} == {"1"}


# The edge kept the connection, and read the content as the next request: an attacker could
# put requests into a connection that a proxy shares among its clients.
def test_the_content_of_a_refused_streamed_request_is_never_read_as_a_request(
    held: Stand,
) -> None:
    with connect(held) as waiting, connect(held) as client:
        waiting.send(request("GET", "/waiting"))
        assert waiting.is_silent(0.1)
        client.send(request("POST", "/streamed", body=request("GET", "/smuggled")))
        answer = client.answer()
        assert (answer.status, answer.closes) == (503, True)
        assert client.is_ended()
        assert line_of(held, client)["path"] == "/streamed"
        assert len(lines_of(held, client)) == 1
        assert waiting.answer().status == 503


# The wait was counted from the head, so that a slow upload was refused by an idle server.
def test_the_wait_for_a_worker_begins_when_the_content_is_there(busy: Stand) -> None:
    with connect(busy) as client:
        client.send(request("POST", "/", "Content-Length: 10") + b"hello")
        assert client.is_silent(0.7)
        client.send(b"world")
        answer = client.answer()
        assert (answer.status, answer.json()["body"]) == (200, "helloworld")
        assert line_of(busy, client)["queue_ms"] < 500


def test_slow_clients_do_not_hold_up_a_fast_one(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "1", "--threads", "1") as stand:
        slow = [connect(stand) for _ in range(64)]
        data = request("POST", "/slow", body=b"x" * 40)
        try:
            for byte in data:
                for client in slow:
                    client.send(bytes([byte]))
                with connect(stand) as fast:
                    assert fast.get("/fast").json()["path"] == "/fast"
            assert [client.answer().status for client in slow] == [200] * 64
        finally:
            for client in slow:
                client.socket.close()


def test_a_request_beyond_the_limit_of_concurrency_is_503_at_once(tmp_path: Path) -> None:
    config = '[limits]\nconcurrency = 1\n[health]\nlive = "/livez"\n'
    fifo = make_fifo(tmp_path)
    with running(tmp_path, "--workers", "1", "--threads", "4", config=config) as stand:
        with connect(stand) as running_one, connect(stand) as client:
            running_one.send(request("GET", f"/do/hold?fifo={fifo}&here={tmp_path}/here"))
            wait_for_file(tmp_path / "here")
            answer = client.get("/second")
            assert (answer.status, answer.field("retry-after"), answer.closes) == (503, "1", False)
            line = line_of(stand, client)
            assert (line["error"], "worker" in line) == ("app.concurrency_limit", False)
            assert client.get("/livez").status == 200
            release(fifo)
            assert running_one.answer().body == b"held"
        assert stand.get("/third").status == 200
