"""What PEP 3333 asks of the environ."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.apps import serving
from tests.e2e.stand import Stand
from tests.waiting import wait_until

REQUIRED = {
    "REQUEST_METHOD": "str",
    "SCRIPT_NAME": "str",
    "PATH_INFO": "str",
    "QUERY_STRING": "str",
    "SERVER_NAME": "str",
    "SERVER_PORT": "str",
    "SERVER_PROTOCOL": "str",
    "wsgi.version": "tuple",
    "wsgi.url_scheme": "str",
    "wsgi.input": "BytesIO",
    "wsgi.errors": "ErrorStream",
    "wsgi.multithread": "bool",
    "wsgi.multiprocess": "bool",
    "wsgi.run_once": "bool",
}


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with serving("environment:app", "--workers", "1", "--threads", "2") as stand:
        yield stand


@pytest.fixture(scope="module")
def behind_a_proxy() -> Iterator[Stand]:
    arguments = ["--workers", "2", "--threads", "1", "--root-path", "/shop"]
    with serving("environment:app", *arguments, "--forwarded-allow-ips", "loopback") as stand:
        yield stand


def environ(stand: Stand, *lines: bytes, content: bytes = b"") -> dict[str, Any]:
    """Send a request's lines, and return the environ's values."""
    return {key: value for key, (_, value) in typed(stand, *lines, content=content).items()}


def typed(stand: Stand, *lines: bytes, content: bytes = b"") -> dict[str, list[Any]]:
    """Send a request's lines, and return the environ's types and values."""
    request = [*lines, b"Connection: close", b"", content]
    head, _, body = stand.raw(b"\r\n".join(request)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head + body
    answer: dict[str, list[Any]] = json.loads(body)
    return answer


GET = b"GET / HTTP/1.1"
POST = b"POST / HTTP/1.1"
HOST = b"Host: example.com"


def test_all_required_keys_are_there_with_their_types(stand: Stand) -> None:
    found = typed(stand, GET, HOST)
    assert {key: found[key][0] for key in REQUIRED} == REQUIRED
    assert found["its own type"][1] == "dict"


def test_all_that_comes_from_the_request_is_exactly_str(stand: Stand) -> None:
    found = typed(stand, b"GET /a?b HTTP/1.1", HOST, b"X-One: 1", b"Cookie: a=b")
    types = {kind for key, (kind, _) in found.items() if key.isupper()}
    assert types == {"str"}


def test_the_constants_are_those_of_the_settings(stand: Stand, behind_a_proxy: Stand) -> None:
    keys = ["wsgi.version", "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once"]
    found = environ(stand, GET, HOST)
    assert [found[key] for key in keys] == ["(1, 0)", True, False, False]
    found = environ(behind_a_proxy, b"GET /shop HTTP/1.1", HOST)
    assert [found[key] for key in keys] == ["(1, 0)", False, True, False]


def test_each_request_has_an_environ_of_its_own(stand: Stand) -> None:
    environ(stand, GET, HOST, b"X-Once: 1")
    found = environ(stand, GET, HOST)
    assert "left behind" not in found
    assert "HTTP_X_ONCE" not in found
    assert found["wsgi.version"] == "(1, 0)"


def test_the_path_has_one_character_per_byte(stand: Stand) -> None:
    found = environ(stand, b"GET /caf%C3%A9/%E2%82%AC%20x HTTP/1.1", HOST)
    assert found["PATH_INFO"] == "/caf\u00c3\u00a9/\u00e2\u0082\u00ac x"
    assert found["PATH_INFO"].encode("latin-1").decode() == "/café/€ x"


def test_bytes_that_are_no_utf8_stay_as_they_are(stand: Stand) -> None:
    assert environ(stand, b"GET /%FF%FE%80 HTTP/1.1", HOST)["PATH_INFO"] == "/\xff\xfe\x80"


def test_the_query_is_raw(stand: Stand) -> None:
    found = environ(stand, b"GET /p?a=%20b&c=%C3%A9+d&&=?/ HTTP/1.1", HOST)
    assert found["QUERY_STRING"] == "a=%20b&c=%C3%A9+d&&=?/"
    assert found["PATH_INFO"] == "/p"


def test_the_target_is_there_as_it_came(stand: Stand) -> None:
    found = environ(stand, b"GET /a%2Fb?c=%2F HTTP/1.1", HOST)
    assert (found["REQUEST_URI"], found["RAW_URI"]) == ("/a%2Fb?c=%2F", "/a%2Fb?c=%2F")


def test_an_absent_query_is_the_empty_text(stand: Stand) -> None:
    assert environ(stand, GET, HOST)["QUERY_STRING"] == ""
    assert environ(stand, b"GET /? HTTP/1.1", HOST)["QUERY_STRING"] == ""


def test_the_client_has_an_address_and_a_port(stand: Stand) -> None:
    found = environ(stand, GET, HOST)
    assert found["REMOTE_ADDR"] == "127.0.0.1"
    assert 0 < int(found["REMOTE_PORT"]) < 65536


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        (b"example.com", "example.com", "80"),
        (b"example.com:18008", "example.com", "18008"),
        (b"[::1]:8000", "[::1]", "8000"),
        (b"192.0.2.7", "192.0.2.7", "80"),
    ],
)
def test_the_servers_name_and_port_are_those_of_host(
    stand: Stand, host: bytes, name: str, port: str
) -> None:
    found = environ(stand, GET, b"Host: " + host)
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == (name, port)
    assert found["HTTP_HOST"] == host.decode()


def test_a_request_without_host_has_a_server_name(stand: Stand) -> None:
    found = environ(stand, b"GET / HTTP/1.0")
    assert found["SERVER_NAME"] != ""
    assert found["SERVER_PORT"].isdigit()
    assert found["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_the_methods_name_is_passed_on_as_it_came(stand: Stand) -> None:
    assert environ(stand, b"PROPFIND / HTTP/1.1", HOST)["REQUEST_METHOD"] == "PROPFIND"
    assert environ(stand, b"get / HTTP/1.1", HOST)["REQUEST_METHOD"] == "get"


def test_fields_of_one_name_are_joined_by_a_comma(stand: Stand) -> None:
    found = environ(stand, GET, HOST, b"X-Tag: a", b"Accept: x/y", b"x-tag: b, c", b"Accept: z/w")
    assert found["HTTP_X_TAG"] == "a, b, c"
    assert found["HTTP_ACCEPT"] == "x/y, z/w"


def test_cookies_are_joined_by_a_semicolon(stand: Stand) -> None:
    found = environ(stand, GET, HOST, b"Cookie: a=1", b"Cookie: b=2; c=3")
    assert found["HTTP_COOKIE"] == "a=1; b=2; c=3"


def test_type_and_length_of_the_content_have_no_prefix(stand: Stand) -> None:
    lines = [POST, HOST, b"Content-Type: text/plain", b"Content-Length: 4"]
    found = environ(stand, *lines, content=b"four")
    assert (found["CONTENT_TYPE"], found["CONTENT_LENGTH"]) == ("text/plain", "4")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & found.keys()


def test_content_of_length_0_has_that_length(stand: Stand) -> None:
    assert environ(stand, POST, HOST, b"Content-Length: 0")["CONTENT_LENGTH"] == "0"


def test_a_request_without_content_has_no_length(stand: Stand) -> None:
    assert environ(stand, GET, HOST).get("CONTENT_LENGTH", "") == ""


def test_no_field_of_the_connection_reaches_the_app(stand: Stand) -> None:
    lines = [POST, HOST, b"Transfer-Encoding: chunked", b"TE: trailers", b"Keep-Alive: 5"]
    found = environ(stand, *lines, content=b"2\r\nok\r\n0\r\n\r\n")
    assert found["CONTENT_LENGTH"] == "2"
    gone = {"HTTP_TRANSFER_ENCODING", "HTTP_TE", "HTTP_KEEP_ALIVE", "HTTP_CONNECTION"}
    assert not gone & found.keys()


def test_a_proxy_field_is_dropped(stand: Stand) -> None:
    # httpoxy: libraries take HTTP_PROXY for the setting of an outgoing proxy.
    assert "HTTP_PROXY" not in environ(stand, GET, HOST, b"Proxy: http://evil.example")


def test_a_name_with_an_underscore_cannot_stand_for_one_with_a_hyphen(stand: Stand) -> None:
    found = environ(stand, GET, HOST, b"X_Foo: forged", b"X-Foo: real")
    assert found["HTTP_X_FOO"] == "real"
    assert "HTTP_X_BAR" not in environ(stand, GET, HOST, b"X_Bar: forged")


def test_values_of_fields_have_one_character_per_byte(stand: Stand) -> None:
    found = environ(stand, GET, HOST, "X-Name: Zoë".encode(), b"X-Raw: \xff\x80")
    assert found["HTTP_X_NAME"] == "Zo\u00c3\u00ab"
    assert found["HTTP_X_RAW"] == "\xff\x80"


def test_a_stranger_cannot_claim_a_scheme_or_an_address(stand: Stand) -> None:
    claims = [b"X-Forwarded-Proto: https", b"X-Forwarded-For: 203.0.113.9"]
    found = environ(stand, GET, HOST, *claims)
    assert (found["wsgi.url_scheme"], found["REMOTE_ADDR"]) == ("http", "127.0.0.1")
    assert not {"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"} & found.keys()


def test_a_trusted_proxy_tells_scheme_address_and_host(behind_a_proxy: Stand) -> None:
    found = environ(
        behind_a_proxy,
        b"GET /shop/cart HTTP/1.1",
        b"Host: inside",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-For: 203.0.113.9",
        b"X-Forwarded-Host: shop.example",
    )
    assert (found["wsgi.url_scheme"], found["REMOTE_ADDR"]) == ("https", "203.0.113.9")
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == ("shop.example", "443")
    assert found["HTTP_HOST"] == "shop.example"


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"/shop", ""), (b"/shop/", "/"), (b"/shop/cart?x", "/cart"), (b"/sh%6Fp/a", "/a")],
)
def test_the_mount_is_the_script_name_and_not_in_the_path(
    behind_a_proxy: Stand, target: bytes, path: str
) -> None:
    found = environ(behind_a_proxy, b"GET " + target + b" HTTP/1.1", HOST)
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("/shop", path)


def test_without_a_mount_the_script_name_is_empty(stand: Stand) -> None:
    found = environ(stand, b"GET /shop HTTP/1.1", HOST)
    assert (found["SCRIPT_NAME"], found["PATH_INFO"]) == ("", "/shop")


def test_what_is_outside_the_mount_never_reaches_the_app(behind_a_proxy: Stand) -> None:
    assert behind_a_proxy.get("/shopping").status == 404


def test_what_is_written_to_wsgi_errors_lands_in_the_log(stand: Stand) -> None:
    stand.get("/a/path/to/find")
    events = wait_until(
        lambda: [line for line in stand.log() if "path/to/find" in str(line.get("event"))],
        stand.describe,
    )
    assert [(line["event"], line["worker"]) for line in events] == [
        ("said to the log by /a/path/to/find", 1)
    ]


def test_each_request_knows_its_id(stand: Stand) -> None:
    stand.get("/with-an-id")
    line = stand.wait_for_request(lambda line: line["path"] == "/with-an-id")
    found = environ(stand, GET, HOST)["trivet.request_id"]
    assert len(found) == len(line["request_id"])
    assert found != line["request_id"]
