"""One event loop for the coroutines of many threads."""

import asyncio
import contextvars
import ctypes
import os
import threading
from collections.abc import Iterator

import pytest
from trivet.worker.event_loop.shared import SharedLoop

variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


@pytest.fixture
def shared() -> Iterator[SharedLoop]:
    loop = SharedLoop()
    yield loop
    loop.stop()
    assert "trivet-async" not in [thread.name for thread in threading.enumerate()]


def test_it_begins_with_the_first_coroutine(shared: SharedLoop) -> None:
    async def answer(*args: int, by: int) -> int:
        return sum(args) * by

    assert "trivet-async" not in [thread.name for thread in threading.enumerate()]
    assert shared.run(answer, 1, 2, by=3) == 9
    assert "trivet-async" in [thread.name for thread in threading.enumerate()]


def test_variables_go_in_and_come_out(shared: SharedLoop) -> None:
    async def add() -> None:
        variable.set(variable.get() + 1)

    def run() -> int:
        variable.set(10)
        shared.run(add)
        shared.run(add)
        return variable.get()

    assert contextvars.copy_context().run(run) == 12
    assert variable.get() == 0


@pytest.mark.parametrize(
    "kind", [LookupError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]
)
def test_whatever_is_raised_comes_out_and_the_loop_goes_on(
    shared: SharedLoop, kind: type[BaseException]
) -> None:
    async def fail() -> None:
        raise kind("mine")

    async def live() -> str:
        return "alive"

    with pytest.raises(kind, match="mine"):
        shared.run(fail)
    assert shared.run(live) == "alive"


def test_an_interrupted_wait_cancels_its_coroutine(shared: SharedLoop) -> None:
    began, cancelled = threading.Event(), threading.Event()
    ended: list[str] = []

    async def wait_for_ever() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def run() -> None:
        try:
            shared.run(wait_for_ever)
        except TimeoutError:
            ended.append("interrupted")

    thread = threading.Thread(target=run)
    thread.start()
    assert began.wait(10)
    identity = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, ctypes.py_object(TimeoutError))
    assert cancelled.wait(10)
    thread.join(10)
    assert ended == ["interrupted"]


def test_the_loops_own_thread_may_not_wait(shared: SharedLoop) -> None:
    async def inner() -> None:
        """Never run."""

    async def outer() -> None:
        shared.run(inner)

    with pytest.raises(RuntimeError, match="cannot wait for itself"):
        shared.run(outer)


def test_a_forked_child_gets_a_loop_of_its_own(shared: SharedLoop) -> None:
    async def answer() -> int:
        return os.getpid()

    assert shared.run(answer) == os.getpid()
    child = os.fork()
    if child == 0:
        code = 0 if shared.run(answer) == os.getpid() else 1
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_loop_that_never_began_is_stopped_at_once() -> None:
    SharedLoop().stop()
