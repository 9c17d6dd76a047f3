"""When tasks are started and stopped: events in, actions out, and a clock that tests move."""

from dataclasses import replace

import pytest
from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.deaths import Death
from trivet.supervisor.tasks.keeper import Keeper
from trivet.supervisor.tasks.terms import TaskTerms

TERMS = TaskTerms(name="jobs", app=0, restart="always", every_s=None, graceful_s=30)


def exited(reason: str = "exit 1", task: int = 0) -> on.TaskExited:
    return on.TaskExited(task, Death(7, reason, 1 << 20))


class Table:
    """A keeper, its clock, and what it has said."""

    def __init__(self, *terms: TaskTerms) -> None:
        self.now = 100.0
        self.terms = list(terms or [TERMS])
        self.keeper = Keeper(self.terms)
        self.said: list[str] = []
        self.first = self._sorted(self.keeper.begin(self.now))

    def _sorted(self, actions: list[do.Action]) -> list[do.Action]:
        self.said = [each.text for each in actions if isinstance(each, do.Say)]
        return [each for each in actions if not isinstance(each, do.Say)]

    def happens(self, event: on.TaskExited) -> list[do.Action]:
        return self._sorted(self.keeper.on_exited(event, self.now))

    def passes(self, seconds: float) -> list[do.Action]:
        self.now += seconds
        return self._sorted(self.keeper.tick(self.now))

    def reloaded(self, *is_done: bool) -> list[do.Action]:
        return self._sorted(self.keeper.reloaded(is_done, self.terms, self.now))

    def stopped(self) -> list[do.Action]:
        return self._sorted(self.keeper.stop(self.now))

    def is_empty(self) -> bool:
        return self.keeper.is_empty

    def states(self) -> list[str]:
        return [each.state for each in self.keeper.snapshot(self.now)]


def test_nothing_runs_before_the_stand_serves() -> None:
    keeper = Keeper([TERMS])
    assert keeper.tick(100) == []
    assert keeper.is_empty
    assert keeper.next_deadline() is None


def test_each_task_is_started_once() -> None:
    table = Table(TERMS, replace(TERMS, name="mail"))
    assert table.first == [do.StartTask(0), do.StartTask(1)]
    assert table.passes(1000) == []
    assert table.states() == ["running", "running"]


def test_a_task_that_dies_is_started_again_ever_later() -> None:
    table = Table()
    for delay in (0.1, 0.2, 0.4):
        assert table.happens(exited()) == []
        assert f"; it starts again in {delay} s" in table.said[0]
        assert table.keeper.next_deadline() == pytest.approx(table.now + delay)
        assert table.passes(delay / 2) == []
        assert table.passes(delay) == [do.StartTask(0)]
    assert table.keeper.snapshot(table.now)[0].runs == 4


def test_a_task_that_has_lived_for_long_is_well_again() -> None:
    table = Table()
    table.happens(exited())
    table.passes(1)
    table.now += 3600
    table.happens(exited())
    assert table.said == ["task jobs (pid 7) exited with code 1; it starts again in 0.1 s"]


@pytest.mark.parametrize(
    ("restart", "reason", "is_again"),
    [
        ("always", "exit 0", True),
        ("always", "SIGKILL", True),
        ("on_failure", "exit 0", False),
        ("on_failure", "exit 3", True),
        ("on_failure", "SIGSEGV", True),
        ("never", "exit 0", False),
        ("never", "exit 1", False),
    ],
)
def test_what_restart_says_is_done(restart: str, reason: str, *, is_again: bool) -> None:
    table = Table(replace(TERMS, restart=restart))  # type: ignore[arg-type]
    table.happens(exited(reason))
    assert table.passes(60) == ([do.StartTask(0)] if is_again else [])
    assert table.states() == ["running" if is_again else "ended"]


def test_what_could_not_be_started_is_tried_again() -> None:
    table = Table()
    table.happens(on.TaskExited(0, Death(0, "No such file or directory", 0)))
    assert table.said[0].startswith("task jobs could not be started: No such file or directory;")
    assert table.passes(1) == [do.StartTask(0)]


