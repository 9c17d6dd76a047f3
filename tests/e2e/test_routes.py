"""What routes do with requests: whom they match, how they treat them, and who answers."""

from collections.abc import Iterator

import pytest

from tests.e2e.http1 import Client, RawAnswer, connect, line_of, request, running
from tests.e2e.stand import Stand

CONFIG = r"""
[proxy]
trusted = ["127.0.0.1"]

[[site]]
host = ["shop.example", "www.shop.example"]
www = "remove"
https = true

[[site]]
host = ["blog.example"]
trailing_slash = "remove"

[[site]]
host = ["docs.example"]
www = "add"
trailing_slash = "add"

[[route]]
path = "/old/{id}/{rest*}"
redirect = "/new/{id}?at={rest}"
status = 301

[[route]]
regex = '/(?<year>\d{4})/(?<name>[a-z]+)\.html'
redirect = "{scheme}://archive.example/{year}/{name}{?query}"

[[route]]
path = "/robots.txt"
method = ["GET", "HEAD"]
respond = "User-agent: *\nDisallow:\n"

[[route]]
path = "/gone/*"
status = 410

[[route]]
path = "/empty"
status = 204

[[route]]
path = "/beta/*"
field = { "X-Beta" = "~yes|1", "Accept" = "*" }
query = { "v" = "2" }
respond = "beta"

[[route]]
path = "/public/{name*}"
rewrite = "/echo/{name}"

[[route]]
path = "/circle"
rewrite = "/circle"

[[route]]
scheme = "https"
path = "/secure"
respond = "over TLS"

[[route]]
host = ["*.tenant.example"]
path = "/who"
respond = "a tenant"

[[route]]
path = "/small/keep"
app = true

[[route]]
path = "/small/*"
request_body = 5

[[route]]
path = "/small/drop/*"
request_body = 50
respond = "dropped"
"""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with running(tmp_path_factory.mktemp("routes"), "--workers", "1", config=CONFIG) as stand:
        yield stand


@pytest.fixture
def client(stand: Stand) -> Iterator[Client]:
    with connect(stand) as client:
        yield client


def ask(client: Client, asked: bytes) -> RawAnswer:
    client.send(asked)
    return client.answer(asked.split(b" ")[0].decode())


def from_app(answer: RawAnswer) -> bool:
    """Whether the app has answered: it echoes."""
    return answer.status == 200 and answer.field("content-type") == "application/json"


def location(client: Client, path: str, *fields: str, method: str = "GET") -> tuple[int, str]:
    answer = ask(client, request(method, path, *fields))
    return answer.status, answer.field("location") or ""


def test_a_redirect_carries_the_names_of_its_path(client: Client) -> None:
    assert location(client, "/old/7/a/b") == (301, "/new/7?at=a/b")
    assert location(client, "/old/a%20b/%0d%0aX:y") == (301, "/new/a%20b?at=%0D%0AX:y")
    assert location(client, "/2026/news.html?a=1&b") == (
        308,
        "http://archive.example/2026/news?a=1&b",
    )
    assert from_app(ask(client, request("GET", "/2026/News.html")))


def test_a_redirect_keeps_the_connection_and_may_be_stored(stand: Stand, client: Client) -> None:
    answer = ask(client, request("GET", "/old/7/a"))
    assert (answer.closes, answer.field("cache-control"), answer.body) == (False, None, b"")
    line = line_of(stand, client)
    assert line["status"] == 301
    assert "worker" not in line


def test_the_edge_gives_an_answer_from_the_configuration(client: Client) -> None:
    answer = ask(client, request("GET", "/robots.txt"))
    assert answer.body == b"User-agent: *\nDisallow:\n"
    assert answer.field("content-type") == "text/plain; charset=utf-8"
    head = ask(client, request("HEAD", "/robots.txt"))
    assert (head.status, head.field("content-length"), head.body) == (200, "24", b"")


def test_another_method_goes_on_to_the_app(client: Client) -> None:
    assert from_app(ask(client, request("POST", "/robots.txt")))


def test_a_status_alone_gets_the_page_of_the_edge(client: Client) -> None:
    answer = ask(client, request("GET", "/gone/x"))
    assert answer.status == 410
    assert b"<h1>410 Gone</h1><p>What was at this address is gone for good.</p>" in answer.body
    answer = ask(client, request("GET", "/gone/x", "Accept: application/json"))
    assert answer.field("content-type") == "application/problem+json"
    answer = ask(client, request("GET", "/empty"))
    assert (answer.status, answer.body, answer.field("content-type")) == (204, b"", None)


