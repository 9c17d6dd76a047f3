"""The standard library's validator finds nothing in any shape of request and response."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from itertools import product

import pytest

from tests.e2e.apps import serving
from tests.e2e.stand import Stand, read_answer

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]
SHAPES = ["empty", "file", "generator", "list", "tuple", "write"]
# 64 KiB is where content moves from memory to a file.
CONTENTS = [None, b"", b"small", b"x" * 65535, b"x" * 65536, b"x" * 65537, b"0123456789" * 30_000]


def in_chunks(content: bytes) -> Iterator[bytes]:
    for at in range(0, len(content), 40_000):
        yield content[at : at + 40_000]


@pytest.fixture(scope="module", params=["bare", "validated"])
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    with serving(f"matrix:{request.param}", "--workers", "1", "--threads", "2") as stand:
        yield stand
        assert "error" not in {line.get("level") for line in stand.log()}, stand.describe()
        assert "garbage collected without being closed" not in stand.describe()


def expected(method: str, content: bytes, shape: str) -> bytes:
    if shape == "empty" or method == "HEAD":
        return b""
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    text = f"{method} {len(content)} {len(content)} {digest}".encode()
    return text * 1000 if shape == "file" else text


@pytest.mark.parametrize("length", ["told", "untold"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_method_and_content_is_answered_on_one_connection(
    stand: Stand, shape: str, length: str
) -> None:
    with closing(stand.connect()) as connection:
        for method, content, chunked in product(METHODS, CONTENTS, [False, True]):
            if chunked and content is None:
                continue
            connection.request(
                method,
                f"/?shape={shape}&length={length}",
                body=in_chunks(content or b"") if chunked else content,
                encode_chunked=chunked,
                headers={"Transfer-Encoding": "chunked"} if chunked else {},
            )
            answer = read_answer(connection.getresponse())
            case = (method, len(content or b""), chunked)
            assert answer.status == 200, (case, stand.describe())
            assert answer.body == expected(method, content or b"", shape), case
            if length == "told" and shape not in {"empty", "file"}:
                told = len(expected("POST" if method == "HEAD" else method, content or b"", shape))
                assert method == "HEAD" or answer.headers["content-length"] == str(told), case
