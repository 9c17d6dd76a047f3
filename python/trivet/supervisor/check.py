"""`trivet check`: load the app once, in a worker that serves nothing."""

import contextlib
import select
import subprocess
import time
from dataclasses import dataclass

from trivet.config import ConfiguredApp
from trivet.config.discovery import Discovered
from trivet.errors import AppLoadError
from trivet.supervisor.deaths import death_from_status
from trivet.supervisor.plan import app_target, hooks_of, surroundings
from trivet.supervisor.spawn import Programs, start_check
from trivet.wire import worker_control
from trivet.wire.line_socket import LineSocket


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
    settings = configured.settings
    process, control = start_check(programs or Programs(), surroundings(settings))
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
        answer = _answer(process, control, app.target, settings.server.load_timeout.seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        control.close()
    if isinstance(answer, worker_control.LoadFailed):
        raise answer.failure.to_error()
    return LoadReport(answer.interface, answer.framework, answer.seconds)


def _answer(
    process: "subprocess.Popen[bytes]", control: LineSocket, target: str, timeout_s: float
) -> worker_control.Loaded | worker_control.LoadFailed:
    deadline = time.monotonic() + timeout_s
    while (rest := deadline - time.monotonic()) > 0:
        select.select([control], [], [], rest)
        for message in map(worker_control.decode_from_worker, control.receive()):
            if isinstance(message, worker_control.Loaded | worker_control.LoadFailed):
                return message
        if control.at_eof:
            raise _died(process, target)
    text = f"`{target}` was still not loaded after {timeout_s:g} s"
    raise AppLoadError(
        text, code="app.load_timeout", hint="`server.load_timeout` in trivet.toml allows more time"
    )


def _died(process: "subprocess.Popen[bytes]", target: str) -> AppLoadError:
    code = process.wait()
    status = -code if code < 0 else code << 8
    death = death_from_status(process.pid, status, peak_bytes=0, out_of_memory=False)
    text = f"the process that loaded `{target}` ended: {death.reason}"
    return AppLoadError(text, code="app.died")
