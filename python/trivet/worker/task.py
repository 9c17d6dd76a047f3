"""A background task's process: it becomes a command, or calls a function of the app's.

It ends with the supervisor, whatever ends that: a task that lived on would soon run twice.
"""

import argparse
import asyncio
import ctypes
import importlib
import inspect
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from trivet.worker import traces
from trivet.worker.process import settle_in

_PR_SET_PDEATHSIG = 1

EXIT_FAILED = 1
EXIT_NOT_RUNNABLE = 126
EXIT_NOT_FOUND = 127


def main(argv: Sequence[str]) -> int:
    """Run a task and return its exit code.

    Args:
        argv: `--parent PID`, the supervisor; then `--run module:function` with `--directory`,
            which it is imported from, or `--` and a command.
    """
    parser = argparse.ArgumentParser(prog="trivet task", add_help=False)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--run", default="")
    parser.add_argument("--directory", default="")
    parser.add_argument("command", nargs="*")
    options = parser.parse_args(argv)
    _end_with(options.parent)
    if options.run:
        return _call(options.run, options.directory)
    return _become(options.command)


def _end_with(parent: int) -> None:
    """Be killed when the supervisor ends, however it does (prctl(2)); kept across execve(2)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was gone before we could ask
        sys.exit(EXIT_FAILED)


def _become(command: list[str]) -> int:
    try:
        os.execvp(command[0], command)  # noqa: S606 - without a shell is what is wanted
    except OSError as error:
        sys.stderr.write(f"`{command[0]}` cannot be run: {error.strerror}\n")
        return EXIT_NOT_FOUND if isinstance(error, FileNotFoundError) else EXIT_NOT_RUNNABLE


def _call(dotted: str, directory: str) -> int:
    settle_in()
    # `finally` blocks and `atexit` get their turn; who wants more has a handler of its own.
    signal.signal(signal.SIGTERM, _leave)
    if directory not in sys.path[:1]:
        sys.path.insert(0, directory)
    try:
        result = _find(dotted)()
        if inspect.iscoroutine(result):
            asyncio.run(_finished(result))
    except Exception as error:  # noqa: BLE001 - whatever the function raises
        sys.stderr.write(traces.format_trimmed(error))
        return EXIT_FAILED
    return 0


async def _finished(coroutine: Any) -> None:  # noqa: ANN401 - whatever the function gave
    await coroutine


def _find(dotted: str) -> Any:  # noqa: ANN401 - whatever is there
    module, _, path = dotted.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _leave(_: int, __: object) -> NoReturn:
    raise SystemExit(0)
