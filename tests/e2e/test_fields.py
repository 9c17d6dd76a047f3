"""What routes change about the fields of requests and responses."""

from collections.abc import Iterator

import pytest

from tests.e2e.http1 import Client, connect, request, running
from tests.e2e.stand import Stand

CONFIG = r"""
[server]
underscores = "allow"

[[route]]
path = "/shop/{id}/{rest*}"
set_request_fields = { "X-Item" = "{id}", "User-Agent" = "the edge" }
add_request_fields = { "X-List" = "b" }
remove_request_fields = ["Cookie"]
set_response_fields = { "X-Frame-Options" = "SAMEORIGIN" }

[[route]]
path = "/go/{to}"
set_response_fields = { "Cache-Control" = "max-age=60", "X-To" = "{to}" }
redirect = "/{to}"

[[route]]
path = "/gone"
set_response_fields = { "Content-Type" = "text/gone" }
status = 410

[[route]]
path = "/bare"
remove_response_fields = ["Server", "Content-Type"]
respond = "bare"

[[route]]
path = "/moved/*"
set_request_fields = { "X-Path" = "{path}" }
rewrite = "/echo"

[[route]]
path = "/do/status"
add_response_fields = { "Content-Security-Policy" = "default-src 'self'" }

[[static]]
path = "/files/"
folder = "."

[[route]]
path = "/files/*"
set_response_fields = { "Content-Type" = "text/x-toml" }

[[route]]
set_request_fields = { "X-Item" = "nothing", "X-Site" = "{scheme}://{host}{path}{?query}" }
set_response_fields = { "X-Frame-Options" = "DENY", "Cache-Control" = "max-age=1" }
add_response_fields = { "Vary" = "Cookie" }
remove_response_fields = ["X-Powered-By"]
"""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("fields")
    with running(folder, "--workers", "1", config=CONFIG) as stand:
        yield stand


@pytest.fixture
def client(stand: Stand) -> Iterator[Client]:
    with connect(stand) as client:
        yield client


def test_the_app_gets_the_fields_of_the_first_route_that_tells_them(client: Client) -> None:
    sent = ("X-Item: forged", "x_item: forged", "X-ITEM: forged", "User-Agent: curl", "X-List: a")
    seen = client.get("/shop/a%20b/c?d", *sent, "Cookie: a=b", "Accept: x/y").json()["fields"]
    assert seen["X_ITEM"] == "a b"
    assert seen["USER_AGENT"] == "the edge"
    assert seen["X_LIST"] == "a, b"
    assert seen["X_SITE"] == "http://a/shop/a b/c?d"
    assert seen["ACCEPT"] == "x/y"
    assert "COOKIE" not in seen


def test_what_a_path_holds_never_ends_a_field(client: Client) -> None:
    seen = client.get("/shop/a%0d%0aX-Evil:%201/c").json()["fields"]
    assert seen["X_ITEM"] == "aX-Evil: 1"
    assert "X_EVIL" not in seen
    answer = client.get("/go/a%0d%0aX-Evil:%201")
    assert answer.field("x-to") == "aX-Evil: 1"
    assert answer.field("x-evil") is None


def test_a_value_is_that_of_the_path_which_the_route_was_for(client: Client) -> None:
    seen = client.get("/moved/here").json()
    assert (seen["path"], seen["fields"]["X_PATH"]) == ("/echo", "/moved/here")


def test_the_client_gets_the_fields_of_the_routes(client: Client) -> None:
    answer = client.get("/shop/1/x")
    assert answer.field("x-frame-options") == "SAMEORIGIN"
    fields = "X-Frame-Options=ALLOW&x-powered-by=Secret&Vary=Accept&X-Else=1"
    answer = client.get(f"/do/fields?{fields}")
    told = [(name, value) for name, value in answer.fields if name != "date"]
    assert ("x-frame-options", "DENY") in told
    assert ("x-else", "1") in told
    assert [value for name, value in told if name == "vary"] == ["Accept", "Cookie"]
    assert answer.field("x-powered-by") is None
    assert answer.body == b"content"


def test_what_the_edge_answers_has_them_too(client: Client) -> None:
    answer = client.get("/go/x")
    assert (answer.status, answer.field("location")) == (308, "/x")
    assert answer.field("cache-control") == "max-age=60"
    assert answer.field("x-to") == "x"
    assert client.get("/gone").field("content-type") == "text/gone"


def test_fields_of_the_edge_can_go(client: Client) -> None:
    answer = client.get("/bare")
    assert (answer.status, answer.body) == (200, b"bare")
    assert answer.field("server") is None
    assert answer.field("content-type") is None
    assert answer.field("date")


def test_a_page_about_a_problem_is_never_stored_because_of_a_route(client: Client) -> None:
    answer = client.get("/do/raise?early=1")
    assert answer.status == 500
    assert answer.field("cache-control") == "no-store"
    assert answer.field("x-frame-options") == "DENY"
    assert client.get("/do/status?status=404").field("content-security-policy")


def test_nothing_of_one_request_stays_for_the_next(client: Client) -> None:
    assert client.get("/go/first").field("x-to") == "first"
    answer = client.get("/x")
    assert answer.field("x-to") is None
    client.send(b"nonsense\r\n\r\n")
    broken = client.answer()
    assert (broken.status, broken.field("x-frame-options")) == (400, None)


def test_two_requests_behind_each_other_keep_their_own(client: Client) -> None:
    client.send(request("GET", "/go/one"), request("GET", "/shop/2/x"))
    assert client.answer().field("x-to") == "one"
    assert client.answer().json()["fields"]["X_ITEM"] == "2"


def test_files_have_them_too(client: Client) -> None:
    whole = client.get("/files/trivet.toml")
    assert (whole.status, whole.field("content-type")) == (200, "text/x-toml")
    assert whole.field("x-frame-options") == "DENY"
    assert [value for name, value in whole.fields if name == "cache-control"] == ["max-age=1"]
    unchanged = client.get("/files/trivet.toml", f"If-None-Match: {whole.field('etag')}")
    assert (unchanged.status, unchanged.field("x-frame-options")) == (304, "DENY")
    parts = client.get("/files/trivet.toml", "Range: bytes=0-1,500-510")
    kind = parts.field("content-type") or ""
    assert (parts.status, kind.split("=")[0]) == (206, "multipart/byteranges; boundary")
