"""The request vectors of `tests/vectors/http1`, sent to a live stand.

`cargo test` judges the same files by the codec alone; here each goes over a socket.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.http1 import Client, RawAnswer, connect, line_of, lines_of, running
from tests.e2e.stand import Stand

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "http1"


def vectors(kind: str) -> list[Any]:
    found = sorted((VECTORS / kind).glob("*.http"))
    assert found
    return [
        pytest.param(
            path.read_bytes(), json.loads(path.with_suffix(".json").read_text()), id=path.stem
        )
        for path in found
    ]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with running(tmp_path_factory.mktemp("http1"), "--workers", "1", "--threads", "1") as stand:
        yield stand


def in_pieces(client: Client, data: bytes, size: int) -> None:
    for start in range(0, len(data), size):
        client.send_while_taken(data[start : start + size])


def check_valid(client: Client, expected: dict[str, Any]) -> None:
    answer = client.answer()
    seen = answer.json()
    assert {name: seen[name] for name in ("method", "path", "query", "body")} == {
        name: expected[name] for name in ("method", "path", "query", "body")
    }
    if expected["keep_alive"]:
        assert client.get("/next").json()["path"] == "/next"
    else:
        assert client.is_ended()


def check_refused(answer: RawAnswer, expected: dict[str, Any]) -> None:
    assert (answer.version, answer.status) == ("HTTP/1.1", expected["status"])
    assert answer.closes is expected["closes"]
    assert answer.field("x-request-id")


def handled(stand: Stand) -> int:
    """Requests that the app has got."""
    return int(stand.get("/do/count").body)


@pytest.mark.parametrize(("data", "expected"), vectors("valid"))
def test_a_valid_request_reaches_the_app(
    stand: Stand, data: bytes, expected: dict[str, Any]
) -> None:
    with connect(stand) as client:
        client.send(data)
        check_valid(client, expected)


@pytest.mark.parametrize(("data", "expected"), vectors("invalid"))
def test_an_invalid_request_is_refused_and_closed_and_never_reaches_the_app(
    stand: Stand, data: bytes, expected: dict[str, Any]
) -> None:
    before = handled(stand)
    with connect(stand) as client:
        # Whatever it smuggles behind itself must not be answered.
        client.send_while_taken(data + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        check_refused(client.answer(), expected)
        assert client.is_ended()
        line = line_of(stand, client)
        assert (line["status"], "worker" in line) == (expected["status"], False)
        assert len(lines_of(stand, client)) == 1
    assert handled(stand) == before


@pytest.mark.parametrize("size", [1, 7])
def test_requests_mean_the_same_in_pieces(stand: Stand, size: int) -> None:
    for vector in vectors("valid"):
        data, expected = vector.values
        with connect(stand) as client:
            in_pieces(client, data, size if len(data) < 2000 else 100 * size)
            check_valid(client, expected)


def test_invalid_requests_are_refused_in_pieces(stand: Stand) -> None:
    for vector in vectors("invalid"):
        data, expected = vector.values
        with connect(stand) as client:
            in_pieces(client, data, 3 if len(data) < 2000 else 1000)
            check_refused(client.answer(), expected)


def test_all_valid_requests_are_answered_in_order_on_one_connection(stand: Stand) -> None:
    kept = [vector for vector in vectors("valid") if vector.values[1]["keep_alive"]]
    assert len(kept) > 50
    with connect(stand) as client:
        client.send(*[vector.values[0] for vector in kept])
        for vector in kept:
            expected = vector.values[1]
            seen = client.answer().json()
            assert (seen["method"], seen["path"], seen["body"]) == (
                expected["method"],
                expected["path"],
                expected["body"],
            )
