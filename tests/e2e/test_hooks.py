"""Hooks: who calls them, when, with what, and what an exception does."""

import signal

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.program import Project
from tests.waiting import wait_until

APP = """
import os
print("imported by", os.getpid(), flush=True)

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""
ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        print("lifespan", flush=True)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
"""
HOOKS = """
import os

def told(name):
    def hook(worker):
        print(f"{name}: {worker.number} {type(worker.app).__name__} {os.getpid()}", flush=True)
    return hook

on_start, post_fork, on_ready, on_exit = map(told, ("start", "fork", "ready", "exit"))

class Deep:
    @staticmethod
    def hook(worker):
        raise ValueError("no database")

async def awaited(worker):
    pass
"""
CONFIG = """
[hooks]
on_start = "hooked:on_start"
post_fork = "hooked:post_fork"
on_ready = "hooked:on_ready"
on_exit = "hooked:on_exit"
"""
QUIET = ("--log-format", "text", "--no-access-log", "--workers", "1")


def said(project: Project, serve: Serve, *options: str) -> list[str]:
    """Serve and stop, and give what was printed, without process ids and prefixes."""
    project.write({"hooked.py": HOOKS, "trivet.toml": CONFIG})
    stand = serve(project.folder, *QUIET, *options)
    stand.wait_for_text("ready: 1")
    assert stand.stop() == 0
    return [line.rpartition(" ")[0] for line in stand.out.lines()]


def test_hooks_are_called_in_their_order(serve: Serve, project: Project) -> None:
    assert said(project.write({"app.py": APP}), serve) == [
        "[worker 1] start: 1 NoneType",
        "[worker 1] imported by",
        "[worker 1] fork: 1 function",
        "[worker 1] ready: 1 function",
        "[worker 1] exit: 1 function",
    ]


def test_with_preload_the_import_is_before_the_fork(serve: Serve, project: Project) -> None:
    assert said(project.write({"app.py": APP}), serve, "--preload") == [
        "[preload] start: 0 NoneType",
        "[preload] imported by",
        "[worker 1] fork: 1 function",
        "[worker 1] ready: 1 function",
        "[worker 1] exit: 1 function",
    ]


def test_an_asgi_app_is_ready_after_its_lifespan(serve: Serve, project: Project) -> None:
    lines = said(project.write({"app.py": ASGI}), serve)
    assert lines == [
        "[worker 1] start: 1 NoneType",
        "[worker 1] fork: 1 function",
        "[worker 1]",
        "[worker 1] ready: 1 function",
        "[worker 1] exit: 1 function",
    ]


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["alone", "preload"])
@pytest.mark.parametrize("hook", ["on_start", "post_fork"])
def test_a_hook_that_raises_before_the_worker_serves_ends_the_start(
    project: Project, hook: str, preload: list[str]
) -> None:
    config = f'[hooks]\n{hook} = "hooked:Deep.hook"\n'
    project.write({"app.py": APP, "hooked.py": HOOKS, "trivet.toml": config})
    ended = project.run("serve", "--bind", "127.0.0.1:0", *preload)
    assert ended.code == 3
    assert f"error[app.hook]: the hook `{hook}` failed: ValueError: no database" in ended.err
    assert "--> hooked.py:14" in ended.err


@pytest.mark.parametrize("hook", ["on_ready", "on_exit"])
def test_a_hook_that_raises_later_is_logged(serve: Serve, project: Project, hook: str) -> None:
    config = f'[hooks]\n{hook} = "hooked:Deep.hook"\n'
    project.write({"app.py": APP, "hooked.py": HOOKS, "trivet.toml": config})
    stand = serve(project.folder, *QUIET)
    assert stand.get("/").text == "hello"
    assert stand.stop() == 0
    assert f"the hook `{hook}` failed: ValueError: no database" in stand.err.text()
    assert 'hooked.py", line 14, in hook' in stand.err.text()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("hooked:missing", "AttributeError: module 'hooked' has no attribute 'missing'"),
        ("no_such:hook", "ModuleNotFoundError: No module named 'no_such'"),
        ("hooked:awaited", "the hook `post_fork` is a coroutine function: `hooked:awaited`"),
    ],
)
def test_a_hook_that_cannot_be_called_is_told(project: Project, told: str, said: str) -> None:
    config = f'[hooks]\npost_fork = "{told}"\n'
    project.write({"app.py": APP, "hooked.py": HOOKS, "trivet.toml": config})
    ended = project.run("serve", "--bind", "127.0.0.1:0")
    assert ended.code == 3
    assert said in ended.err


def test_a_hook_is_written_as_module_and_function(project: Project) -> None:
    project.write({"app.py": APP, "trivet.toml": '[hooks]\npost_fork = "hooked.post_fork"\n'})
    ended = project.run("serve", "--bind", "127.0.0.1:0")
    assert ended.code == 2
    assert "must be a function, as `module:function`, not `hooked.post_fork`" in ended.err


def test_hooks_are_called_again_after_a_reload(serve: Serve, project: Project) -> None:
    project.write({"app.py": APP, "hooked.py": HOOKS, "trivet.toml": CONFIG})
    stand = serve(project.folder, *QUIET)
    stand.signal(signal.SIGHUP)
    wait_until(lambda: "exit: 1" in stand.out.text(), stand.describe)
    stand.wait_for_text("ready: 2")
