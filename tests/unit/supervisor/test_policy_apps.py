"""The state machine with several apps: they start together, and then leave each other alone."""

from pathlib import Path

import pytest
from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.deaths import Death
from trivet.supervisor.fleet import FleetPlan
from trivet.supervisor.policy import Policy
from trivet.wire import control
from trivet.wire.worker_control import Loaded, LoadFailure

SHOP, BLOG = 0, 1
SRV = Path("/srv")
FLASK = Loaded(interface="wsgi", framework="Flask 3.1.3", seconds=0.2)
FASTAPI = Loaded(interface="asgi", framework="FastAPI 0.128", seconds=0.2)
FAILURE = LoadFailure(code="app.raised", message="boom", hint="", place=None, detail="")
DEAD = Death(77, "SIGSEGV", 1 << 20)


class Table:
    """A stand with a shop of two workers (1, 2) and a blog of one (3)."""

    def __init__(self) -> None:
        self.now = 100.0
        plans = [
            FleetPlan(name="shop", workers=2, graceful_s=30, load_s=120, grace_s=5, folder=SRV),
            FleetPlan(name="blog", workers=1, graceful_s=5, load_s=60, grace_s=5, folder=SRV),
        ]
        self.policy = Policy(plans, time_of_day=lambda now: f"<{now:g}>")
        self.actions = self.policy.start(self.now)

    def happens(self, *events: on.Event) -> list[do.Action]:
        self.actions = [
            action for event in events for action in self.policy.handle(event, self.now)
        ]
        return self.actions

    def passes(self, seconds: float) -> list[do.Action]:
        self.now += seconds
        self.actions = self.policy.tick(self.now)
        return self.actions

    def said(self) -> list[str]:
        return [action.text for action in self.actions if isinstance(action, do.Say)]


@pytest.fixture
def serving() -> Table:
    table = Table()
    loaded = [on.WorkerLoaded(1, FLASK), on.WorkerLoaded(2, FLASK), on.WorkerLoaded(3, FASTAPI)]
    table.happens(on.EdgeReady(), *loaded)
    return table


def test_every_app_is_started_at_once() -> None:
    assert Table().actions == [
        do.StartEdge(),
        do.StartWorker(1, SHOP, 1),
        do.StartWorker(2, SHOP, 1),
        do.StartWorker(3, BLOG, 1),
    ]


def test_the_stand_is_ready_when_every_app_serves() -> None:
    table = Table()
    assert table.happens(on.EdgeReady(), on.WorkerLoaded(3, FASTAPI)) == [do.AddWorker(3, "asgi")]
    table.now += 1
    assert table.happens(on.WorkerLoaded(2, FLASK)) == [
        do.AddWorker(2, "wsgi"),
        do.ShowScreen((FLASK, FASTAPI), 1.0),
        do.Notify("ready"),
    ]


def test_an_app_that_does_not_load_at_the_start_ends_the_stand() -> None:
    table = Table()
    table.happens(on.EdgeReady(), on.WorkerLoaded(1, FLASK), on.WorkerFailed(3, FAILURE))
    assert do.ShowFailure(FAILURE) in table.actions
    assert do.TellEdge(control.Stop()) in table.actions
    assert table.policy.exit_code == 3


def test_a_dying_app_does_not_touch_the_other(serving: Table) -> None:
    for number in (3, 4, 5):
        serving.happens(on.WorkerExited(number, DEAD))
        assert serving.said()[0].startswith(f"blog: worker {number} (pid 77) was killed by SIGSEGV")
        [started] = serving.passes(60)
        assert started == do.StartWorker(number + 1, BLOG, 1)
        serving.happens(on.WorkerLoaded(number + 1, FASTAPI))


def test_one_app_reloads_though_the_other_cannot(serving: Table) -> None:
    assert serving.happens(on.ReloadAsked("SIGHUP")) == [
        do.ReloadBegan(),
        do.Notify("reloading"),
        do.StartWorker(4, SHOP, 2),
        do.StartWorker(5, SHOP, 2),
        do.StartWorker(6, BLOG, 2),
    ]
    serving.happens(on.WorkerFailed(6, FAILURE))
    assert serving.said() == ["blog: SIGHUP: not loaded, still serving the version of <100>"]
    assert do.Notify("ready") not in serving.actions
    serving.happens(on.WorkerLoaded(4, FLASK), on.WorkerLoaded(5, FLASK))
    assert do.TellEdge(control.DrainWorker(worker=1)) in serving.actions
    assert do.TellEdge(control.DrainWorker(worker=3)) not in serving.actions
    text = (
        "shop: SIGHUP: reloaded in 0.00 s\n"
        "blog: SIGHUP: not loaded, still serving the version of <100>"
    )
    ended = do.ReloadEnded(is_done=False, text=text, failure=FAILURE)
    assert serving.actions[-2:] == [ended, do.Notify("ready")]


def test_only_the_app_that_is_meant_gets_more_workers(serving: Table) -> None:
    serving.happens(on.WorkersAsked(count=3, app=1))
    apps = serving.policy.snapshot(serving.now).apps
    assert [(app.name, app.wanted) for app in apps] == [("shop", 2), ("blog", 3)]


def test_a_reload_while_the_slower_app_still_reloads_comes_after_it(serving: Table) -> None:
    serving.happens(on.ReloadAsked("one"))
    serving.happens(on.WorkerLoaded(4, FLASK), on.WorkerLoaded(5, FLASK))
    assert serving.happens(on.ReloadAsked("two")) == []
    serving.happens(on.WorkerLoaded(6, FASTAPI))
    assert do.StartWorker(7, SHOP, 3) in serving.actions


def test_each_app_has_its_own_patience(serving: Table) -> None:
    serving.happens(on.WorkersAsked(+1))
    assert serving.actions[:1] == [do.StartWorker(4, SHOP, 1)]
    serving.passes(61)
    assert serving.said()[0] == "blog: worker 5 has not loaded the app after 60 s: killed"
    assert do.KillWorker(4) not in serving.actions


def test_the_end_waits_for_the_app_with_the_longest_patience(serving: Table) -> None:
    serving.happens(on.StopAsked(15))
    assert do.TellEdge(control.Drain(deadline_ms=30_000)) in serving.actions
    serving.happens(on.EdgeExited(Death(1, "exit 0", 0)))
    ends = [on.WorkerExited(number, Death(number, "exit 0", 0)) for number in (1, 2, 3)]
    assert serving.happens(*ends) == [do.Exit(0)]
