"""Who the client is, what the app may see of a request, and where the app is mounted."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.http1 import Client, connect, line_of, request, running
from tests.e2e.stand import Stand

UUID_7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
CLAIMS = (
    "X-Forwarded-For: 203.0.113.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.example",
    "X-Forwarded-Port: 443",
    "X-Forwarded-Prefix: /x",
    "X-Real-IP: 203.0.113.8",
    "Forwarded: for=203.0.113.9;proto=https",
)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A stand that trusts nobody at this address."""
    with running(tmp_path_factory.mktemp("direct"), "--workers", "1") as stand:
        yield stand


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A stand behind a proxy on this machine, with an app below a path."""
    config = """
    [server]
    root_path = "/shop"
    underscores = "allow"
    [proxy]
    trusted = ["127.0.0.1", "10.0.0.0/8"]
    [[route]]
    path = "/streamed"
    request_buffering = false
    """
    with running(tmp_path_factory.mktemp("proxied"), "--workers", "1", config=config) as stand:
        yield stand


@pytest.fixture
def client(stand: Stand) -> Iterator[Client]:
    with connect(stand) as client:
        yield client


@pytest.fixture
def proxy(proxied: Stand) -> Iterator[Client]:
    with connect(proxied) as client:
        yield client


def test_each_request_has_an_id_of_its_own(stand: Stand, client: Client) -> None:
    ids = []
    for _ in range(3):
        answer = client.get("/")
        assert UUID_7.fullmatch(answer.json()["request_id"])
        assert answer.field("x-request-id") == answer.json()["request_id"]
        ids.append(answer.json()["request_id"])
    assert len(set(ids)) == 3
    line = stand.wait_for_request(lambda line: line["request_id"] == ids[-1])
    assert line["status"] == 200


def test_the_apps_own_request_id_is_not_doubled(client: Client) -> None:
    assert client.get("/do/fields?x-request-id=mine").field("x-request-id") == "mine"


def test_a_strangers_request_id_is_not_believed(client: Client) -> None:
    answer = client.get("/", "X-Request-ID: forged")
    assert UUID_7.fullmatch(answer.json()["request_id"])


def test_a_trusted_proxys_request_id_is_kept(proxied: Stand, proxy: Client) -> None:
    answer = proxy.get("/shop/", "X-Request-ID: from-the.proxy_1")
    assert answer.json()["request_id"] == "from-the.proxy_1"
    assert answer.field("x-request-id") == "from-the.proxy_1"
    assert line_of(proxied, proxy)["request_id"] == "from-the.proxy_1"


@pytest.mark.parametrize("value", ["", "a b", 'a"b', "<b>", "x" * 300, "\xe9"])
def test_an_odd_request_id_is_replaced_even_from_a_trusted_proxy(proxy: Client, value: str) -> None:
    assert UUID_7.fullmatch(proxy.get("/shop/", f"X-Request-ID: {value}").json()["request_id"])


def test_two_request_ids_are_no_request_id(proxy: Client) -> None:
    answer = proxy.get("/shop/", "X-Request-ID: a", "X-Request-ID: b")
    assert UUID_7.fullmatch(answer.json()["request_id"])


def test_a_strangers_claims_never_reach_the_app(stand: Stand, client: Client) -> None:
    seen = client.get("/", *CLAIMS).json()
    assert (seen["remote_addr"], seen["scheme"], seen["fields"]) == (
        "127.0.0.1",
        "http",
        {"HOST": "a"},
    )
    assert int(seen["remote_port"]) == client.port
    line = line_of(stand, client)
    assert (line["client_ip"], line["scheme"]) == ("127.0.0.1", "http")


def test_a_trusted_proxys_claims_are_believed(proxied: Stand, proxy: Client) -> None:
    seen = proxy.get("/shop/", *CLAIMS).json()
    assert (seen["remote_addr"], seen["scheme"], seen["fields"]["HOST"]) == (
        "203.0.113.7",
        "https",
        "shop.example",
    )
    assert (seen["server_name"], seen["server_port"]) == ("shop.example", "443")
    line = proxied.wait_for_request(lambda line: line["client_ip"] == "203.0.113.7")
    assert line["scheme"] == "https"


def test_a_chain_of_proxies_is_believed_as_far_as_it_is_trusted(proxy: Client) -> None:
    chain = "X-Forwarded-For: 192.0.2.1, 198.51.100.2, 10.1.2.3"
    assert proxy.get("/shop/", chain).json()["remote_addr"] == "198.51.100.2"


def test_forwarded_is_understood(proxy: Client) -> None:
    claim = 'Forwarded: for="[2001:db8::1]:99";proto=https;host=shop.example:8443'
    seen = proxy.get("/shop/", claim).json()
    assert (seen["remote_addr"], seen["remote_port"]) == ("2001:db8::1", "99")
    assert (seen["server_name"], seen["server_port"]) == ("shop.example", "8443")


@pytest.mark.parametrize("claim", ["", "unknown", "_hidden", "<script>", "1.2.3", "x" * 1000])
def test_a_claim_that_is_no_address_is_not_believed(proxy: Client, claim: str) -> None:
    assert proxy.get("/shop/", f"X-Forwarded-For: {claim}").json()["remote_addr"] == "127.0.0.1"


def test_a_unix_socket_is_a_trusted_proxys(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with running(tmp_path, "--workers", "1", "--bind", f"unix:{path}") as stand:
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(20)
        connected.connect(str(path))
        with Client(connected) as client:
            seen = client.get("/", "X-Forwarded-For: 203.0.113.7", "X-Request-ID: mine").json()
            assert (seen["remote_addr"], seen["request_id"]) == ("203.0.113.7", "mine")
            assert client.get("/").json()["remote_addr"] == ""
        line = stand.wait_for_request(lambda line: line["request_id"] == "mine")
        assert line["client_ip"] == "203.0.113.7"


def test_a_field_with_an_underscore_is_left_out(client: Client) -> None:
    seen = client.get("/", "X_Real_IP: 1.2.3.4", "X_Other: 1", "X-Other: 2").json()
    assert seen["fields"] == {"HOST": "a", "X_OTHER": "2"}


def test_fields_with_underscores_may_be_allowed_but_never_pass_for_known_ones(
    proxy: Client,
) -> None:
    seen = proxy.get("/shop/", "X_Forwarded_For: 1.2.3.4", "X_Other: 1").json()
    assert seen["fields"] == {"HOST": "a", "X_OTHER": "1"}


def test_a_field_with_an_underscore_may_be_refused(tmp_path: Path) -> None:
    config = "[server]\nunderscores = 'refuse'"
    with running(tmp_path, "--workers", "1", config=config) as stand, connect(stand) as client:
        client.send(request("GET", "/", "X_Other: 1"))
        assert client.answer().status == 400


def test_fields_of_one_connection_are_not_shown_to_the_app(client: Client) -> None:
    fields = ("Connection: keep-alive, X-Secret", "X-Secret: 1", "TE: trailers", "Proxy: evil")
    assert client.get("/", *fields).json()["fields"] == {"HOST": "a"}


def test_a_mount_is_told_to_the_app(proxy: Client) -> None:
    for target, path in (("/shop", ""), ("/shop/", "/"), ("/shop/a%20b?q", "/a b")):
        seen = proxy.get(target).json()
        assert (seen["script_name"], seen["path"]) == ("/shop", path)


@pytest.mark.parametrize("target", ["/", "/other", "/shopping", "/shop/../other", "/SHOP/"])
def test_what_is_not_below_the_mount_is_404(proxied: Stand, proxy: Client, target: str) -> None:
    answer = proxy.get(target)
    assert (answer.status, answer.closes) == (404, False)
    line = line_of(proxied, proxy)
    assert (line["error"], "worker" in line) == ("edge.not_found", False)
    assert proxy.get("/shop/").status == 200


# The edge kept the connection, and read the content as the next request.
def test_the_content_of_what_is_not_below_the_mount_is_never_read_as_a_request(
    proxied: Stand, proxy: Client
) -> None:
    proxy.send(request("POST", "/streamed", body=request("GET", "/shop/smuggled")))
    answer = proxy.answer()
    assert (answer.status, answer.closes) == (404, True)
    assert proxy.is_ended()
    assert line_of(proxied, proxy)["path"] == "/streamed"
