"""Connections: kept, pipelined, closed; HTTP/1.0; informational and contentless answers."""

import hashlib
import re
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e.http1 import (
    Client,
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

IMF_FIXDATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d "
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT"
)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    config = """
    [limits]
    request_body = "1m"
    [[route]]
    path = "/do/early"
    request_buffering = false
    """
    folder = tmp_path_factory.mktemp("connection")
    with running(folder, "--workers", "1", "--threads", "2", config=config) as stand:
        yield stand


@pytest.fixture
def client(stand: Stand) -> Iterator[Client]:
    with connect(stand) as client:
        yield client


def test_a_connection_serves_many_requests(client: Client) -> None:
    for number in range(50):
        answer = client.get(f"/{number}")
        assert (answer.json()["path"], answer.field("connection")) == (f"/{number}", None)


def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    client.send(b"".join(request("GET", f"/{number}") for number in range(100)))
    assert [client.answer().json()["path"] for _ in range(100)] == [f"/{n}" for n in range(100)]


def test_pipelined_requests_keep_their_content_apart(client: Client) -> None:
    bodies = [b"one", b"x" * 70_000, b"", b"GET /not-a-request HTTP/1.1\r\n\r\n", b"y" * 300_000]
    client.send(
        b"".join(
            request("POST", "/length", body=body)
            + request("PUT", "/chunks", "Transfer-Encoding: chunked", body=chunked(body or b"z"))
            for body in bodies
        )
    )
    for body in bodies:
        first, second = client.answer().json(), client.answer().json()
        assert (first["method"], first["body"].encode()) == ("POST", body)
        assert (second["method"], second["body"].encode()) == ("PUT", body or b"z")


def test_a_request_may_be_followed_by_a_part_of_the_next(client: Client) -> None:
    data = request("POST", "/a", body=b"abc") + request("GET", "/b")
    client.send(data[:-10])
    assert client.answer().json()["body"] == "abc"
    client.send(data[-10:])
    assert client.answer().json()["path"] == "/b"


def test_the_client_may_ask_to_close(client: Client) -> None:
    answer = client.get("/", "Connection: close")
    assert answer.closes
    assert client.is_ended()


def test_the_app_may_ask_to_close(client: Client) -> None:
    assert client.get("/do/fields?Connection=close").closes
    assert client.is_ended()


def test_nothing_is_read_behind_a_request_that_closes(stand: Stand, client: Client) -> None:
    client.send(request("GET", "/first", "Connection: close"), request("GET", "/second"))
    assert client.answer().json()["path"] == "/first"
    assert client.is_ended()
    assert line_of(stand, client)["path"] == "/first"
    assert len(lines_of(stand, client)) == 1


def test_http_1_0_is_closed_after_its_answer(client: Client) -> None:
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    answer = client.answer()
    assert (answer.version, answer.status) == ("HTTP/1.1", 200)
    assert client.is_ended()


def test_http_1_0_may_ask_to_be_kept(client: Client) -> None:
    for _ in range(2):
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.answer().field("connection") == "keep-alive"


