"""When each background task is started and stopped: a state machine without clock or I/O.

A task is one process per stand. It is started once the stand has served, and again when it has
ended, after a wait that doubles (`backoff`), as its `restart` says. A task with `every` is started
so often in place of that, and never while its last run still goes on. A reload starts it anew with
the new code, but only once that serves: a task belongs to an app, and goes on where the app could
not be loaded. Two processes of one task are never there at once.

`policy` calls it, and passes on the actions that it returns.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.control.snapshot import TaskFacts
from trivet.supervisor.deaths import Death
from trivet.supervisor.fleet.backoff import Backoff
from trivet.supervisor.tasks.terms import TaskTerms

Actions = list[do.Action]


class TaskState(enum.Enum):
    """Where a task is in its life."""

    UNSTARTED = enum.auto()
    """The stand does not serve yet."""
    RUNNING = enum.auto()
    """Its process is there."""
    RESTING = enum.auto()
    """It is started again at `due`, or when its next run comes."""
    ENDED = enum.auto()
    """It is not started again, unless by a reload."""
    STOPPING = enum.auto()
    """Its process has been told to end; `due` is when it is killed."""


@dataclass(slots=True)
class _Task:
    number: int
    terms: TaskTerms
    state: TaskState = TaskState.UNSTARTED
    started: float = 0.0
    runs: int = 0
    due: float | None = None
    next_run: float | None = None
    """Of a task with `every`: when that is over."""
    backoff: Backoff = field(default_factory=Backoff)


class Keeper:
    """All background tasks of a stand; each goes by its number."""

    def __init__(self, terms: Sequence[TaskTerms]) -> None:
        self._tasks = [_Task(number, each) for number, each in enumerate(terms)]
        self._is_stopping = False

    @property
    def is_empty(self) -> bool:
        """Whether no process is left."""
        alive = (TaskState.RUNNING, TaskState.STOPPING)
        return all(task.state not in alive for task in self._tasks)

    def snapshot(self, now: float) -> tuple[TaskFacts, ...]:
        """Tell how they are, for whoever asks from outside."""
        return tuple(
            TaskFacts(
                name=task.terms.name,
                state=task.state.name.lower(),
                runs=task.runs,
                age_s=now - task.started if task.runs else 0.0,
            )
            for task in self._tasks
        )

    def next_deadline(self) -> float | None:
        """Return when `tick` has to be called at the latest, or `None` for no such time."""
        times = (time for task in self._tasks for time in (task.due, task.next_run))
        return min((time for time in times if time is not None), default=None)

    def begin(self, now: float) -> Actions:
        """Start all of them: the stand serves."""
        return [self._start(task, now) for task in self._tasks]

    def tick(self, now: float) -> Actions:
        """Do what is due by `now`."""
        actions: Actions = []
        for task in self._tasks:
            if task.next_run is not None and task.next_run <= now:
                actions += self._run_again(task, now)
            if task.due is not None and task.due <= now:
                actions += self._overdue(task, now)
        return actions

    def reloaded(self, is_done: Sequence[bool], terms: Sequence[TaskTerms], now: float) -> Actions:
        """Start anew what belongs to the apps, by number, whose new code serves.

        The terms of these tasks, as they are now, hold for what is started.
        """
        actions: Actions = []
        for task in self._tasks:
            app = task.terms.app
            is_new = all(is_done) if app is None else is_done[app]
            if is_new and task.terms.every_s is None:
                actions += self._renew(task, now)
            if is_new:
                task.terms = terms[task.number]
        return actions

    def stop(self, now: float) -> Actions:
        """Stop all of them, for good."""
        self._is_stopping = True
        actions: Actions = []
        for task in self._tasks:
            task.next_run = None
            if task.state is TaskState.RUNNING:
                actions.append(self._stop(task, now))
            elif task.state is not TaskState.STOPPING:
                task.state, task.due = TaskState.ENDED, None
        return actions

    def on_exited(self, event: on.TaskExited, now: float) -> Actions:
        """A process is gone, or could not be started."""
        task = self._tasks[event.task]
        was_stopped, task.due = task.state is TaskState.STOPPING, None
        task.state = TaskState.ENDED
        if self._is_stopping:
            return []
        if was_stopped:
            return [self._start(task, now)]
        if task.terms.every_s is not None:
            task.state = TaskState.RESTING
            if _is_fine(event.death):
                return []
            return [_say(task, f"{event.death.describe()}; its next run is not affected", "error")]
        return self._mourn(task, event.death, now)

    def _mourn(self, task: _Task, death: Death, now: float) -> Actions:
        is_fine, restart = _is_fine(death), task.terms.restart
        level: do.Level = "info" if is_fine else "error"
        if restart == "never" or (restart == "on_failure" and is_fine):
            return [_say(task, f"{death.describe()}, and is not started again", level)]
        delay = task.backoff.next_delay(now - task.started)
        task.state, task.due = TaskState.RESTING, now + delay
        again = f"; it starts again in {delay:.1f} s"
        if task.backoff.failures > 1:
            again = f" (the {_ordinal(task.backoff.failures)} time in a row){again}"
        return [_say(task, f"{death.describe()}{again}", level)]

    def _start(self, task: _Task, now: float) -> do.Action:
        task.state, task.started, task.due = TaskState.RUNNING, now, None
        task.runs += 1
        if task.terms.every_s is not None and task.next_run is None:
            task.next_run = now + task.terms.every_s
        return do.StartTask(task.number)

    def _run_again(self, task: _Task, now: float) -> Actions:
        every_s = task.terms.every_s or 0.0
        planned = task.next_run or now
        # What a sleeping machine has missed is not made up for.
        task.next_run = planned + every_s * (1 + (now - planned) // every_s)
        if task.state is not TaskState.RUNNING:
            return [self._start(task, now)]
        still = f"still runs after {now - task.started:.0f} s, so this run falls out"
        return [_say(task, still, "warning")]

    def _overdue(self, task: _Task, now: float) -> Actions:
        if task.state is TaskState.RESTING:
            return [self._start(task, now)]
        task.due = None
        text = f"has not ended after {task.terms.graceful_s:g} s: killed"
        return [_say(task, text, "warning"), do.KillTask(task.number)]

    def _renew(self, task: _Task, now: float) -> Actions:
        if task.state is TaskState.RUNNING:
            return [self._stop(task, now)]
        if task.state in (TaskState.RESTING, TaskState.ENDED):
            task.backoff = Backoff()
            return [self._start(task, now)]
        return []

    def _stop(self, task: _Task, now: float) -> do.Action:
        task.state, task.due = TaskState.STOPPING, now + task.terms.graceful_s
        return do.StopTask(task.number)


def _is_fine(death: Death) -> bool:
    return death.reason == "exit 0"


def _say(task: _Task, text: str, level: do.Level) -> do.Say:
    return do.Say(f"task {task.terms.name} {text}", level)


def _ordinal(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    is_teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if is_teen else endings.get(number % 10, 'th')}"
