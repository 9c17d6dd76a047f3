"""The steps of a reload whose configuration changes the edge: events in, actions out."""

import dataclasses
from pathlib import Path

import pytest
from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.deaths import Death
from trivet.supervisor.fleet.plan import FleetPlan
from trivet.supervisor.policy import Policy
from trivet.supervisor.tasks.terms import TaskTerms
from trivet.wire.worker_control import Loaded, LoadFailure

LOADED = Loaded(interface="wsgi", framework="", seconds=0.2)
FAILURE = LoadFailure(code="app.raised", message="boom", hint="", place=None, detail="")
FLEET = FleetPlan(name="", workers=1, graceful_s=30, load_s=120, grace_s=5, folder=Path("/srv"))
TASK = TaskTerms(name="jobs", app=0, restart="always", every_s=None, graceful_s=30)
GONE = Death(7, "SIGSEGV", 1 << 20)

TRIAL = do.ReconfigureEdge(1, is_trial=True)
EARNEST = do.ReconfigureEdge(2, is_trial=False)
NEW_WORKER = do.StartWorker(2, 0, 2)


class Table:
    """A serving stand of one worker, whose configuration is being read for a reload."""

    def __init__(self) -> None:
        self.now = 100.0
        self.policy = Policy([FLEET], [TASK], time_of_day=str)
        self.policy.start(self.now)
        self.happens(on.EdgeReady(), on.WorkerLoaded(1, LOADED))
        self.happens(on.ReloadAsked("SIGHUP"))

    def happens(self, *events: on.Event) -> list[do.Action]:
        self.actions: list[do.Action] = []
        for event in events:
            self.actions += self.policy.handle(event, self.now)
        return self.actions

    def passes(self, seconds: float) -> list[do.Action]:
        self.now += seconds
        self.actions = self.policy.tick(self.now)
        return self.actions

    def state(self) -> str:
        return self.policy.snapshot(self.now).state

    @property
    def ended(self) -> do.ReloadEnded | None:
        return next((each for each in self.actions if isinstance(each, do.ReloadEnded)), None)

    @property
    def said(self) -> list[str]:
        return [each.text for each in self.actions if isinstance(each, do.Say)]


def read(*, changes_edge: bool = True, graceful_s: float = 30) -> on.ConfigurationRead:
    fleet = dataclasses.replace(FLEET, graceful_s=graceful_s)
    task = dataclasses.replace(TASK, graceful_s=graceful_s)
    return on.ConfigurationRead("SIGHUP", (fleet,), (task,), changes_edge=changes_edge)


def rolled(table: Table) -> Table:
    """Bring a reload to where the new workers serve and the edge is to follow."""
    table.happens(read(), on.EdgeReconfigured(1, None))
    table.happens(on.WorkerLoaded(2, LOADED))
    return table


def test_the_edge_tries_first_and_follows_when_the_workers_serve() -> None:
    table = Table()
    assert table.happens(read()) == [TRIAL]
    assert table.happens(on.EdgeReconfigured(1, None)) == [do.TakeConfiguration(), NEW_WORKER]
    actions = table.happens(on.WorkerLoaded(2, LOADED))
    assert (do.AddWorker(2, "wsgi") in actions, actions[-1]) == (True, EARNEST)
    assert (table.ended, table.state()) == (None, "reloading")
    actions = table.happens(on.EdgeReconfigured(2, None))
    assert actions[0] == do.SettleEdge()
    assert table.ended
    assert (table.ended.is_done, table.state()) == (True, "serving")


def test_an_edge_that_has_nothing_to_change_is_not_asked() -> None:
    table = Table()
    assert table.happens(read(changes_edge=False)) == [do.TakeConfiguration(), NEW_WORKER]
    table.happens(on.WorkerLoaded(2, LOADED))
    assert table.ended


