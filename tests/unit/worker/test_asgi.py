"""An ASGI worker with an edge that is played by the test, frame by frame."""

import asyncio
import json
import mmap
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from trivet import _trivet
from trivet.wire.worker_control import NO_HOOKS, AppTarget, Start
from trivet.worker.asgi import AsgiServer

UNKNOWN = 2**64 - 1
QUEUED = 1
RECALLED = 3
App = Callable[[Any, Any, Any], Awaitable[None]]


class Edge:
    """The edge's end of a link."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(False)
        self.link_fd = theirs.detach()
        self.claim_fd = os.memfd_create("claim")
        os.truncate(self.claim_fd, _trivet.CLAIM_PAGE_BYTES)
        _trivet.init_claim_page(self.claim_fd)
        self._page = mmap.mmap(self.claim_fd, _trivet.CLAIM_PAGE_BYTES)
        self._received = bytearray()
        self.frames: list[dict[str, Any]] = []

    def send(self, value: dict[str, Any], *, number: int, end: bool = False, fd: int = -1) -> None:
        frame = {
            "end": end,
            "descriptor": fd >= 0,
            "slot": number,
            "request": number,
            "value": value,
        }
        data = _trivet.encode_frame(json.dumps(frame))
        socket.send_fds(self.socket, [data], [fd] if fd >= 0 else [])

    def request(self, number: int = 1, *, fd: int = -1, **parts: Any) -> None:
        """Hand out a request in the slot of its number."""
        struct.pack_into("=Q", self._page, (8 + 2 * number) * 8, number << 3 | QUEUED)
        value: dict[str, Any] = {
            "kind": "request",
            "attempt": 0,
            "secure": False,
            "version": 11,
            "content": "none",
            "received_us": 1,
            "deadline_us": 0,
            "content_length": 0,
            "client_port": 4711,
            "server_port": 8000,
            "method": "GET",
            "path": "/",
            "target": "/",
            "query": "",
            "mount": "",
            "client": "127.0.0.1",
            "server_name": "localhost",
            "request_id": "the-id",
            "fields": [],
            "inline": "",
        }
        self.send(value | parts, number=number, fd=fd)

    def recall(self, number: int) -> None:
        """Take back a request that has not been started."""
        struct.pack_into("=Q", self._page, (8 + 2 * number) * 8, number << 3 | RECALLED)

    async def next(self, kind: str) -> dict[str, Any]:
        """Wait for the next frame, which must be of this kind."""
        loop = asyncio.get_running_loop()
        while True:
            if decoded := _trivet.decode_frame(bytes(self._received)):
                text, taken = decoded
                del self._received[:taken]
                frame: dict[str, Any] = json.loads(text)
                if frame["value"]["kind"] == "hello":
                    continue
                assert frame["value"]["kind"] == kind, frame
                return frame
            data = await asyncio.wait_for(loop.sock_recv(self.socket, 1 << 20), 10)
            assert data, "the worker closed the link"
            self._received += data


def play(app: App, scene: Callable[[Edge], Coroutine[Any, Any, None]], mount: str = "") -> None:
    """Run a scene between an edge and a worker with this app."""

    async def run() -> None:
        edge = Edge()
        target = AppTarget(
            name="app",
            module="app",
            expression="app",
            factory=False,
            directory="",
            interface="asgi",
            async_views="shared",
        )
        start = Start(
            worker=1,
            app=target,
            hooks=NO_HOOKS,
            threads=1,
            multiprocess=False,
            mount=mount,
            link_fd=edge.link_fd,
            claim_fd=edge.claim_fd,
            doorbell_fd=-1,
        )
        server = AsgiServer(app, start, {"of": "the app"})
        closed = asyncio.Event()
        server.on_close = closed.set
        await scene(edge)
        edge.socket.close()
        await asyncio.wait_for(closed.wait(), 10)
        await asyncio.wait_for(server.stop(), 10)

    asyncio.run(run())


async def answer(send: Any, body: bytes = b"hello", *, more: bool = False) -> None:
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more})


def test_a_small_response_is_one_frame() -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await answer(send)

    async def scene(edge: Edge) -> None:
        edge.request(5)
        frame = await edge.next("response")
        assert (frame["request"], frame["slot"], frame["end"]) == (5, 5, True)
        assert frame["value"]["status"] == 200
        assert frame["value"]["fields"] == [["content-type", "text/plain"]]
        assert frame["value"]["data"] == "hello"

    play(app, scene)


def test_the_scope_says_what_the_client_asked() -> None:
    seen: list[dict[str, Any]] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        seen.append(scope)
        await answer(send)

    async def scene(edge: Edge) -> None:
        edge.request(
            path="/caf\xc3\xa9",
            target="/caf%C3%A9?x=%20",
            query="x=%20",
            method="post",
            secure=True,
            fields=[(0, "x-own", "1"), (0, "x-own", "2")],
        )
        await edge.next("response")

    play(app, scene, mount="/shop")
    (scope,) = seen
    assert scope["type"] == "http"
    assert scope["method"] == "POST"
    assert scope["scheme"] == "https"
    assert scope["http_version"] == "1.1"
    assert scope["raw_path"] == b"/caf%C3%A9"
    assert scope["path"] == "/caf\u00e9"
    assert scope["root_path"] == "/shop"
    assert scope["query_string"] == b"x=%20"
    assert scope["headers"] == [(b"x-own", b"1"), (b"x-own", b"2")]
    assert scope["client"] == ("127.0.0.1", 4711)
    assert scope["server"] == ("localhost", 8000)
    assert scope["state"] == {"of": "the app"}
    assert scope["extensions"]["trivet"] == {"request_id": "the-id"}


def test_the_state_of_one_request_is_not_that_of_the_next() -> None:
    seen: list[dict[str, Any]] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        seen.append(dict(scope["state"]))
        scope["state"]["mine"] = True
        await answer(send)

    async def scene(edge: Edge) -> None:
        for number in (1, 2):
            edge.request(number)
            await edge.next("response")

    play(app, scene)
    assert seen == [{"of": "the app"}, {"of": "the app"}]


def test_inline_content_comes_in_one_event() -> None:
    seen: list[dict[str, Any]] = []

    async def app(_: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())
        await answer(send)

    async def scene(edge: Edge) -> None:
        edge.request(content="inline", content_length=4, inline="\x00\xff12")
        await edge.next("response")

    play(app, scene)
    assert seen == [{"type": "http.request", "body": b"\x00\xff12", "more_body": False}]


def test_spooled_content_comes_in_pieces_and_its_file_is_closed(tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (tmp_path / "content").write_bytes(content)
    got: list[bytes] = []
    before = len(list(Path("/proc/self/fd").iterdir()))

    async def app(_: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            event = await receive()
            got.append(event["body"])
            more = event["more_body"]
        await answer(send)

    async def scene(edge: Edge) -> None:
        with (tmp_path / "content").open("rb") as file:
            edge.request(content="file", content_length=len(content), fd=file.fileno())
        await edge.next("response")

    play(app, scene)
    assert len(got) == 3
    assert b"".join(got) == content
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2  # the test's own ends


def test_streamed_content_is_asked_for() -> None:
    got: list[dict[str, Any]] = []

    async def app(_: Any, receive: Any, send: Any) -> None:
        got.extend([await receive(), await receive()])
        await answer(send)

    async def scene(edge: Edge) -> None:
        edge.request(content="stream", content_length=UNKNOWN)
        wanted = await edge.next("read")
        assert wanted["value"]["bytes"] > 0
        edge.send({"kind": "body", "data": "one"}, number=1)
        edge.send({"kind": "body", "data": "two"}, number=1, end=True)
        await edge.next("response")

    play(app, scene)
    assert [event["body"] for event in got] == [b"one", b"two"]
    assert [event["more_body"] for event in got] == [True, False]


def test_a_long_body_waits_for_credit() -> None:
    body = os.urandom(1_000_000)

    async def app(_: Any, __: Any, send: Any) -> None:
        await answer(send, body)

    async def scene(edge: Edge) -> None:
        edge.request()
        got = (await edge.next("response"))["value"]["data"]
        got += (await edge.next("data"))["value"]["data"]
        assert len(got) == 256 << 10
        while len(got) < len(body):
            edge.send({"kind": "credit", "bytes": 128 << 10}, number=1)
            got += (await edge.next("data"))["value"]["data"]
        assert got.encode("latin-1") == body

    play(app, scene)


def test_a_client_that_leaves_is_told_to_receive_and_send() -> None:
    told: list[object] = []

    async def app(_: Any, receive: Any, send: Any) -> None:
        await receive()
        told.append(await receive())
        try:
            await answer(send)
        except OSError as error:
            told.append(type(error).__mro__[1])
            raise

    async def scene(edge: Edge) -> None:
        edge.request()
        edge.send({"kind": "cancel"}, number=1)
        await edge.next("failed")

    play(app, scene)
    assert told == [{"type": "http.disconnect"}, OSError]


def test_an_exception_is_told_with_its_place(capfd: Any) -> None:
    async def app(_: Any, __: Any, ___: Any) -> None:
        raise LookupError("no such thing")

    async def scene(edge: Edge) -> None:
        edge.request()
        frame = await edge.next("failed")
        assert frame["value"]["error"] == "LookupError: no such thing"
        assert "test_asgi.py" in frame["value"]["place"]

    play(app, scene)
    assert "request id the-id" in capfd.readouterr().err


def test_what_is_raised_behind_a_whole_response_is_told() -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await answer(send)
        raise LookupError("the job was not done")

    async def scene(edge: Edge) -> None:
        edge.request()
        await edge.next("response")
        frame = await edge.next("failed")
        assert frame["value"]["error"] == "LookupError: the job was not done"
        assert frame["value"]["trace"]

    play(app, scene)


def test_an_app_that_returns_too_early_has_failed() -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await answer(send, more=True)

    async def scene(edge: Edge) -> None:
        edge.request()
        await edge.next("response")
        frame = await edge.next("failed")
        assert "before its response was complete" in frame["value"]["error"]

    play(app, scene)


def test_messages_out_of_order_are_refused() -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.body", "body": b"too early"})

    async def scene(edge: Edge) -> None:
        edge.request()
        frame = await edge.next("failed")
        assert "`http.response.start` must come first" in frame["value"]["error"]

    play(app, scene)


def test_a_header_that_would_break_http_is_refused() -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        headers = [(b"x-evil", b"a\r\nb: c")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def scene(edge: Edge) -> None:
        edge.request()
        assert "x-evil" in (await edge.next("failed"))["value"]["error"]

    play(app, scene)


def test_a_file_is_sent_by_its_descriptor(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "file")})

    async def scene(edge: Edge) -> None:
        edge.request()
        await edge.next("response")
        frame = await edge.next("file")
        assert (frame["descriptor"], frame["value"]["length"]) == (True, 1000)

    play(app, scene)


def test_a_recalled_request_is_never_run() -> None:
    ran: list[str] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        ran.append(scope["path"])
        await answer(send)

    async def scene(edge: Edge) -> None:
        edge.request(1, path="/recalled")
        struct.pack_into("=Q", edge._page, (8 + 2) * 8, 1 << 3 | 3)
        edge.request(2, path="/kept")
        await edge.next("response")

    play(app, scene)
    assert ran == ["/kept"]