@pytest.mark.parametrize(
    ("target", "fields", "is_beta"),
    [
        ("/beta/x?v=2", ("X-Beta: yes", "Accept: a/b"), True),
        ("/beta/x?a=1&v=2", ("X-BETA: 1", "Accept: a/b"), True),
        ("/beta/x?v=%32", ("X-Beta: no", "X-Beta: yes", "Accept: a/b"), True),
        ("/beta/x?v=2", ("X-Beta: yes please", "Accept: a/b"), False),
        ("/beta/x?v=2", ("X-Beta: yes",), False),
        ("/beta/x?v=3", ("X-Beta: yes", "Accept: a/b"), False),
        ("/beta/x", ("X-Beta: yes", "Accept: a/b"), False),
    ],
)
def test_fields_and_parameters_choose_the_route(
    client: Client, target: str, fields: tuple[str, ...], *, is_beta: bool
) -> None:
    answer = ask(client, request("GET", target, *fields))
    assert (answer.body == b"beta") is is_beta


def test_a_rewritten_request_reaches_the_app_by_its_new_path(client: Client) -> None:
    answer = ask(client, request("GET", "/public/a%20b?c=d"))
    assert from_app(answer)
    environ = answer.json()
    assert (environ["path"], environ["query"]) == ("/echo/a b", "c=d")


def test_routes_that_lead_in_a_circle_are_told_in_the_log(stand: Stand, client: Client) -> None:
    answer = ask(client, request("GET", "/circle"))
    assert answer.status == 500
    assert line_of(stand, client)["error"] == "the routes rewrite in a circle"


def test_a_trusted_proxy_tells_the_scheme(client: Client) -> None:
    assert ask(client, request("GET", "/secure", "X-Forwarded-Proto: https")).body == b"over TLS"
    assert from_app(ask(client, request("GET", "/secure")))


def host(name: str, path: str = "/who", *fields: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: {name}", *fields, "", ""]
    return "\r\n".join(lines).encode()


def test_hosts_are_told_apart(client: Client) -> None:
    assert ask(client, host("a.tenant.example:8000")).body == b"a tenant"
    assert ask(client, host("A.B.Tenant.Example.")).body == b"a tenant"
    assert from_app(ask(client, host("tenant.example")))


@pytest.mark.parametrize(
    ("name", "path", "to"),
    [
        ("shop.example:8000", "/a%20b?c", "https://shop.example/a%20b?c"),
        ("blog.example", "/a/b/", "/a/b"),
        ("blog.example", "/a///?c=d", "/a?c=d"),
        ("www.docs.example", "/a", "/a/"),
        ("www.docs.example", "/a/", None),
        ("docs.example:81", "/a/", "http://www.docs.example:81/a/"),
    ],
)
def test_a_site_has_one_form_of_address(
    client: Client, name: str, path: str, to: str | None
) -> None:
    answer = ask(client, host(name, path))
    assert (answer.status, answer.field("location")) == (308 if to else 200, to)


def test_the_www_of_a_site_goes_over_tls_too(client: Client) -> None:
    asked = host("www.shop.example", "/x", "X-Forwarded-Proto: https")
    assert ask(client, asked).field("location") == "https://shop.example/x"


def test_a_path_with_a_dot_is_a_file_and_gets_no_slash(client: Client) -> None:
    assert ask(client, host("docs.example", "/a.css")).field("location") == (
        "http://www.docs.example/a.css"
    )


@pytest.mark.parametrize("path", ["//evil.example/", "/%2fevil.example/", "/\\evil.example/"])
def test_no_path_leads_to_another_host(client: Client, path: str) -> None:
    answer = ask(client, host("blog.example", path))
    to = answer.field("location")
    assert to is None or (to.startswith("/") and not to.startswith(("//", "/\\"))), to


def test_the_first_route_that_sets_an_option_counts(client: Client) -> None:
    answer = ask(client, request("POST", "/small/drop/x", "Content-Length: 0"))
    assert answer.body == b"dropped"
    with_content = request("POST", "/small/keep2", "Content-Length: 6") + b"123456"
    assert ask(client, with_content).status == 413


def test_content_for_a_route_of_the_edge_is_never_read_as_a_request(client: Client) -> None:
    hidden = b"GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n"
    asked = request("POST", "/gone/x", f"Content-Length: {len(hidden)}") + hidden
    assert ask(client, asked).status == 410
    assert client.is_ended()