# Reloads


def test_a_reload_starts_a_task_anew_once_the_old_one_is_gone() -> None:
    table = Table()
    assert table.reloaded(True) == [do.StopTask(0)]
    assert table.reloaded(True) == []
    assert table.happens(exited("SIGTERM")) == [do.StartTask(0)]
    assert table.said == []


def test_a_task_stays_where_its_app_was_not_loaded() -> None:
    table = Table(TERMS, replace(TERMS, app=1), replace(TERMS, app=None))
    assert table.reloaded(False, True) == [do.StopTask(1)]
    assert table.reloaded(False, False) == []


def test_a_reload_starts_at_once_what_waits_or_has_ended() -> None:
    table = Table(TERMS, replace(TERMS, restart="never"))
    table.happens(exited())
    table.happens(exited("exit 0", task=1))
    assert table.reloaded(True) == [do.StartTask(0), do.StartTask(1)]
    assert table.passes(1) == []


def test_a_task_that_does_not_end_for_a_reload_is_killed() -> None:
    table = Table()
    table.reloaded(True)
    assert table.passes(29) == []
    assert table.passes(1) == [do.KillTask(0)]
    assert table.said == ["task jobs has not ended after 30 s: killed"]
    assert table.passes(30) == []
    assert table.happens(exited("SIGKILL")) == [do.StartTask(0)]


# The end


def test_a_stop_waits_for_tasks_and_then_kills_them() -> None:
    table = Table(TERMS, TERMS)
    assert table.stopped() == [do.StopTask(0), do.StopTask(1)]
    assert table.happens(exited("SIGTERM")) == []
    assert not table.is_empty()
    assert table.passes(30) == [do.KillTask(1)]
    assert table.happens(exited("SIGKILL", task=1)) == []
    assert table.is_empty()
    assert table.keeper.next_deadline() is None


def test_after_a_stop_nothing_is_started() -> None:
    table = Table(TERMS, replace(TERMS, every_s=60), TERMS)
    table.happens(exited())
    table.happens(exited("exit 0", task=1))
    assert table.reloaded(True) == [do.StartTask(0), do.StopTask(2)]
    assert table.stopped() == [do.StopTask(0)]
    assert table.happens(exited("SIGTERM")) == []
    assert table.happens(exited("SIGTERM", task=2)) == []
    assert table.passes(1000) == []
    assert table.is_empty()


# Every so often


def test_a_periodic_task_runs_at_once_and_then_every_so_often() -> None:
    table = Table(replace(TERMS, every_s=60))
    assert table.first == [do.StartTask(0)]
    assert table.happens(exited("exit 0")) == []
    assert (table.said, table.states()) == ([], ["resting"])
    assert table.passes(59) == []
    assert table.passes(1) == [do.StartTask(0)]


def test_a_run_that_goes_on_lets_the_next_one_fall_out() -> None:
    table = Table(replace(TERMS, every_s=60))
    assert table.passes(60) == []
    assert table.said == ["task jobs still runs after 60 s, so this run falls out"]
    table.happens(exited("exit 0"))
    assert table.passes(60) == [do.StartTask(0)]


def test_a_failed_run_is_said_and_the_next_one_comes_in_its_time() -> None:
    table = Table(replace(TERMS, every_s=60))
    table.happens(exited("exit 2"))
    assert table.said == ["task jobs (pid 7) exited with code 2; its next run is not affected"]
    assert table.passes(30) == []
    assert table.passes(30) == [do.StartTask(0)]


def test_what_was_slept_through_is_not_made_up_for() -> None:
    table = Table(replace(TERMS, every_s=60))
    table.happens(exited("exit 0"))
    assert table.passes(615) == [do.StartTask(0)]
    table.happens(exited("exit 0"))
    assert table.passes(1) == []
    assert table.keeper.next_deadline() == 100 + 660


def test_a_reload_leaves_a_periodic_task_alone() -> None:
    table = Table(replace(TERMS, every_s=60))
    assert table.reloaded(True) == []
