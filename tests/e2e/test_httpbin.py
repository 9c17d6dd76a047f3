"""PyPI's real httpbin, a Flask app that inspects all that a server passes on."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest

from tests.e2e.apps import serving
from tests.e2e.apps.forms import CONTENT_TYPE, form
from tests.e2e.stand import Stand


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder: Path = tmp_path_factory.mktemp("httpbin")
    with serving("httpbin:app", "--workers", "2", cwd=folder) as stand:
        yield stand


def test_get_tells_query_fields_and_origin(stand: Stand) -> None:
    told = stand.get("/get?a=1&a=2&b=%C3%A9", {"X-One": "1", "User-Agent": "tests"}).json()
    assert told["args"] == {"a": ["1", "2"], "b": "é"}
    assert (told["headers"]["X-One"], told["headers"]["User-Agent"]) == ("1", "tests")
    assert told["origin"] == "127.0.0.1"
    assert told["url"] == f"http://127.0.0.1:{stand.port}/get?a=1&a=2&b=é"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_methods_with_content_get_it(stand: Stand, method: str) -> None:
    content = json.dumps({"text": "naïve"}).encode()
    headers = {"Content-Type": "application/json"}
    told = stand.request(method, f"/{method.lower()}", content, headers).json()
    assert told["json"] == {"text": "naïve"}
    assert told["headers"]["Content-Length"] == str(len(content))


def test_a_form_is_told_apart(stand: Stand) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert stand.request("POST", "/post", b"a=1&b=x+y", headers).json()["form"] == {
        "a": "1",
        "b": "x y",
    }


def test_a_file_is_told_apart(stand: Stand) -> None:
    content = b"line\n" * 100_000
    body = form({"note": "kept"}, "lines.txt", content)
    told = stand.request("POST", "/post", body, {"Content-Type": CONTENT_TYPE}).json()
    assert told["form"] == {"note": "kept"}
    assert told["files"] == {"file": content.decode()}


def test_content_in_chunks_arrives(stand: Stand) -> None:
    parts = iter([b"one ", b"two ", b"three"])
    headers = {"Transfer-Encoding": "chunked", "Content-Type": "text/plain"}
    assert stand.request("POST", "/post", parts, headers).json()["data"] == "one two three"


def test_anything_tells_the_method(stand: Stand) -> None:
    told = stand.request("PROPFIND", "/anything/below?x").status
    assert told == 405
    assert stand.request("TRACE", "/anything/below?x").json()["method"] == "TRACE"


def test_head_has_no_content(stand: Stand) -> None:
    answer = stand.request("HEAD", "/get")
    assert (answer.status, answer.body) == (200, b"")


def test_options_are_told(stand: Stand) -> None:
    answer = stand.request("OPTIONS", "/get")
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("status", [200, 201, 204, 304, 400, 404, 418, 429, 500, 503])
def test_statuses_pass(stand: Stand, status: int) -> None:
    assert stand.get(f"/status/{status}").status == status


def test_redirects_pass(stand: Stand) -> None:
    answer = stand.get("/redirect-to?url=http%3A%2F%2Fexample.com%2F")
    assert (answer.status, answer.headers["location"]) == (302, "http://example.com/")
    assert stand.get("/relative-redirect/1").headers["location"] == "/get"


def test_cookies_are_set_and_told(stand: Stand) -> None:
    answer = stand.get("/cookies/set?a=1")
    assert (answer.status, answer.headers["set-cookie"]) == (302, "a=1; Path=/")
    assert stand.get("/cookies", {"Cookie": "a=1; b=2"}).json() == {"cookies": {"a": "1", "b": "2"}}


def test_basic_authentication_works(stand: Stand) -> None:
    assert stand.get("/basic-auth/user/word").status == 401
    known = base64.b64encode(b"user:word").decode()
    answer = stand.get("/basic-auth/user/word", {"Authorization": f"Basic {known}"})
    assert answer.json() == {"authenticated": True, "user": "user"}


def test_bearer_authentication_works(stand: Stand) -> None:
    assert stand.get("/bearer").status == 401
    answer = stand.get("/bearer", {"Authorization": "Bearer token"})
    assert answer.json() == {"authenticated": True, "token": "token"}


def test_validators_work(stand: Stand) -> None:
    assert stand.get("/cache").status == 200
    assert stand.get("/cache", {"If-None-Match": "x"}).status == 304
    assert stand.get("/etag/abc", {"If-None-Match": '"abc"'}).status == 304
    assert stand.get("/etag/abc", {"If-Match": '"other"'}).status == 412


def test_encodings_pass_as_they_are(stand: Stand) -> None:
    assert json.loads(gzip.decompress(stand.get("/gzip").body))["gzipped"] is True
    assert json.loads(zlib.decompress(stand.get("/deflate").body))["deflated"] is True


def test_bytes_pass_as_they_are(stand: Stand) -> None:
    assert len(stand.get("/bytes/100000").body) == 100_000
    assert stand.get("/bytes/5000?seed=1").body == stand.get("/bytes/5000?seed=1").body
    assert stand.get("/base64/VHJpdmV0").text == "Trivet"


def test_streams_pass(stand: Stand) -> None:
    lines = stand.get("/stream/20").text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(20))
    assert len(stand.get("/stream-bytes/50000?chunk_size=1000").body) == 50_000


def test_a_drip_has_its_length(stand: Stand) -> None:
    answer = stand.get("/drip?duration=0&numbytes=500&code=200")
    assert (len(answer.body), answer.headers["content-length"]) == (500, "500")


def test_a_range_is_cut_out(stand: Stand) -> None:
    answer = stand.get("/range/1000?duration=0", {"Range": "bytes=3-6"})
    assert (answer.status, answer.body) == (206, b"defg")
    assert answer.headers["content-range"] == "bytes 3-6/1000"


def test_response_fields_pass(stand: Stand) -> None:
    answer = stand.get("/response-headers?X-One=1&X-Two=two%20words")
    assert (answer.headers["x-one"], answer.headers["x-two"]) == ("1", "two words")


def test_the_scheme_and_the_client_cannot_be_claimed(stand: Stand) -> None:
    told = stand.get("/get", {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"}).json()
    assert told["origin"] == "127.0.0.1"
    assert told["url"].startswith("http://")


@pytest.mark.parametrize("kind", ["png", "jpeg", "svg", "webp"])
def test_images_pass(stand: Stand, kind: str) -> None:
    answer = stand.get(f"/image/{kind}")
    assert answer.headers["content-type"] == f"image/{kind}".replace("svg", "svg+xml")
    assert answer.headers["content-length"] == str(len(answer.body))


def test_pages_pass(stand: Stand) -> None:
    for path, kind in [
        ("/html", "text/html; charset=utf-8"),
        ("/xml", "application/xml"),
        ("/json", "application/json"),
        ("/robots.txt", "text/plain"),
        ("/encoding/utf8", "text/html; charset=utf-8"),
        ("/deny", "text/plain"),
        ("/", "text/html; charset=utf-8"),
    ]:
        answer = stand.get(path)
        assert (answer.status, answer.headers["content-type"]) == (200, kind), path
    assert "STARGΛ̊TE SG-1" in stand.get("/encoding/utf8").text


def test_small_facts_pass(stand: Stand) -> None:
    assert stand.get("/ip").json() == {"origin": "127.0.0.1"}
    assert stand.get("/user-agent", {"User-Agent": "x/1"}).json() == {"user-agent": "x/1"}
    assert stand.get("/headers", {"Accept": "a/b"}).json()["headers"]["Accept"] == "a/b"
    assert len(stand.get("/uuid").json()["uuid"]) == 36
    assert "<a href='/links/10/1'>1</a>" in stand.get("/links/10/0").text


def test_a_slow_answer_comes(stand: Stand) -> None:
    assert stand.get("/delay/1").status == 200


def test_a_kept_connection_serves_many_kinds(stand: Stand) -> None:
    connection = stand.connect()
    for path in ["/get", "/stream/3", "/status/204", "/bytes/100000", "/gzip", "/get"]:
        connection.request("GET", path)
        response: HTTPResponse = connection.getresponse()
        response.read()
        assert response.status in {200, 204}
        assert not response.will_close, path
    connection.close()
