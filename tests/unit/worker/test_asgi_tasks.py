"""What an ASGI app can see of the tasks that its requests run on."""

import asyncio
import contextvars
import weakref
from typing import Any

from tests.unit.worker.test_asgi import Edge, answer, play

VARIABLE: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


async def _turn() -> None:
    """Let the event loop go round once."""
    loop = asyncio.get_running_loop()
    came = loop.create_future()
    loop.call_soon(came.set_result, None)
    await came


async def _answered(edge: Edge, *numbers: int) -> None:
    for number in numbers:
        edge.request(number)
    for _ in numbers:
        await edge.next("response")


def test_requests_that_wait_for_nothing_share_a_task() -> None:
    names: list[int] = []

    async def app(_: Any, __: Any, send: Any) -> None:
        names.append(id(asyncio.current_task()))
        await answer(send)

    play(app, lambda edge: _answered(edge, 1, 2, 3))
    assert len(names) == 3
    assert len(set(names)) == 1


def test_a_request_that_waits_has_its_task_to_itself() -> None:
    tasks: list[asyncio.Task[Any] | None] = []

    async def app(_: Any, __: Any, send: Any) -> None:
        before = asyncio.current_task()
        await _turn()
        assert asyncio.current_task() is before
        tasks.append(before)
        await answer(send)

    async def scene(edge: Edge) -> None:
        await _answered(edge, 1, 2)
        assert all(task and task.done() for task in tasks)

    play(app, scene)
    assert len(set(tasks)) == 2


def test_a_request_finds_no_variable_of_another() -> None:
    seen: list[int] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set(len(seen))
        if scope["path"] == "/wait":
            await _turn()
            seen.append(VARIABLE.get())
        await answer(send)

    async def scene(edge: Edge) -> None:
        await _answered(edge, 1, 2)
        edge.request(3, path="/wait")
        await edge.next("response")

    play(app, scene)
    assert seen == [0, 0, 0, 3]


def test_whoever_leaves_something_on_a_task_leaves_it_to_nobody() -> None:
    kept: list[Any] = []
    ended: list[str] = []

    def leave(task: asyncio.Task[Any], path: str) -> None:
        if path == "/reference":
            kept.append(task)
        elif path == "/weak":
            kept.append(weakref.WeakKeyDictionary({task: path}))
        elif path == "/name":
            task.set_name(path)
        elif path == "/callback":
            task.add_done_callback(lambda _: ended.append(path))

    async def app(scope: Any, _: Any, send: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert task.get_name() == "request"
        assert not any(task is each for each in kept)
        assert not any(task in each for each in kept if isinstance(each, weakref.WeakKeyDictionary))
        leave(task, scope["path"])
        await answer(send)

    async def scene(edge: Edge) -> None:
        paths = ["/reference", "/weak", "/name", "/callback", "/"]
        for number, path in enumerate(paths * 2, 1):
            edge.request(number, path=path)
        for _ in paths * 2:
            await edge.next("response")

    play(app, scene)
    assert ended == ["/callback", "/callback"]


def test_a_task_that_was_cancelled_does_not_cancel_the_next_request() -> None:
    async def app(scope: Any, _: Any, send: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        await answer(send)
        if scope["path"] == "/cancel":
            task.cancel()

    async def scene(edge: Edge) -> None:
        edge.request(1, path="/cancel")
        edge.request(2)
        await edge.next("response")
        await edge.next("response")

    play(app, scene)


def test_requests_go_on_when_every_task_was_cancelled() -> None:
    async def app(scope: Any, _: Any, send: Any) -> None:
        if scope["path"] == "/all":
            kept = asyncio.current_task()
            for task in asyncio.all_tasks():
                if task is not kept and task.get_name() == "request":
                    task.cancel()
        await answer(send)

    async def scene(edge: Edge) -> None:
        await _answered(edge, 1)
        edge.request(2, path="/all")
        await edge.next("response")
        await _answered(edge, 3)

    play(app, scene)


def test_groups_and_timeouts_find_a_task() -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        await asyncio.wait_for(answer(send), 10)
        await asyncio.gather(_turn(), _turn())

    play(app, lambda edge: _answered(edge, 1, 2))


def test_nothing_is_sent_before_it_is_awaited() -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        start = send({"type": "http.response.start", "status": 201, "headers": []})
        wrong = send({"type": "http.response.start", "status": 500, "headers": []})
        wrong.close()
        assert asyncio.iscoroutine(start)
        await start
        await asyncio.create_task(send({"type": "http.response.body", "body": b"done"}))

    async def scene(edge: Edge) -> None:
        edge.request()
        frame = await edge.next("response")
        assert frame["value"]["status"] == 201

    play(app, scene)


def test_an_awaitable_that_is_no_coroutine_is_awaited() -> None:
    class App:
        def __call__(self, _: Any, __: Any, send: Any) -> Any:
            return asyncio.ensure_future(answer(send))

    play(App(), lambda edge: _answered(edge, 1, 2))


def test_headers_that_can_be_read_once_are_read_once() -> None:
    async def app(_: Any, __: Any, send: Any) -> None:
        headers = iter([(b"x-one", b"1"), (b"x-two", b"2")])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    async def scene(edge: Edge) -> None:
        edge.request()
        frame = await edge.next("response")
        assert [name for name, _ in frame["value"]["fields"]] == ["x-one", "x-two"]

    play(app, scene)


def test_what_lies_behind_a_running_request_can_be_recalled() -> None:
    ran: list[str] = []
    edges: list[Edge] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        ran.append(scope["path"])
        if scope["path"] == "/":
            edges[0].recall(2)
        await answer(send)

    async def scene(edge: Edge) -> None:
        edges.append(edge)
        edge.request(1)
        edge.request(2, path="/recalled")
        edge.request(3, path="/next")
        await edge.next("response")
        assert (await edge.next("response"))["request"] == 3

    play(app, scene)
    assert ran == ["/", "/next"]
