"""The processes of background tasks: starting, stopping, and leaving nothing behind."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trivet.config import ConfiguredTask
from trivet.config.task import Task
from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor import spawn
from trivet.supervisor.deaths import Death
from trivet.supervisor.output import OutputCollector
from trivet.supervisor.start.identity import Identity, identity_of
from trivet.supervisor.tasks.terms import TaskTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPlan:
    """What a task is started from: what was agreed, its command line, and its surroundings."""

    terms: TaskTerms
    command: Sequence[str]
    around: spawn.Surroundings


def task_plan(
    configured: ConfiguredTask, around: spawn.Surroundings, directory: str, graceful_s: float
) -> TaskPlan:
    """Put together what starts a task.

    Args:
        configured: The task.
        around: Its app's surroundings, or the stand's.
        directory: Folder that the app is imported from.
        graceful_s: What it gets to end.

    Raises:
        ConfigError: There is no such user.
    """
    task = configured.task
    what = (
        ["--run", task.run, "--directory", directory]
        if task.run
        else ["--", *(task.command.words if task.command else ())]
    )
    # What is not run in the app's Python starts from ours; it is replaced by the command at once.
    python = around.python if task.run else spawn.python_command()
    return TaskPlan(
        terms=TaskTerms(
            name=configured.name,
            app=configured.app,
            restart=task.restart,
            every_s=task.every.seconds if task.every else None,
            graceful_s=graceful_s,
        ),
        command=[*python, "task", "--parent", str(os.getpid()), *what],
        around=spawn.Surroundings(
            environment=_environment(configured, around),
            folder=task.chdir or around.folder,
            python=around.python,
            identity=_identity(task, around.identity),
        ),
    )


def _identity(task: Task, others: Identity | None) -> Identity | None:
    if task.user is None and task.group is None:
        return others
    user = str(others.uid) if task.user is None and others else task.user
    return identity_of(user, task.group)


def _environment(configured: ConfiguredTask, around: spawn.Surroundings) -> dict[str, str]:
    """Let `python` be the app's, as in an active virtual environment, and print at once."""
    env = configured.task.env
    programs = [str(Path(around.python[0]).parent)] if around.python else []
    path = os.pathsep.join([*programs, os.environ.get("PATH", os.defpath)])
    return {"PATH": path, "PYTHONUNBUFFERED": "1", **env}


class TaskProcesses:
    """The processes that are there, each by the number of its task.

    Attributes:
        plans: what the next of them are started from, by number.
    """

    def __init__(
        self,
        plans: Sequence[TaskPlan],
        output: OutputCollector,
        push: Callable[[on.Event], None],
    ) -> None:
        """Take up the work; `push` gives an event to the policy."""
        self.plans = plans
        self._output = output
        self._push = push
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, action: do.StartTask) -> None:
        """Start a task, in a session of its own."""
        plan = self.plans[action.task]
        around = plan.around
        try:
            process = subprocess.Popen(
                plan.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={
                    **spawn.child_environment(os.environ, around.identity),
                    **around.environment,
                },
                cwd=around.folder,
                start_new_session=True,
                **spawn.popen_identity(around.identity),
            )
        except OSError as error:
            self._push(on.TaskExited(action.task, Death(0, str(error), 0)))
            return
        self._running[action.task] = process
        stdout, stderr = spawn.take_pipes(process)
        self._output.add_task(plan.terms.name, stdout, stderr)

    def stop(self, action: do.StopTask) -> None:
        """Ask a task to end; its own children are its business until it has."""
        if process := self._running.get(action.task):
            spawn.send_signal(process, signal.SIGTERM)

    def kill(self, action: do.KillTask) -> None:
        """End a task and all of its session's first process group."""
        if process := self._running.get(action.task):
            _kill_group(process.pid)

    def bury(self, status: int, death: Death) -> bool:
        """Take note of a dead child; whether it was a task."""
        found = next((each for each in self._running.items() if each[1].pid == death.pid), None)
        if found is None:
            return False
        number, process = found
        # The kernel gives no other group this number while a process of this one is left.
        _kill_group(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
        del self._running[number]
        self._push(on.TaskExited(number, death))
        return True

    def pid(self, number: int) -> int | None:
        """Return a task's process, if it lives."""
        process = self._running.get(number)
        return process.pid if process else None

    def processes(self) -> list[spawn.Process]:
        """Return those that have not been reaped."""
        return list(self._running.values())

    def end_all(self) -> None:
        """Kill whatever is left."""
        for process in self._running.values():
            _kill_group(process.pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
