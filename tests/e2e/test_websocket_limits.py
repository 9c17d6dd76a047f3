"""What WebSockets may take: of memory, of time, of a worker; and that neighbours do not notice."""

import asyncio
import re
import signal
import threading
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from tests.e2e.apps import serving
from tests.e2e.stand import Stand
from tests.e2e.ws import frame, handshake, opened, raw_socket
from tests.waiting import wait_until

CLOSE, PING, PONG, TEXT, BINARY = 0x88, 0x89, 0x8A, 0x81, 0x82


def sent(stand: Stand) -> int:
    """Bytes that the flooding app has got rid of."""
    return int(stand.get("/state").json()["sent"])


def echoes(stand: Stand, count: int = 50) -> None:
    with opened(stand) as client:
        for number in range(count):
            client.send(f"{number}")
            assert client.recv(timeout=20) == f"{number}"


def settled(stand: Stand) -> int:
    """What the flooding app has sent, once that does not grow any more."""
    seen = [-1]

    def rests() -> bool:
        seen.append(sent(stand))
        return seen[-1] == seen[-2] > 0

    wait_until(rests, "the app sent on and on")
    return seen[-1]


def test_a_client_that_reads_nothing_holds_up_nobody_else() -> None:
    with serving("sockets:app", "--workers", "1") as stand, raw_socket(stand, "/flood"):
        wait_until(lambda: sent(stand) > 0, "the app sent nothing")
        echoes(stand)
        # What the system's buffers take, and a little more: not what an app could make.
        assert settled(stand) < 16 << 20
        echoes(stand)


def test_an_app_that_reads_nothing_stops_its_client_and_nobody_else() -> None:
    with serving("sockets:app", "--workers", "1") as stand, raw_socket(stand, "/deaf") as client:
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.socket.sendall(frame(BINARY, b"x" * 10_000) * 5000)
        echoes(stand)


def test_a_thousand_websockets_on_two_workers_leave_room_for_requests() -> None:
    async def run(port: int, stand: Stand) -> None:
        url = f"ws://127.0.0.1:{port}/echo"
        clients = []
        for _ in range(20):
            batch = [
                connect_async(url, compression=None, ping_interval=None, open_timeout=30)
                for _ in range(50)
            ]
            clients += await asyncio.gather(*batch)
        answer = await asyncio.to_thread(stand.get, "/state")
        assert answer.status == 200
        for client in clients:
            await client.send("here")
        assert [await client.recv() for client in clients] == ["here"] * 1000
        stand.signal(signal.SIGTERM)
        codes = set()
        for client in clients:
            with pytest.raises(ConnectionClosed):
                await client.recv()
            codes.add(client.close_code)
        assert codes == {1012}

    with serving("sockets:app", "--workers", "2") as stand:
        asyncio.run(run(stand.port, stand))
        assert stand.wait() == 0
        by_worker = [line["worker"] for line in stand.requests() if line["status"] == 101]
        assert len(by_worker) == 1000
        assert {by_worker.count(1), by_worker.count(2)} <= set(range(400, 601))


def test_a_silent_client_is_pinged_and_one_that_is_gone_is_dropped() -> None:
    options = ("--ws-ping-interval", "200ms", "--ws-ping-timeout", "300ms")
    with serving("sockets:app", "--workers", "1", *options) as stand:
        with raw_socket(stand) as client:
            for _ in range(3):
                assert client.next() == (PING, b"")
                client.send(frame(PONG))
            assert client.next() == (PING, b"")
            wait_until(
                lambda: [1006, ""] in stand.get("/state").json()["told"], "the app was not told"
            )
        line = stand.wait_for_request(lambda line: line["status"] == 101)
        assert line["error"] == "websocket: no answer to a ping"


def test_a_client_that_never_answers_the_close_frame_is_let_go() -> None:
    with serving("sockets:app", "--workers", "1") as stand:
        with raw_socket(stand, "/leave") as client:
            assert client.close_code() == 1000
            line = stand.wait_for_request(lambda line: line["status"] == 101)
        assert line["error"] == "websocket: no answer to the close frame"