def test_what_the_edge_refuses_starts_no_worker() -> None:
    table = Table()
    table.happens(read())
    table.happens(on.EdgeReconfigured(1, "no such folder"))
    assert not any(
        isinstance(each, do.StartWorker | do.TakeConfiguration) for each in table.actions
    )
    assert table.said == ["SIGHUP: not reloaded, all goes on as it was"]
    assert table.ended
    (problem,) = table.ended.problems
    assert problem.code == "config.edge_refused"
    assert problem.message == "the edge cannot use the configuration: no such folder"
    assert (do.ShowProblem(problem) in table.actions, table.state()) == (True, "serving")


def test_an_app_that_does_not_load_leaves_the_edge_as_it_was() -> None:
    table = Table()
    table.happens(read(), on.EdgeReconfigured(1, None))
    actions = table.happens(on.WorkerFailed(2, FAILURE))
    assert not any(isinstance(each, do.ReconfigureEdge | do.SettleEdge) for each in actions)
    assert "the edge keeps its settings, for not every app was reloaded" in table.said
    assert table.ended
    assert not table.ended.is_done


def test_an_edge_that_refuses_in_the_end_is_told_of() -> None:
    table = rolled(Table())
    table.happens(on.EdgeReconfigured(2, "no space left"))
    assert table.said == ["SIGHUP: new workers serve, but the edge keeps its settings"]
    assert table.ended
    assert (table.ended.is_done, len(table.ended.problems)) == (False, 1)
    assert do.SettleEdge() not in table.actions


@pytest.mark.parametrize("is_tried", [False, True])
def test_an_edge_that_does_not_answer_ends_the_reload(is_tried: bool) -> None:  # noqa: FBT001
    table = Table()
    if is_tried:
        rolled(table)
    else:
        table.happens(read())
    assert table.passes(9.9) == []
    assert table.policy.next_deadline() == 110.0
    table.passes(0.2)
    assert table.ended
    assert "it has not answered within 10 s" in table.ended.problems[0].message
    # What it says afterwards belongs to no reload.
    assert table.happens(on.EdgeReconfigured(2 if is_tried else 1, None)) == []


def test_an_edge_that_dies_at_its_trial_does_not_stop_the_reload() -> None:
    table = Table()
    table.happens(read(), on.EdgeExited(GONE))
    assert do.TakeConfiguration() in table.actions
    assert table.actions[-1] == do.StartWorker(3, 0, 2)


def test_an_edge_that_dies_as_it_follows_is_started_with_the_new_settings() -> None:
    table = rolled(Table())
    table.happens(on.EdgeExited(GONE))
    assert (do.SettleEdge() in table.actions, do.StartEdge() in table.actions) == (True, False)
    assert table.ended
    assert do.StartEdge() in table.passes(30)


def test_without_an_edge_the_next_one_starts_with_the_new_settings() -> None:
    table = Table()
    table.happens(on.EdgeExited(GONE))
    table.happens(read())
    new_worker = next(each for each in table.actions if isinstance(each, do.StartWorker))
    table.happens(on.WorkerLoaded(new_worker.worker, LOADED))
    assert do.SettleEdge() in table.actions
    assert table.ended


def test_who_asks_meanwhile_gets_another_reload() -> None:
    table = Table()
    table.happens(read(), on.ReloadAsked("again"))
    assert table.actions == [TRIAL]
    table.happens(on.EdgeReconfigured(1, "no"))
    assert table.actions[-1] == do.ReadConfiguration("again")


def test_a_stop_ends_it_where_it_is() -> None:
    table = Table()
    table.happens(read(), on.StopAsked(15))
    assert table.happens(on.EdgeReconfigured(1, None)) == []


def test_another_time_for_stopping_holds_when_all_is_done() -> None:
    table = Table()
    table.happens(read(graceful_s=7), on.EdgeReconfigured(1, None), on.WorkerLoaded(2, LOADED))
    table.happens(on.EdgeReconfigured(2, None), on.StopAsked(15))
    assert "requests in flight have 7 s" in table.said[-1]
