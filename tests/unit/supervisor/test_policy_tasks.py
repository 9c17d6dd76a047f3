"""Background tasks within the stand: after the first service, after reloads, before the end."""

from pathlib import Path

from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.deaths import Death
from trivet.supervisor.fleet.plan import FleetPlan
from trivet.supervisor.policy import Policy
from trivet.supervisor.tasks.terms import TaskTerms
from trivet.wire.worker_control import Loaded, LoadFailure

LOADED = Loaded(interface="wsgi", framework="", seconds=0.2)
FAILURE = LoadFailure(code="app.raised", message="boom", hint="", place=None, detail="")
FLEET = FleetPlan(
    name="", workers=1, graceful_s=30, load_s=120, grace_s=5, folder=Path("/srv/shop")
)
TASK = TaskTerms(name="jobs", app=0, restart="always", every_s=None, graceful_s=30)


class Table:
    """A stand with one worker and one task, and what is done about the latter and the end."""

    def __init__(self) -> None:
        self.now = 100.0
        self.policy = Policy([FLEET], [TASK], time_of_day=str)
        self.policy.start(self.now)

    def happens(self, *events: on.Event) -> list[do.Action]:
        actions: list[do.Action] = []
        for event in events:
            actions += self.policy.handle(event, self.now)
            if actions and isinstance(read := actions[-1], do.ReadConfiguration):
                answer = on.ConfigurationRead(read.because, (FLEET,), (TASK,), changes_edge=False)
                actions[-1:] = self.policy.handle(answer, self.now)
        wanted = (do.StartTask, do.StopTask, do.KillTask, do.Exit)
        return [action for action in actions if isinstance(action, wanted)]


def exited(reason: str) -> Death:
    return Death(7, reason, 1 << 20)


def serving() -> Table:
    table = Table()
    table.happens(on.EdgeReady(), on.WorkerLoaded(1, LOADED))
    return table


def test_a_task_is_started_once_the_stand_serves() -> None:
    table = Table()
    assert table.happens(on.WorkerLoaded(1, LOADED)) == []
    assert table.happens(on.EdgeReady()) == [do.StartTask(0)]


def test_a_task_is_renewed_when_the_new_code_serves_and_not_before() -> None:
    table = serving()
    assert table.happens(on.ReloadAsked("SIGHUP")) == []
    assert table.happens(on.WorkerLoaded(2, LOADED)) == [do.StopTask(0)]
    assert table.happens(on.TaskExited(0, exited("exit 0"))) == [do.StartTask(0)]


def test_a_task_is_left_alone_when_the_new_code_does_not_load() -> None:
    table = serving()
    events = on.ReloadAsked("SIGHUP"), on.WorkerFailed(2, FAILURE)
    assert table.happens(*events) == []


def test_the_stand_ends_when_the_last_task_has() -> None:
    table = serving()
    assert table.happens(on.StopAsked(15)) == [do.StopTask(0)]
    gone = on.EdgeExited(exited("exit 0")), on.WorkerExited(1, exited("exit 0"))
    assert table.happens(*gone) == []
    assert table.happens(on.TaskExited(0, exited("SIGTERM"))) == [do.Exit(0)]


def test_the_stand_ends_with_its_processes_when_the_tasks_have_gone_before() -> None:
    table = serving()
    table.happens(on.StopAsked(15))
    assert table.happens(on.TaskExited(0, exited("SIGTERM"))) == []
    gone = on.EdgeExited(exited("exit 0")), on.WorkerExited(1, exited("exit 0"))
    assert table.happens(*gone) == [do.Exit(0)]


def test_a_task_that_dies_is_started_again_by_the_clock() -> None:
    table = serving()
    table.happens(on.TaskExited(0, exited("SIGKILL")))
    assert table.policy.next_deadline() == 100.1
    assert do.StartTask(0) in table.policy.tick(100.2)
    assert [each.runs for each in table.policy.snapshot(100.2).tasks] == [2]