def test_http_1_0_never_gets_chunks(client: Client) -> None:
    client.send(b"GET /do/pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    answer = client.answer()
    assert (answer.body, answer.field("transfer-encoding")) == (b"firstsecond", None)
    assert answer.closes


def test_absolute_form_names_the_host(client: Client) -> None:
    client.send(b"GET http://other.example:81/path?q HTTP/1.1\r\nHost: other.example:81\r\n\r\n")
    seen = client.answer().json()
    assert (seen["path"], seen["query"], seen["fields"]["HOST"]) == (
        "/path",
        "q",
        "other.example:81",
    )


def test_options_asterisk_reaches_the_app(client: Client) -> None:
    client.send(request("OPTIONS", "*"))
    seen = client.answer().json()
    assert (seen["method"], seen["path"]) == ("OPTIONS", "*")


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_content_has_none(client: Client, status: int) -> None:
    client.send(request("GET", f"/do/status?status={status}"), request("GET", "/next"))
    answer = client.answer()
    assert (answer.status, answer.field("transfer-encoding")) == (status, None)
    assert client.answer().json()["path"] == "/next"


def test_a_204_says_no_length(client: Client) -> None:
    assert client.get("/do/status?status=204").field("content-length") is None


def test_a_205_says_that_its_content_is_empty(client: Client) -> None:
    answer = client.get("/do/status?status=205")
    assert (answer.status, answer.field("content-length"), answer.body) == (205, "0", b"")


@pytest.mark.parametrize("status", [100, 101, 103, 600])
def test_an_app_cannot_answer_with_what_is_no_final_status(client: Client, status: int) -> None:
    assert client.get(f"/do/status?status={status}").status == 500
    assert client.get("/next").status == 200


@pytest.mark.parametrize("target", ["/", "/do/pieces", "/do/big?bytes=1000000"])
def test_head_has_the_fields_and_not_the_content(client: Client, target: str) -> None:
    client.send(request("HEAD", target), request("GET", "/next"))
    assert client.answer("HEAD").status == 200
    assert client.answer().json()["path"] == "/next"


def test_head_tells_the_length_that_get_would_have(client: Client) -> None:
    client.send(request("HEAD", "/do/big?bytes=1000&length=1"))
    assert client.answer("HEAD").field("content-length") == "1000"


def test_head_of_a_problem_has_no_content(client: Client) -> None:
    client.send(request("HEAD", "/do/raise?early=1"), request("GET", "/next"))
    answer = client.answer("HEAD")
    assert (answer.status, answer.field("content-length") is None) == (500, False)
    assert client.answer().json()["path"] == "/next"


def test_each_answer_has_a_date_and_a_server(client: Client) -> None:
    for target in ("/", "/do/raise?early=1"):
        answer = client.get(target)
        assert IMF_FIXDATE.fullmatch(answer.field("date") or "")
        assert answer.field("server") == "Trivet"


def test_the_apps_own_date_and_server_win(client: Client) -> None:
    answer = client.get("/do/fields?Date=then&Server=mine")
    assert (answer.field("date"), answer.field("server")) == ("then", "mine")


def test_the_server_field_can_be_switched_off(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("quiet")
    config = "[server]\nserver_field = 'off'"
    with running(folder, "--workers", "1", config=config) as stand, connect(stand) as client:
        assert client.get("/").field("server") is None
        assert client.get("/do/raise?early=1").field("server") is None
        assert client.get("/").field("date")


def test_trailers_are_accepted_and_dropped(client: Client) -> None:
    body = chunked(b"abc", trailers=b"X-Sum: 1\r\nHost: evil\r\n")
    client.send(request("POST", "/", "Transfer-Encoding: chunked", "Trailer: X-Sum", body=body))
    seen = client.answer().json()
    assert (seen["body"], seen["fields"]["HOST"]) == ("abc", "a")
    assert "X_SUM" not in seen["fields"]
    assert client.get("/next").status == 200


@pytest.mark.parametrize("size", [1, 2, 1000, 65536, 100_000])
def test_chunks_may_have_any_size(client: Client, size: int) -> None:
    body = bytes(range(256)) * (4 if size < 10 else 800)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    client.send(request("POST", "/", "Transfer-Encoding: chunked", body=chunked(*pieces)))
    assert client.answer().json()["body"].encode("latin-1") == body


EXPECTING = ("Expect: 100-continue", "Content-Length: 5")


def test_a_client_that_waits_is_told_to_continue(client: Client) -> None:
    client.send(request("POST", "/", *EXPECTING))
    assert client.answer().status == 100
    client.send(b"hello")
    assert client.answer().json()["body"] == "hello"


def test_a_client_that_does_not_wait_is_not_told_to_continue(client: Client) -> None:
    client.send(request("POST", "/", *EXPECTING) + b"hello")
    assert client.answer().json()["body"] == "hello"


def test_a_chunked_request_is_told_to_continue(client: Client) -> None:
    client.send(request("POST", "/", "Expect: 100-continue", "Transfer-Encoding: chunked"))
    assert client.answer().status == 100
    client.send(chunked(b"hello"))
    assert client.answer().json()["body"] == "hello"


def test_a_request_without_content_is_not_told_to_continue(client: Client) -> None:
    assert client.get("/", "Expect: 100-continue").status == 200


def test_content_that_is_too_large_is_not_asked_for(client: Client) -> None:
    client.send(request("POST", "/", "Expect: 100-continue", "Content-Length: 2000000"))
    assert client.answer().status == 413
    assert client.is_ended()


def test_content_that_the_app_does_not_want_is_not_asked_for(client: Client) -> None:
    client.send(request("POST", "/do/early", *EXPECTING))
    answer = client.answer()
    assert (answer.status, answer.body, answer.closes) == (200, b"early", True)
    assert client.is_ended()


def test_content_that_the_app_left_is_never_read_as_a_request(stand: Stand, client: Client) -> None:
    client.send(request("POST", "/do/early", body=request("GET", "/smuggled")))
    assert client.answer().closes
    assert client.is_ended()
    assert line_of(stand, client)["path"] == "/do/early"
    assert len(lines_of(stand, client)) == 1


def test_a_pipelined_request_waits_for_the_one_before(
    stand: Stand, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("hold")
    fifo = make_fifo(folder)
    client.send(
        request("GET", f"/do/hold?fifo={fifo}&here={folder}/here"), request("GET", "/second")
    )
    wait_for_file(folder / "here")
    assert client.is_silent(0.1)
    release(fifo)
    assert client.answer().body == b"held"
    assert client.answer().json()["path"] == "/second"
    assert stand.process.poll() is None


def test_a_client_that_leaves_while_the_app_works_is_noticed(
    stand: Stand, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("leave")
    fifo = make_fifo(folder)
    # As long as the largest content that stays in memory: the edge still looks.
    body = b"x" * 65536
    with connect(stand) as client:
        client.send(request("POST", f"/do/hold?fifo={fifo}&here={folder}/here", body=body))
        wait_for_file(folder / "here")
        port = client.port
    line = line_of(stand, port)
    assert (line["aborted"], line["level"]) == (True, "warning")
    release(fifo)


def test_an_empty_line_after_a_form_is_no_request(stand: Stand, client: Client) -> None:
    client.send(request("POST", "/", body=b"a=b") + b"\r\n")
    assert client.answer().status == 200
    client.send(request("GET", "/next"))
    assert client.answer().json()["path"] == "/next"
    wait_until(lambda: len(lines_of(stand, client)) == 2, stand.describe)


def test_a_connection_without_a_request_has_no_log_line(stand: Stand) -> None:
    with connect(stand) as client:
        port = client.port
    with connect(stand) as client:
        client.get("/marker")
        line_of(stand, client)
    assert lines_of(stand, port) == []


def test_a_client_that_leaves_in_the_middle_of_a_head_is_logged(stand: Stand) -> None:
    with connect(stand) as client:
        client.send(b"GET / HT")
        port = client.port
    line = line_of(stand, port)
    assert (line["aborted"], line["method"]) == (True, "")


# A connection takes its turn in this order: what is one request to the client must be one to
# the edge, however the bytes are cut.
ONE_REQUEST = st.tuples(
    st.sampled_from(["none", "length", "chunks"]),
    st.binary(max_size=300) | st.integers(0, 200_000).map(bytes),
    st.integers(1, 5000),
)


@given(sent=st.lists(ONE_REQUEST, min_size=1, max_size=8), cuts=st.lists(st.integers(1, 9000)))
@settings(max_examples=60)
def test_any_requests_cut_anywhere_are_answered_in_order(
    stand: Stand, sent: list[tuple[str, bytes, int]], cuts: list[int]
) -> None:
    data = b""
    for number, (framing, body, size) in enumerate(sent):
        target = f"/do/digest?{number}"
        if framing == "chunks":
            pieces = [body[at : at + size] for at in range(0, len(body), size)]
            data += request("POST", target, "Transfer-Encoding: chunked", body=chunked(*pieces))
        else:
            data += request("POST", target, body=body if framing == "length" else b"")
    with connect(stand) as client:
        at = 0
        for cut in cuts:
            client.send(data[at : at + cut])
            at += cut
        client.send(data[at:])
        for framing, body, _ in sent:
            content = b"" if framing == "none" else body
            expected = f"{len(content)} {hashlib.sha256(content).hexdigest()}"
            assert client.answer().body.decode() == expected


# As nginx and hyper do: nobody can tell a client that has finished from one that has gone.
def test_a_client_that_closes_its_side_is_taken_for_gone(stand: Stand, client: Client) -> None:
    client.send(request("POST", "/", "Content-Length: 10") + b"hello")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.is_ended()
    assert line_of(stand, client)["aborted"]
