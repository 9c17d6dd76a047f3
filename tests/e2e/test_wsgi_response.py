"""From `start_response` and an iterable to a response: the rules, and what breaking them gives."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.e2e.apps import serving
from tests.e2e.apps.journal import Journal
from tests.e2e.stand import Stand, read_to_end
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return Journal(tmp_path_factory.mktemp("journal") / "journal")


@pytest.fixture(scope="module")
def stand(journal: Journal) -> Iterator[Stand]:
    with serving("responses:app", "--workers", "1", "--threads", "2", env=journal.env) as stand:
        yield stand


def case(stand: Stand, view: str, expression: str) -> tuple[int, str]:
    """Run a view with an expression; return the status, and the error in the log if any."""
    answer = stand.get(f"/{view}", {"X-Case": expression})
    if answer.status != 500:
        return answer.status, answer.text
    request_id = answer.headers["x-request-id"]
    line = stand.wait_for_request(lambda line: line["request_id"] == request_id)
    return answer.status, line["error"].partition(" at responses.py:")[0]


def wait_for_note(journal: Journal, note: str, times: int = 1) -> None:
    wait_until(lambda: journal.lines().count(note) >= times, lambda: f"{note!r}: {journal.lines()}")


@pytest.mark.parametrize(
    ("arguments", "kind", "rule"),
    [
        ("(b'200 OK', [])", "TypeError", "status must be str, not bytes"),
        ("(200, [])", "TypeError", "status must be str, not int"),
        ("(None, [])", "TypeError", "status must be str, not NoneType"),
        ("('', [])", "ValueError", 'status must look like "200 OK", not ""'),
        ("('2000 OK', [])", "ValueError", 'status must look like "200 OK", not "2000 OK"'),
        ("('OK 200', [])", "ValueError", 'status must look like "200 OK", not "OK 200"'),
        (
            "('200 OK\\r\\nX-Evil: 1', [])",
            "ValueError",
            'status must look like "200 OK", not "200 OK\\r\\nX-Evil: 1"',
        ),
        ("('200 OK\\n', [])", "ValueError", 'status must look like "200 OK", not "200 OK\\n"'),
        ("('200 \\u20ac', [])", "ValueError", 'status must look like "200 OK", not "200 €"'),
        (
            "('100 Continue', [])",
            "ValueError",
            "status 100 is not a final response (RFC 9110 section 15.2)",
        ),
        ("('200 OK', ())", "TypeError", "headers must be a list, not tuple"),
        ("('200 OK', {})", "TypeError", "headers must be a list, not dict"),
        ("('200 OK', None)", "TypeError", "headers must be a list, not NoneType"),
        ("('200 OK', ['X: 1'])", "TypeError", "each header must be a tuple of two str, not 'X: 1'"),
        (
            "('200 OK', [['X', '1']])",
            "TypeError",
            "each header must be a tuple of two str, not ['X', '1']",
        ),
        (
            "('200 OK', [('X', '1', '2')])",
            "TypeError",
            "each header must be a tuple of two str, not ('X', '1', '2')",
        ),
        (
            "('200 OK', [('X', 1)])",
            "TypeError",
            "each header must be a tuple of two str, not ('X', 1)",
        ),
        (
            "('200 OK', [(b'X', '1')])",
            "TypeError",
            "each header must be a tuple of two str, not (b'X', '1')",
        ),
        (
            "('200 OK', [('X', 'a\\r\\nY: c')])",
            "ValueError",
            'header X has a control character in its value "a\\r\\nY: c" (RFC 9110 section 5.5)',
        ),
        (
            "('200 OK', [('X', 'a\\0b')])",
            "ValueError",
            'header X has a control character in its value "a\\0b" (RFC 9110 section 5.5)',
        ),
        (
            "('200 OK', [('X\\nY', 'a')])",
            "ValueError",
            '"X\\nY" is not a header name (RFC 9110 section 5.1)',
        ),
        ("('200 OK', [('', 'a')])", "ValueError", '"" is not a header name (RFC 9110 section 5.1)'),
        (
            "('200 OK', [('X Y', 'a')])",
            "ValueError",
            '"X Y" is not a header name (RFC 9110 section 5.1)',
        ),
        (
            "('200 OK', [('X', '\\u20ac')])",
            "ValueError",
            "header X has the character '€', which is not in latin-1 (PEP 3333)",
        ),
        (
            "('200 OK', [('Content-Length', 'many')])",
            "ValueError",
            'Content-Length "many" is not a number of bytes',
        ),
        (
            "('200 OK', [('Content-Length', '-1')])",
            "ValueError",
            'Content-Length "-1" is not a number of bytes',
        ),
        (
            "('200 OK', [('Content-Length', '7'), ('content-length', '8')])",
            "ValueError",
            "two different Content-Length headers",
        ),
    ],
)
def test_a_head_that_breaks_a_rule_is_refused_by_name(
    stand: Stand, arguments: str, kind: str, rule: str
) -> None:
    error = f"{kind}: start_response: {rule}"
    assert case(stand, "head-from-header", arguments) == (500, error)


@pytest.mark.parametrize("arguments", ["()", "('200 OK',)", "('200 OK', [], None, 1)"])
def test_start_response_takes_two_or_three_arguments(stand: Stand, arguments: str) -> None:
    status, error = case(stand, "head-from-header", arguments)
    assert (status, error.partition(":")[0]) == (500, "TypeError")


def test_a_lone_surrogate_cannot_be_sent(stand: Stand) -> None:
    for arguments in ["('200 \\ud800', [])", "('200 OK', [('X', '\\ud800')])"]:
        status, error = case(stand, "head-from-header", arguments)
        assert (status, error.partition(":")[0]) == (500, "UnicodeEncodeError")


def test_latin_1_reaches_the_client_as_bytes(stand: Stand) -> None:
    with closing(stand.connect()) as connection:
        arguments = "('200 Tr\\xe8s bien', [('X-Name', 'Zo\\xeb'), ('X-Tab', ' a\\tb ')])"
        connection.request("GET", "/head-from-header", headers={"X-Case": arguments})
        response = connection.getresponse()
    assert (response.status, response.reason) == (200, "Très bien")
    assert response.getheader("X-Name") == "Zoë"
    assert response.getheader("X-Tab") == "a\tb"


def test_a_status_without_a_reason_gets_the_registered_one(stand: Stand) -> None:
    with closing(stand.connect()) as connection:
        connection.request("GET", "/head-from-header", headers={"X-Case": "('404', [])"})
        response = connection.getresponse()
    assert (response.status, response.reason) == (404, "Not Found")


def test_fields_of_one_name_stay_apart_and_in_order(stand: Stand) -> None:
    arguments = "('200 OK', [('Set-Cookie', 'a=1'), ('X', '1'), ('Set-Cookie', 'b=2')])"
    with closing(stand.connect()) as connection:
        connection.request("GET", "/head-from-header", headers={"X-Case": arguments})
        fields = connection.getresponse().getheaders()
    assert [value for name, value in fields if name == "Set-Cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("None", "TypeError: the app must return an iterable of bytes, not NoneType (PEP 3333)"),
        ("42", "TypeError: the app must return an iterable of bytes, not int (PEP 3333)"),
        ("'text'", "TypeError: the app must return an iterable of bytes, not str (PEP 3333)"),
        ("b'bytes'", "TypeError: the app must return an iterable of bytes, not bytes (PEP 3333)"),
        ("['text']", "TypeError: the app's iterable must yield bytes, not str (PEP 3333)"),
        ("('a', 'b')", "TypeError: the app's iterable must yield bytes, not str (PEP 3333)"),
        ("iter([1])", "TypeError: the app's iterable must yield bytes, not int (PEP 3333)"),
        (
            "[bytearray(b'x')]",
            "TypeError: the app's iterable must yield bytes, not bytearray (PEP 3333)",
        ),
    ],
)
def test_what_is_no_iterable_of_bytes_is_refused(stand: Stand, value: str, error: str) -> None:
    assert case(stand, "returns-from-header", value) == (500, error)


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("[]", ""),
        ("()", ""),
        ("[b'']", ""),
        ("[b'a', b'', b'b']", "ab"),
        ("(b'a',)", "a"),
        ("iter([])", ""),
        ("{b'a': 1}", "a"),
        ("type('L', (list,), {})([b'a'])", "a"),
        ("type('B', (bytes,), {})(b'a') and [type('B', (bytes,), {})(b'a')]", "a"),
    ],
)
def test_any_iterable_of_bytes_will_do(stand: Stand, value: str, content: str) -> None:
    assert case(stand, "returns-from-header", value) == (200, content)


def test_start_response_without_exc_info_may_be_called_once(stand: Stand) -> None:
    assert case(stand, "twice", "") == (
        500,
        "AssertionError: start_response was called a second time without exc_info (PEP 3333)",
    )


def test_exc_info_replaces_a_head_that_was_not_sent(stand: Stand) -> None:
    answer = stand.get("/replaced")
    assert (answer.status, answer.text) == (503, "an error page")
    assert "x-first" not in answer.headers


def test_exc_info_raises_again_once_the_head_was_sent(stand: Stand, journal: Journal) -> None:
    with pytest.raises(http.client.IncompleteRead) as cut:
        stand.get("/too-late")
    assert cut.value.partial == b"part"
    line = stand.wait_for_request(lambda line: line["path"] == "/too-late")
    assert line["error"].startswith("ValueError: invalid literal")
    assert "too-late went on" not in journal.lines()


@pytest.mark.parametrize("view", ["never-called", "never-called-and-empty"])
def test_an_answer_without_start_response_is_refused(stand: Stand, view: str) -> None:
    assert case(stand, view, "") == (
        500,
        "AssertionError: the app sent content before it called start_response (PEP 3333)",
    )


def test_start_response_may_come_with_the_first_content(stand: Stand) -> None:
    answer = stand.get("/late")
    assert (answer.status, answer.text) == (201, "first second")


def test_what_is_written_comes_before_what_is_returned(stand: Stand) -> None:
    assert stand.get("/written").text == "one two three four"


def test_only_bytes_can_be_written(stand: Stand) -> None:
    status, error = case(stand, "written-text", "")
    assert (status, error.partition(":")[0]) == (500, "TypeError")


def test_writing_more_than_was_promised_raises(stand: Stand, journal: Journal) -> None:
    rule = "the app promised 4 bytes by Content-Length and sent"
    assert case(stand, "written-too-much", "") == (500, f"RuntimeError: {rule} 0 (PEP 3333)")
    wait_for_note(journal, f"refused: {rule} more (PEP 3333)")


def test_fields_of_the_connection_are_ours_alone(stand: Stand) -> None:
    answer = stand.get("/hop-by-hop")
    assert (answer.status, answer.text) == (200, "ok")
    dropped = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}
    assert not dropped & answer.headers.keys()
    assert answer.headers["x-end"] == "kept"


def test_a_head_may_be_large(stand: Stand) -> None:
    http.client._MAXHEADERS = 2000  # type: ignore[attr-defined]
    answer = stand.get("/many-headers?1000x200")
    assert (answer.status, answer.headers["x-999"]) == (200, "v" * 200)


@pytest.mark.parametrize("size", ["5x60000", "70000x1", "50x65535"])
def test_a_head_that_no_client_takes_is_refused(stand: Stand, size: str) -> None:
    answer = stand.get(f"/many-headers?{size}")
    assert answer.status == 500
    assert stand.get("/ok").text == "ok"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_an_answer_without_content_has_none_whatever_the_app_yields(
    stand: Stand, status: str
) -> None:
    with closing(stand.connect()) as connection:
        for _ in range(3):
            connection.request("GET", "/no-content", headers={"X-Status": status})
            response = connection.getresponse()
            assert (f"{response.status} {response.reason}", response.read()) == (status, b"")


def test_a_head_request_ends_with_an_endless_answers_head(stand: Stand, journal: Journal) -> None:
    assert stand.request("HEAD", "/endless").status == 200
    wait_for_note(journal, "closed endless")


def test_a_file_is_sent_as_far_as_was_promised(stand: Stand) -> None:
    with closing(stand.connect()) as connection:
        for _ in range(2):
            connection.request("GET", "/promised?4,file")
            assert connection.getresponse().read() == b"0123"


@pytest.mark.parametrize("shape", ["list", "iterable"])
def test_more_than_was_promised_is_an_error_page_while_that_can_be(
    stand: Stand, shape: str
) -> None:
    with closing(stand.connect()) as connection:
        for _ in range(2):
            connection.request("GET", f"/promised?4,{shape}")
            response = connection.getresponse()
            assert (response.status, b"0123" in response.read()) == (500, False)


def test_more_than_was_promised_never_ends_cleanly(stand: Stand) -> None:
    with stand.socket() as connected:
        connected.sendall(b"GET /promised?7,iterable HTTP/1.1\r\nHost: a\r\n\r\n")
        head, _, content = read_to_end(connected).partition(b"\r\n\r\n")
    assert (b"Content-Length: 7" in head, content) == (True, b"01234")


@pytest.mark.parametrize("shape", ["list", "iterable", "file"])
def test_the_promised_length_is_kept(stand: Stand, shape: str) -> None:
    answer = stand.get(f"/promised?10,{shape}")
    assert (answer.body, answer.headers["content-length"]) == (b"0123456789", "10")


@pytest.mark.parametrize("shape", ["list", "file"])
def test_less_than_was_promised_is_an_error_page_while_that_can_be(
    stand: Stand, shape: str
) -> None:
    answer = stand.get(f"/promised?20,{shape}")
    assert answer.status == 500


def test_less_than_was_promised_never_ends_cleanly(stand: Stand) -> None:
    with stand.socket() as connected:
        connected.sendall(b"GET /promised?20,iterable HTTP/1.1\r\nHost: a\r\n\r\n")
        head, _, content = read_to_end(connected).partition(b"\r\n\r\n")
    assert b"Content-Length: 20" in head
    assert content == b"0123456789"
    line = stand.wait_for_request(
        lambda line: line.get("path") == "/promised" and "sent 10" in line.get("error", "")
    )
    rule = "the app promised 20 bytes by Content-Length and sent 10 (PEP 3333)"
    assert line["error"].startswith(f"RuntimeError: {rule} at responses.py:")


@pytest.mark.parametrize("shape", ["list", "iterable", "file"])
def test_a_head_request_is_told_the_length_and_gets_nothing(stand: Stand, shape: str) -> None:
    answer = stand.request("HEAD", f"/promised?10,{shape}")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "10", b"")


@pytest.mark.parametrize(
    "view",
    [
        "closed",
        "counted",
        "closed-unstarted",
        "breaks-first",
        "breaks-later",
        "breaks-later-of-length",
        "breaks-in-close",
        "breaks-twice",
        "yields-text",
    ],
)
def test_close_is_called_once(stand: Stand, journal: Journal, view: str) -> None:
    with stand.socket() as connected:
        connected.sendall(f"GET /{view} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        read_to_end(connected)
    wait_for_note(journal, f"closed {view}")
    assert stand.get("/ok").text == "ok"
    assert journal.lines().count(f"closed {view}") == 1


def test_an_error_in_close_leaves_a_whole_answer_whole(stand: Stand) -> None:
    assert stand.get("/breaks-in-close").text == "whole"
    stand.wait_for_text("RuntimeError: in close")


def test_both_errors_are_told_where_close_raises_after_another(stand: Stand) -> None:
    status, error = case(stand, "breaks-twice", "")
    assert (status, error.startswith("LookupError: in the middle")) == (500, True)
    stand.wait_for_text("RuntimeError: in close, too")


@pytest.mark.parametrize("view", ["breaks-later", "breaks-later-of-length"])
def test_an_answer_that_breaks_off_never_ends_cleanly(stand: Stand, view: str) -> None:
    with pytest.raises(http.client.IncompleteRead):
        stand.get(f"/{view}")
    line = stand.wait_for_request(lambda line: line["path"] == f"/{view}")
    assert (line["status"], line["error"].startswith("LookupError: in the middle")) == (200, True)


def test_an_answer_in_chunks_that_breaks_off_has_no_last_chunk(stand: Stand) -> None:
    answer = stand.raw(b"GET /breaks-later HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.endswith(b"part two\r\n")


def test_close_is_called_when_the_client_leaves(stand: Stand, journal: Journal) -> None:
    clients = 40  # more than a worker has places: each must come free again
    for number in range(clients):
        with stand.socket() as connected:
            connected.sendall(b"GET /slow-stream HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connected.recv(1000).startswith(b"HTTP/1.1 200 OK")
        wait_for_note(journal, "closed slow-stream", number + 1)
    assert stand.get("/ok").text == "ok"
    assert journal.lines().count("closed slow-stream") == clients


def test_a_client_that_leaves_is_no_error_of_the_app(stand: Stand, journal: Journal) -> None:
    before = json.dumps(stand.log()).count("Traceback")
    closed = journal.lines().count("closed slow-stream")
    with stand.socket() as connected:
        connected.sendall(b"GET /slow-stream HTTP/1.1\r\nHost: a\r\n\r\n")
        connected.recv(1000)
    wait_for_note(journal, "closed slow-stream", closed + 1)
    assert stand.get("/ok").text == "ok"
    assert json.dumps(stand.log()).count("Traceback") == before
