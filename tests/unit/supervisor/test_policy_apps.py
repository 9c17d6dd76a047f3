"""The state machine with several apps: they start together, and then leave each other alone."""

from pathlib import Path
from typing import Any

import pytest
from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.deaths import Death
from trivet.supervisor.fleet.lifetime import LifetimePlan
from trivet.supervisor.fleet.plan import FleetPlan
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

    def __init__(self, **limits: Any) -> None:
        self.now = 100.0
        plans = [
            FleetPlan(
                name="shop", workers=2, graceful_s=30, load_s=120, grace_s=5, folder=SRV, **limits
            ),
            FleetPlan(name="blog", workers=1, graceful_s=5, load_s=60, grace_s=5, folder=SRV),
        ]
        self.plans = tuple(plans)
        self.policy = Policy(plans, time_of_day=lambda now: f"<{now:g}>")
        self.actions = self.policy.start(self.now)

    def happens(self, *events: on.Event) -> list[do.Action]:
        self.actions = []
        for event in events:
            self.actions += self.policy.handle(event, self.now)
            if self.actions and isinstance(read := self.actions[-1], do.ReadConfiguration):
                answer = on.ConfigurationRead(read.because, self.plans, (), changes_edge=False)
                self.actions[-1:] = self.policy.handle(answer, self.now)
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
        do.TakeConfiguration(),
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


# What is measured


def use(*workers: int, wait_s: float = 0.0, requests: int = 0, memory: int = 1) -> on.AppUse:
    one = on.WorkerUse(requests=requests, busy_cpus=0.1, memory=memory, in_flight=30)
    return on.AppUse(wait_s=wait_s, workers=dict.fromkeys(workers, one))


def measured(shop: on.AppUse, blog: on.AppUse, free_memory: int = 1 << 40) -> on.Measured:
    return on.Measured(seconds=1, cpu_share=0.2, free_memory=free_memory, apps=(shop, blog))


def kept(**limits: Any) -> Table:
    """Give a serving stand whose shop has limits."""
    table = Table(**limits)
    loaded = [on.WorkerLoaded(1, FLASK), on.WorkerLoaded(2, FLASK), on.WorkerLoaded(3, FASTAPI)]
    table.happens(on.EdgeReady(), *loaded)
    return table


def test_a_worker_is_recycled_when_its_successor_serves() -> None:
    table = kept(lifetime=LifetimePlan(max_requests=100))
    assert table.happens(measured(use(1, 2, requests=99), use(3, requests=999))) == []
    assert table.happens(measured(use(1, 2, requests=100), use(3))) == [do.StartWorker(4, SHOP, 1)]
    assert table.happens(measured(use(1, 2, requests=100), use(3))) == []
    assert table.happens(on.WorkerLoaded(4, FLASK)) == [
        do.AddWorker(4, "wsgi"),
        do.Say("shop: worker 1 is recycled after 100 requests: worker 4 takes over"),
        do.TellEdge(control.DrainWorker(worker=1)),
    ]
    assert table.happens(measured(use(2, 4, requests=100), use(3))) == [do.StartWorker(5, SHOP, 1)]


def test_a_worker_whose_successor_does_not_load_goes_on() -> None:
    table = kept(lifetime=LifetimePlan(max_memory=100))
    table.happens(measured(use(1, 2, memory=100), use(3)))
    table.happens(on.WorkerFailed(4, FAILURE))
    assert table.said() == ["shop: worker 1 goes on: the next try to recycle it is in 0.1 s"]
    assert table.happens(measured(use(1, 2, memory=100), use(3))) == []
    table.now += 1
    assert table.happens(measured(use(1, 2, memory=100), use(3))) == [do.StartWorker(5, SHOP, 1)]


def test_a_worker_that_dies_while_its_successor_loads_is_succeeded_all_the_same() -> None:
    table = kept(lifetime=LifetimePlan(max_requests=1))
    table.happens(measured(use(1, 2, requests=1), use(3)))
    table.happens(on.WorkerExited(1, DEAD))
    assert not [each for each in table.actions if isinstance(each, do.StartWorker)]
    assert do.AddWorker(4, "wsgi") in table.happens(on.WorkerLoaded(4, FLASK))


def test_a_reload_takes_the_place_of_a_recycling() -> None:
    table = kept(lifetime=LifetimePlan(max_requests=1))
    table.happens(measured(use(1, 2, requests=1), use(3)))
    table.happens(on.ReloadAsked("SIGHUP"))
    table.happens(on.WorkerLoaded(5, FLASK), on.WorkerLoaded(6, FLASK))
    assert do.StopWorker(4) in table.actions
    assert do.TellEdge(control.DrainWorker(worker=1)) in table.actions


