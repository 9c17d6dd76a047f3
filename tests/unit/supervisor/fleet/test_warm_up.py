"""Workers that answer some paths before they serve: events in, actions out."""

from pathlib import Path

from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.deaths import Death
from trivet.supervisor.fleet.plan import FleetPlan
from trivet.supervisor.policy import Policy
from trivet.wire import control
from trivet.wire.worker_control import Loaded

LOADED = Loaded(interface="wsgi", framework="", seconds=0.2)
DEAD = Death(7, "SIGSEGV", 1 << 20)
WARM_UP = control.WarmUp(paths=("/",), host="localhost", timeout_ms=120_000)
BAD = "`/` was answered with 503"
TEXT = f"the app did not warm up: {BAD}"


def serve(number: int) -> do.TellEdge:
    return do.TellEdge(control.ServeWorker(worker=number))


def warm(number: int) -> do.AddWorker:
    return do.AddWorker(number, "wsgi", WARM_UP)


class Table:
    def __init__(self, workers: int = 1) -> None:
        self.now = 100.0
        self.plan = FleetPlan(
            name="",
            workers=workers,
            graceful_s=30,
            load_s=120,
            grace_s=5,
            folder=Path("/srv"),
            surge=1,
            warm_up=WARM_UP,
        )
        self.policy = Policy([self.plan], time_of_day=lambda now: f"<{now:g}>")
        self.policy.start(self.now)

    def happens(self, *events: on.Event) -> list[do.Action]:
        self.actions: list[do.Action] = []
        for event in events:
            self.actions += self.policy.handle(event, self.now)
        return self.actions

    def reload(self) -> list[do.Action]:
        read = on.ConfigurationRead("SIGHUP", (self.plan,), (), changes_edge=False)
        return self.happens(on.ReloadAsked("SIGHUP"), read)

    def passes(self, seconds: float) -> list[do.Action]:
        self.now += seconds
        self.actions = self.policy.tick(self.now)
        return self.actions

    def failures(self) -> list[str]:
        shown = [each for each in self.actions if isinstance(each, do.ShowFailure)]
        assert all(each.failure.code == "app.warm_up" for each in shown)
        return [each.failure.message for each in shown]

    def ended(self) -> list[bool]:
        return [each.is_done for each in self.actions if isinstance(each, do.ReloadEnded)]

    def said(self) -> list[str]:
        return [each.text for each in self.actions if isinstance(each, do.Say)]


def serving() -> Table:
    table = Table()
    table.happens(on.EdgeReady(), on.WorkerLoaded(1, LOADED), on.WorkerWarmed(1, None))
    return table


def test_a_worker_serves_once_it_is_warm() -> None:
    table = Table()
    assert table.happens(on.EdgeReady(), on.WorkerLoaded(1, LOADED)) == [warm(1)]
    assert table.policy.snapshot(table.now).state == "starting"
    assert table.happens(on.WorkerWarmed(1, None))[0] == serve(1)
    assert table.policy.snapshot(table.now).state == "serving"


def test_one_that_has_loaded_before_the_edge_is_ready_is_warmed_then() -> None:
    table = Table()
    assert table.happens(on.WorkerLoaded(1, LOADED)) == []
    assert table.happens(on.EdgeReady()) == [warm(1)]


def test_a_start_that_does_not_warm_up_is_3() -> None:
    table = Table(workers=2)
    table.happens(on.EdgeReady(), on.WorkerLoaded(1, LOADED), on.WorkerLoaded(2, LOADED))
    table.happens(on.WorkerWarmed(1, BAD))
    assert (table.failures(), table.policy.exit_code) == ([TEXT], 3)
    stopped = sorted(each.worker for each in table.actions if isinstance(each, do.StopWorker))
    assert stopped == [1, 2]


def test_new_workers_take_over_when_they_are_warm_and_not_before() -> None:
    table = serving()
    table.reload()
    assert table.happens(on.WorkerLoaded(2, LOADED)) == [warm(2)]
    actions = table.happens(on.WorkerWarmed(2, None))
    drain = do.TellEdge(control.DrainWorker(worker=1))
    assert (actions[:2], table.ended()) == ([serve(2), drain], [True])


def test_new_workers_that_do_not_warm_up_end_the_reload() -> None:
    table = serving()
    table.reload()
    table.happens(on.WorkerLoaded(2, LOADED), on.WorkerWarmed(2, BAD))
    assert (table.failures(), table.ended()) == ([TEXT], [False])
    assert do.StopWorker(2) in table.actions
    assert table.said() == ["SIGHUP: not loaded, still serving the version of <100>"]
    # The edge sees the end of its link, and the process goes in good order.
    lost = on.WorkerLost(2, "EOF", 0, 0)
    assert table.happens(lost, on.WorkerExited(2, Death(7, "exit 0", 0))) == []


def test_one_that_dies_meanwhile_ends_the_reload() -> None:
    table = serving()
    table.reload()
    table.happens(on.WorkerLoaded(2, LOADED), on.WorkerExited(2, DEAD))
    assert table.said()[0] == "worker 2 (pid 7) was killed by SIGSEGV while it was warmed up"
    assert table.ended() == [False]


def test_one_that_replaces_a_dead_worker_is_warmed_and_tried_again() -> None:
    table = serving()
    table.happens(on.WorkerExited(1, DEAD))
    assert table.passes(60) == [do.StartWorker(2, 0, 1)]
    table.happens(on.WorkerLoaded(2, LOADED), on.WorkerWarmed(2, BAD))
    assert (table.failures(), "the next try" in table.said()[0]) == ([TEXT], True)
    table.happens(on.WorkerExited(2, Death(7, "exit 0", 0)))
    assert table.passes(60) == [do.StartWorker(3, 0, 1)]
    table.happens(on.WorkerLoaded(3, LOADED), on.WorkerWarmed(3, BAD))
    # It fails as the one before did, which need not be said twice.
    assert table.failures() == []


def test_one_whose_edge_says_nothing_is_killed() -> None:
    table = serving()
    table.reload()
    table.happens(on.WorkerLoaded(2, LOADED))
    assert table.passes(120) == []
    assert do.KillWorker(2) in table.passes(2)
    assert (table.ended(), "has not warmed up" in table.said()[0]) == ([False], True)


def test_an_edge_that_dies_meanwhile_ends_the_reload() -> None:
    table = serving()
    table.reload()
    table.happens(on.WorkerLoaded(2, LOADED), on.EdgeExited(DEAD))
    table.passes(60)
    table.happens(on.EdgeReady())
    assert table.policy.snapshot(table.now).state != "reloading"
    assert table.happens(on.WorkerLoaded(3, LOADED)) == [warm(3)]
    assert table.happens(on.WorkerWarmed(3, None)) == [serve(3)]


def test_a_stop_does_not_wait_for_it() -> None:
    table = serving()
    table.reload()
    table.happens(on.WorkerLoaded(2, LOADED))
    assert do.StopWorker(2) in table.happens(on.StopAsked(15))


def test_a_word_too_late_changes_nothing() -> None:
    table = serving()
    assert table.happens(on.WorkerWarmed(1, BAD)) == []