def test_an_idle_limit_ends_those_who_say_nothing(tmp_path: Path) -> None:
    app = (Path(__file__).parent / "apps" / "sockets.py").read_text()
    (tmp_path / "app.py").write_text(app)
    (tmp_path / "trivet.toml").write_text('[websocket]\nidle = "300ms"\nping_interval = "100ms"\n')
    with serving("--workers", "1", cwd=tmp_path) as stand, opened(stand) as client:
        client.send("busy")
        assert client.recv() == "busy"
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=20)
        assert closed.value.rcvd
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "idle")


def test_the_largest_message_is_set_by_an_option() -> None:
    with serving("sockets:app", "--workers", "1", "--ws-max-size", "1k") as stand:
        with opened(stand) as client:
            client.send("x" * 1024)
            assert client.recv() == "x" * 1024
        with raw_socket(stand) as raw:
            raw.send(frame(TEXT, b"x" * 1025))
            assert raw.close_code() == 1009


def deflate(bits: int | None = None) -> list[ClientPerMessageDeflateFactory]:
    return [ClientPerMessageDeflateFactory(server_max_window_bits=bits)]


@pytest.mark.parametrize("bits", [None, 9, 15])
def test_messages_are_compressed_where_both_sides_agree(bits: int | None) -> None:
    with serving("sockets:app", "--workers", "1", "--ws-compression") as stand:
        with opened(stand, extensions=deflate(bits)) as client:
            assert client.response
            agreed = client.response.headers["sec-websocket-extensions"]
            assert agreed.startswith("permessage-deflate; server_no_context_takeover")
            messages: list[str | bytes] = ["", "short", "again and " * 50_000, b"\0" * 300_000]
            for message in messages:
                client.send(message)
                assert client.recv() == message
        with opened(stand) as plain:
            plain.send("x" * 1000)
            assert plain.recv() == "x" * 1000


def test_compression_is_off_by_default() -> None:
    with (
        serving("sockets:app", "--workers", "1") as stand,
        opened(stand, extensions=deflate()) as client,
    ):
        assert client.response
        assert "sec-websocket-extensions" not in client.response.headers
        client.send("x" * 1000)
        assert client.recv() == "x" * 1000


def test_a_compressed_bomb_is_refused_at_the_limit() -> None:
    with serving("sockets:app", "--workers", "1", "--ws-compression") as stand:
        with opened(stand, extensions=deflate()) as client:
            client.send(b"\0" * 50_000_000)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=20)
            assert closed.value.rcvd
            assert closed.value.rcvd.code == 1009
        edge_peak = Path(f"/proc/{stand.children('edge')[0]}/status").read_text("utf-8")
        found = re.search(r"VmHWM:\s+(\d+) kB", edge_peak)
        assert found
        assert int(found[1]) < 100_000


def test_bytes_that_cannot_be_inflated_are_1007() -> None:
    with serving("sockets:app", "--workers", "1", "--ws-compression") as stand:
        offer = handshake(Sec_WebSocket_Extensions="permessage-deflate")
        with stand.socket() as client:
            client.sendall(offer + frame(0xC1, b"\xff" * 9))
            data = b""
            while b"\x88\x02\x03\xef" not in data:
                piece = client.recv(4096)
                assert piece, data
                data += piece


def test_a_flood_of_pings_from_a_client_that_reads_nothing_is_not_gathered() -> None:
    with serving("sockets:app", "--workers", "1") as stand, raw_socket(stand) as client:
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.socket.sendall(frame(PING, b"x" * 125) * 200_000)
        thread = threading.Thread(target=echoes, args=(stand,))
        thread.start()
        thread.join(20)
        assert not thread.is_alive()


def test_an_accepted_websocket_counts_against_the_limit_of_concurrency() -> None:
    with serving("sockets:app", "--workers", "1", "--limit-concurrency", "1") as stand:
        with opened(stand) as client:
            client.send("here")
            assert client.recv(timeout=20) == "here"
            assert stand.get("/state").status == 503
        wait_until(lambda: stand.get("/state").status == 200, stand.describe)