def test_without_memory_for_a_successor_a_worker_goes_on_and_that_is_said_once_a_minute() -> None:
    table = kept(lifetime=LifetimePlan(max_memory=100))
    short = measured(use(1, 2, memory=100), use(3), free_memory=50)
    table.happens(short, short)
    said = "shop: worker 1 should be recycled with 0 MiB of memory"
    assert table.said() == [f"{said}, but there is no memory for another"]


def test_workers_come_one_by_one_while_requests_wait() -> None:
    table = kept(max_workers=4)
    waiting = measured(use(1, 2, wait_s=0.1), use(3, wait_s=9))
    table.happens(waiting, waiting, waiting)
    said = "shop: 3 workers from now on: requests waited 100 ms, and each worker used 10% of a CPU"
    assert table.actions == [do.StartWorker(4, SHOP, 1), do.Say(said)]
    assert table.happens(waiting, waiting, waiting, waiting) == []
    table.happens(on.WorkerLoaded(4, FLASK))
    more = measured(use(1, 2, 4, wait_s=0.1), use(3))
    table.happens(more, more, more)
    assert table.actions[0] == do.StartWorker(5, SHOP, 1)


def test_nobody_is_measured_before_the_start_and_after_the_end() -> None:
    assert Table().happens(measured(use(1, 2, wait_s=1), use(3, wait_s=1))) == []
    table = kept(lifetime=LifetimePlan(max_requests=1))
    table.happens(on.StopAsked(15))
    assert table.happens(measured(use(1, 2, requests=1), use(3))) == []


# No app at all: the edge answers alone.


def alone() -> Policy:
    return Policy([], time_of_day=str, graceful_s=7.0)


def test_a_stand_without_apps_serves_once_its_edge_does() -> None:
    policy = alone()
    assert policy.start(100.0) == [do.StartEdge()]
    assert policy.snapshot(100.5).state == "starting"
    actions = policy.handle(on.EdgeReady(), 101.0)
    assert actions == [do.ShowScreen((), 1.0), do.Notify("ready")]
    assert policy.snapshot(101.0).state == "serving"


def test_a_stand_without_apps_is_degraded_without_its_edge() -> None:
    policy = alone()
    policy.start(100.0)
    policy.handle(on.EdgeReady(), 101.0)
    policy.handle(on.EdgeExited(DEAD), 110.0)
    assert policy.snapshot(110.0).state == "degraded"
    due = policy.next_deadline()
    assert due is not None
    assert policy.tick(due) == [do.StartEdge()]
    policy.handle(on.EdgeReady(), due + 1)
    assert policy.snapshot(due + 1).state == "serving"


def test_a_stand_without_apps_gives_up_when_its_edge_refuses() -> None:
    policy = alone()
    policy.start(100.0)
    policy.handle(on.EdgeRefused("no such folder"), 101.0)
    assert policy.handle(on.EdgeExited(DEAD), 101.5) == [do.Exit(2)]


def test_a_stand_without_apps_drains_as_long_as_the_stand_may() -> None:
    policy = alone()
    policy.start(100.0)
    policy.handle(on.EdgeReady(), 101.0)
    actions = policy.handle(on.StopAsked(15), 102.0)
    assert do.TellEdge(control.Drain(deadline_ms=7000)) in actions
    assert policy.handle(on.EdgeExited(DEAD), 103.0) == [do.Exit(0)]


def test_a_reload_of_a_stand_without_apps_is_that_of_its_edge() -> None:
    policy = alone()
    policy.start(100.0)
    policy.handle(on.EdgeReady(), 101.0)
    read = policy.handle(on.ReloadAsked("SIGHUP"), 102.0)[-1]
    assert isinstance(read, do.ReadConfiguration)
    tried = policy.handle(on.ConfigurationRead(read.because, (), (), changes_edge=True), 102.0)
    assert tried == [do.ReconfigureEdge(1, is_trial=True)]
    settling = policy.handle(on.EdgeReconfigured(1, ""), 102.1)
    assert settling == [do.TakeConfiguration(), do.ReconfigureEdge(2, is_trial=False)]
    actions = policy.handle(on.EdgeReconfigured(2, ""), 102.2)
    text = "SIGHUP: reloaded, the edge goes by the configuration as it is"
    ended = do.ReloadEnded(is_done=True, text=text, failure=None)
    assert actions == [do.SettleEdge(), ended, do.Notify("ready"), do.Say(text)]
