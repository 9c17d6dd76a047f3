"""`trivet check`: load the app once, in a worker that serves nothing."""

import contextlib
import select
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from trivet.config import ConfiguredApp
from trivet.config.discovery import Discovered
from trivet.errors import AppLoadError
from trivet.supervisor.deaths import death_from_status
from trivet.supervisor.plan import app_target, hooks_of, surroundings
from trivet.supervisor.spawn import Programs, start_check
from trivet.wire import worker_control
from trivet.wire.line_socket import LineSocket

_STDERR = 2
_Message = TypeVar("_Message", worker_control.Loaded, worker_control.AppRoutes)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What loading the app showed."""

    interface: str
    framework: str
    seconds: float


def check_app(
    configured: ConfiguredApp, app: Discovered, programs: Programs | None = None
) -> LoadReport:
    """Load the app in a process that is thrown away; what it prints goes to our own output.

    Raises:
        AppLoadError: if it does not load.
    """
    with _loading(configured, app, programs or Programs()) as (_, loaded):
        return LoadReport(loaded.interface, loaded.framework, loaded.seconds)


def ask_routes(
    configured: ConfiguredApp,
    app: Discovered,
    asked: worker_control.RoutesAsked,
    programs: Programs | None = None,
) -> worker_control.AppRoutes:
    """Load the app as `check_app` does, and ask for the routes of its framework.

    What the app prints goes to standard error, so that it does not mix with the answer.

    Raises:
        AppLoadError: if it does not load, or ends before it has answered.
    """
    with _loading(configured, app, programs or Programs(), "--routes", output=_STDERR) as (
        answers,
        _,
    ):
        answers.control.send(worker_control.encode(asked))
        return answers.wait_for(worker_control.AppRoutes)


@contextlib.contextmanager
def _loading(
    configured: ConfiguredApp,
    app: Discovered,
    programs: Programs,
    *arguments: str,
    output: int | None = None,
) -> Iterator[tuple["_Answers", worker_control.Loaded]]:
    """Have the app loaded for the block."""
    settings = configured.settings
    process, control = start_check(programs, surroundings(settings), *arguments, output=output)
    answers = _Answers(process, control, app.target, settings.server.load_timeout.seconds)
    try:
        start = worker_control.Start(
            worker=0,
            app=app_target(configured, app),
            hooks=hooks_of(settings),
            threads=settings.server.threads,
            multiprocess=settings.server.workers > 1,
            mount=settings.server.root_path,
            link_fd=-1,
            claim_fd=-1,
            doorbell_fd=-1,
        )
        control.send(worker_control.encode(start))
        yield answers, answers.wait_for(worker_control.Loaded)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        control.close()


class _Answers:
    """What a process that loads an app says, until its time is over."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        control: LineSocket,
        target: str,
        patience_s: float,
    ) -> None:
        self.control = control
        self._process = process
        self._target = target
        self._patience_s = patience_s
        self._deadline = time.monotonic() + patience_s

    def wait_for(self, kind: type[_Message]) -> _Message:
        while (rest := self._deadline - time.monotonic()) > 0:
            select.select([self.control], [], [], rest)
            for message in map(worker_control.decode_from_worker, self.control.receive()):
                if isinstance(message, worker_control.LoadFailed):
                    raise message.failure.to_error()
                if isinstance(message, kind):
                    return message
            if self.control.at_eof:
                raise _died(self._process, self._target)
        text = f"`{self._target}` was still not loaded after {self._patience_s:g} s"
        raise AppLoadError(
            text,
            code="app.load_timeout",
            hint="`server.load_timeout` in trivet.toml allows more time",
        )


def _died(process: "subprocess.Popen[bytes]", target: str) -> AppLoadError:
    code = process.wait()
    status = -code if code < 0 else code << 8
    death = death_from_status(process.pid, status, peak_bytes=0, out_of_memory=False)
    text = f"the process that loaded `{target}` ended: {death.reason}"
    return AppLoadError(text, code="app.died")
