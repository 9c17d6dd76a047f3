"""Frameworks whose apps have WebSockets, as they are."""

import json
from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.e2e.apps import serving
from tests.e2e.stand import Stand
from tests.e2e.ws import opened


@pytest.fixture(scope="module", params=["fastapi", "litestar", "quart", "starlette"])
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    with serving(f"ws_frameworks:{request.param}", "--workers", "1") as running:
        yield running


def test_messages_go_both_ways(stand: Stand) -> None:
    with opened(stand) as client:
        for message in ("hello", "", "☃" * 100_000):
            client.send(message)
            assert client.recv() == message


def test_the_app_chooses_a_subprotocol_and_closes(stand: Stand) -> None:
    with opened(stand, "/count", subprotocols=[Subprotocol("numbers")]) as client:
        assert client.subprotocol == "numbers"
        assert [json.loads(client.recv()) for _ in range(3)] == [
            {"number": number} for number in range(3)
        ]
        with pytest.raises(ConnectionClosed) as closed:
            client.recv()
    assert closed.value.rcvd
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "counted")


def test_an_unknown_path_is_refused(stand: Stand) -> None:
    with pytest.raises(InvalidStatus) as refused, opened(stand, "/nowhere"):
        pass
    assert refused.value.response.status_code in {403, 404}


def test_a_client_that_leaves_is_no_error(stand: Stand) -> None:
    with opened(stand, "/echo?leaves") as client:
        client.send("x")
        client.recv()
    line = stand.wait_for_request(lambda line: line.get("query") == "leaves")
    assert "error" not in line
