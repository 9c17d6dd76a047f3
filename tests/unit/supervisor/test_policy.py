"""The state machine, without processes: events in, actions out, and a clock that tests move."""

import dataclasses
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest
from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.deaths import Death
from trivet.supervisor.fleet.plan import FleetPlan
from trivet.supervisor.policy import Policy
from trivet.wire import control
from trivet.wire.worker_control import Loaded, LoadFailure

LOADED = Loaded(interface="wsgi", framework="Flask 3.1.3", seconds=0.2)
FAILURE = LoadFailure(code="app.raised", message="boom", hint="", place=None, detail="")
KILLED = Death(4123, "SIGKILL", 511 << 20)


def death(pid: int = 1, reason: str = "exit 1") -> Death:
    return Death(pid, reason, 1 << 20)


class Table:
    """A policy, its clock, and the actions since the last look."""

    def __init__(self, workers: int = 2) -> None:
        self.now = 100.0
        plan = FleetPlan(
            name="", workers=workers, graceful_s=30, load_s=120, grace_s=5, folder=Path("/srv")
        )
        self.plan = plan
        self.changes_edge = False
        self.policy = Policy([plan], time_of_day=lambda now: f"<{now:g}>")
        self.actions = self.policy.start(self.now)

    def happens(self, *events: on.Event) -> list[do.Action]:
        """Return what is done about them; the configuration is read as `plan` says it then."""
        self.actions = []
        for event in events:
            self.actions += self.policy.handle(event, self.now)
            if self.actions and isinstance(read := self.actions[-1], do.ReadConfiguration):
                answer = on.ConfigurationRead(
                    read.because, (self.plan,), (), changes_edge=self.changes_edge
                )
                self.actions[-1:] = self.policy.handle(answer, self.now)
        return self.actions

    def passes(self, seconds: float) -> list[do.Action]:
        self.now += seconds
        self.actions = self.policy.tick(self.now)
        return self.actions

    def said(self) -> str:
        return "\n".join(action.text for action in self.actions if isinstance(action, do.Say))

    @classmethod
    def serving(cls, workers: int = 2) -> "Table":
        table = cls(workers)
        loaded = [on.WorkerLoaded(number + 1, LOADED) for number in range(workers)]
        table.happens(on.EdgeReady(), *loaded)
        return table


def without_words(actions: Iterable[do.Action]) -> list[do.Action]:
    return [each for each in actions if not isinstance(each, do.Say)]


def told(message: control.Drain | control.DrainWorker | control.WorkerDied) -> do.TellEdge:
    return do.TellEdge(message)


# Start


def test_edge_and_workers_are_started_at_once() -> None:
    assert Table().actions == [do.StartEdge(), do.StartWorker(1, 0, 1), do.StartWorker(2, 0, 1)]


def test_a_worker_that_has_loaded_before_the_edge_is_ready_waits_for_it() -> None:
    table = Table()
    assert table.happens(on.WorkerLoaded(1, LOADED)) == []
    table.now += 0.5
    assert table.happens(on.EdgeReady()) == [
        do.AddWorker(1, "wsgi"),
        do.ShowScreen((LOADED,), 0.5),
        do.Notify("ready"),
    ]


def test_the_screen_is_shown_once() -> None:
    table = Table()
    table.happens(on.EdgeReady(), on.WorkerLoaded(2, LOADED))
    assert table.happens(on.WorkerLoaded(1, LOADED)) == [do.AddWorker(1, "wsgi")]


def test_an_app_that_does_not_load_at_the_start_ends_everything_with_3() -> None:
    table = Table()
    table.happens(on.EdgeReady())
    assert table.happens(on.WorkerFailed(1, FAILURE)) == [
        do.ShowFailure(FAILURE),
        do.CloseListeners(),
        do.TellEdge(control.Stop()),
        do.StopWorker(2),
    ]
    assert table.happens(
        on.WorkerFailed(2, FAILURE),
        on.WorkerExited(1, death()),
        on.WorkerExited(2, death()),
        on.EdgeExited(death(reason="exit 0")),
    ) == [do.Exit(3)]


def test_a_worker_that_dies_while_loading_at_the_start_ends_everything_with_3() -> None:
    table = Table(workers=1)
    table.happens(on.EdgeReady(), on.WorkerExited(1, death(77, "SIGSEGV")))
    assert table.said() == "worker 1 (pid 77) was killed by SIGSEGV while it loaded the app"
    assert table.policy.exit_code == 3


def test_an_edge_that_refuses_its_configuration_at_the_start_ends_everything_with_2() -> None:
    table = Table(workers=1)
    table.happens(on.EdgeRefused("wire version 9"))
    assert table.said() == "the edge refuses its configuration: wire version 9"
    actions = table.happens(on.EdgeExited(death()), on.WorkerExited(1, death()))
    assert actions[-1] == do.Exit(2)


def test_an_edge_that_dies_before_it_was_ready_ends_everything_with_1() -> None:
    table = Table(workers=1)
    table.happens(on.EdgeExited(death(9, "exit 1")))
    assert table.said() == "the edge (pid 9) exited with code 1 before it was ready"
    assert table.happens(on.WorkerExited(1, death())) == [do.Exit(1)]


def test_a_worker_that_loads_for_too_long_is_killed() -> None:
    table = Table.serving(workers=1)
    table.happens(on.WorkersAsked(+1))
    assert table.policy.next_deadline() == 220.0
    assert do.KillWorker(2) in table.passes(120)
    assert table.said().startswith("worker 2 has not loaded the app after 120 s: killed")


# Deaths


def test_a_dead_worker_is_reported_and_replaced_after_a_wait() -> None:
    table = Table.serving()
    actions = table.happens(on.WorkerExited(1, KILLED))
    assert without_words(actions) == [told(control.WorkerDied(worker=1, reason="SIGKILL"))]
    assert table.said() == (
        "worker 1 (pid 4123) was killed by SIGKILL after using up to 511 MiB"
        " (probably by hand, or by a memory limit); another starts in 0.1 s"
    )
    assert table.passes(0.05) == []
    assert table.passes(0.05) == [do.StartWorker(3, 0, 1)]
    assert table.happens(on.WorkerLoaded(3, LOADED)) == [do.AddWorker(3, "wsgi")]


def test_the_wait_doubles_up_to_half_a_minute() -> None:
    table = Table.serving(workers=1)
    waits = []
    for number in range(1, 12):
        table.happens(on.WorkerExited(number, death()))
        deadline = table.policy.next_deadline()
        assert deadline is not None
        waits.append(round(deadline - table.now, 3))
        table.passes(waits[-1])
        table.happens(on.WorkerLoaded(number + 1, LOADED))
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


def test_half_a_minute_of_life_makes_the_wait_short_again() -> None:
    table = Table.serving(workers=1)
    table.happens(on.WorkerExited(1, death()))
    table.passes(0.1)
    table.happens(on.WorkerLoaded(2, LOADED))
    table.now += 30
    table.happens(on.WorkerExited(2, death()))
    assert "another starts in 0.1 s" in table.said()


def test_a_replacement_that_does_not_load_is_tried_again_and_shown_once() -> None:
    table = Table.serving()
    table.happens(on.WorkerExited(1, death()))
    table.passes(0.1)
    assert do.ShowFailure(FAILURE) in table.happens(on.WorkerFailed(3, FAILURE))
    assert table.said() == "worker 3: the next try is in 0.2 s"
    assert table.happens(on.WorkerExited(3, death())) == []
    assert table.passes(0.2) == [do.StartWorker(4, 0, 1)]
    assert do.ShowFailure(FAILURE) not in table.happens(on.WorkerFailed(4, FAILURE))


def test_a_lost_worker_that_lives_on_is_killed_and_replaced() -> None:
    table = Table.serving()
    table.happens(on.WorkerLost(2, "bad frame", started=3, retried=1))
    assert table.said() == (
        "worker 2 was lost with 3 requests running (bad frame):"
        " 1 sent to another worker, 2 answered with an error"
    )
    assert table.passes(1) == [do.KillWorker(2)]
    assert "another starts" in "".join(
        action.text
        for action in table.happens(on.WorkerExited(2, KILLED))
        if isinstance(action, do.Say)
    )


def test_a_dead_edge_is_restarted_with_new_workers() -> None:
    table = Table.serving()
    actions = table.happens(on.EdgeExited(death(50, "SIGSEGV")))
    assert without_words(actions) == [do.StartWorker(3, 0, 1), do.StartWorker(4, 0, 1)]
    assert table.said() == (
        "the edge (pid 50) was killed by SIGSEGV: it starts anew in 0.1 s, with new workers"
    )
    assert table.happens(on.WorkerExited(1, death()), on.WorkerExited(2, death())) == []
    assert table.passes(0.1) == [do.StartEdge()]
    table.happens(on.WorkerLoaded(3, LOADED), on.WorkerLoaded(4, LOADED))
    assert without_words(table.happens(on.EdgeReady())) == [
        do.AddWorker(3, "wsgi"),
        do.AddWorker(4, "wsgi"),
    ]


def test_orphans_of_an_edge_that_stay_are_killed() -> None:
    table = Table.serving(workers=1)
    table.happens(on.EdgeExited(death()))
    table.passes(0.1)
    assert table.passes(2) == [do.KillWorker(1)]


def test_an_edge_that_dies_twice_leaves_loaded_workers_alone() -> None:
    table = Table.serving(workers=1)
    table.happens(on.EdgeExited(death()))
    table.passes(0.1)
    table.happens(on.WorkerLoaded(2, LOADED))
    assert without_words(table.happens(on.EdgeExited(death()))) == []


# Stop


def test_a_stop_drains_the_edge_and_then_the_workers() -> None:
    table = Table.serving()
    actions = table.happens(on.StopAsked(signal.SIGTERM))
    assert without_words(actions) == [
        do.Notify("stopping"),
        do.CloseListeners(),
        told(control.Drain(deadline_ms=30_000)),
    ]
    assert table.happens(on.EdgeExited(death(reason="exit 0"))) == [
        do.StopWorker(1),
        do.StopWorker(2),
    ]
    assert table.happens(on.WorkerExited(1, death())) == []
    assert table.happens(on.WorkerExited(2, death())) == [do.Exit(0)]


def test_a_second_signal_ends_everything_now() -> None:
    table = Table.serving()
    table.happens(on.StopAsked(signal.SIGTERM))
    assert table.happens(on.StopAsked(signal.SIGINT)) == [do.Exit(130)]


def test_an_edge_that_overruns_its_deadline_is_killed() -> None:
    table = Table.serving()
    table.happens(on.StopAsked(signal.SIGTERM))
    assert table.passes(30.5) == []
    assert table.passes(0.5) == [do.KillEdge()]


def test_a_worker_that_overruns_its_deadline_is_killed() -> None:
    table = Table.serving(workers=1)
    table.happens(on.StopAsked(signal.SIGTERM), on.EdgeExited(death()))
    assert table.passes(31) == [do.KillWorker(1)]


def test_a_stop_before_anything_serves_waits_for_nobody() -> None:
    table = Table(workers=1)
    assert without_words(table.happens(on.StopAsked(signal.SIGTERM))) == [
        do.Notify("stopping"),
        do.CloseListeners(),
        do.StopWorker(1),
        do.TellEdge(control.Stop()),
    ]
    assert table.happens(on.EdgeExited(death()), on.WorkerExited(1, death())) == [do.Exit(0)]


def test_nothing_is_started_any_more_while_stopping() -> None:
    table = Table.serving()
    table.happens(on.WorkerExited(1, death()), on.StopAsked(signal.SIGTERM))
    table.happens(on.ReloadAsked("SIGHUP"), on.WorkersAsked(1), on.WorkerExited(2, death()))
    assert [each for each in table.actions if isinstance(each, do.StartWorker)] == []
    assert table.passes(10) == []


# Reload


def test_a_reload_adds_all_new_workers_before_it_drains_the_old() -> None:
    table = Table.serving()
    assert table.happens(on.ReloadAsked("app.py changed")) == [
        do.ReloadBegan(),
        do.Notify("reloading"),
        do.TakeConfiguration(),
        do.StartWorker(3, 0, 2),
        do.StartWorker(4, 0, 2),
    ]
    assert table.happens(on.WorkerLoaded(4, LOADED)) == []
    table.now += 0.21
    assert without_words(table.happens(on.WorkerLoaded(3, LOADED))) == [
        do.AddWorker(3, "wsgi"),
        do.AddWorker(4, "wsgi"),
        told(control.DrainWorker(worker=1)),
        told(control.DrainWorker(worker=2)),
        do.EndGeneration(0, 1),
        do.ReloadEnded(True, "app.py changed: reloaded in 0.21 s", None),
        do.Notify("ready"),
    ]
    assert table.said() == "app.py changed: reloaded in 0.21 s"
    assert table.happens(on.WorkerDrained(1)) == [do.StopWorker(1)]
    assert table.happens(on.WorkerExited(1, death(reason="exit 0"))) == []


def test_a_drained_worker_may_be_gone_before_the_edge_says_so() -> None:
    table = Table.serving(workers=1)
    table.happens(on.ReloadAsked("SIGHUP"), on.WorkerLoaded(2, LOADED))
    assert table.happens(on.WorkerExited(1, death(reason="exit 0")), on.WorkerDrained(1)) == []


def test_a_reload_that_does_not_load_keeps_the_old_workers() -> None:
    table = Table.serving()
    table.happens(on.ReloadAsked("app.py changed"))
    actions = table.happens(on.WorkerFailed(3, FAILURE))
    assert without_words(actions) == [
        do.ShowFailure(FAILURE),
        do.StopWorker(4),
        do.EndGeneration(0, 2),
        do.ReloadEnded(
            False, "app.py changed: not loaded, still serving the version of <100>", FAILURE
        ),
        do.Notify("ready"),
    ]
    assert table.said() == "app.py changed: not loaded, still serving the version of <100>"
    assert table.happens(on.WorkerExited(3, death()), on.WorkerExited(4, death())) == []


def test_a_new_worker_that_dies_ends_the_reload() -> None:
    table = Table.serving(workers=1)
    table.happens(on.ReloadAsked("SIGHUP"))
    table.happens(on.WorkerExited(2, death(8, "SIGSEGV")))
    assert table.said() == (
        "worker 2 (pid 8) was killed by SIGSEGV while it loaded the app\n"
        "SIGHUP: not loaded, still serving the version of <100>"
    )


def test_the_same_failure_is_shown_again_after_a_good_load() -> None:
    table = Table.serving(workers=1)
    table.happens(on.ReloadAsked("a"), on.WorkerFailed(2, FAILURE))
    table.happens(on.ReloadAsked("b"), on.WorkerLoaded(3, LOADED))
    table.happens(on.ReloadAsked("c"))
    assert do.ShowFailure(FAILURE) in table.happens(on.WorkerFailed(4, FAILURE))


def test_a_configuration_with_errors_starts_nothing() -> None:
    table = Table.serving(workers=1)
    actions = table.policy.handle(on.ReloadAsked("SIGHUP"), table.now)
    assert actions == [do.ReloadBegan(), do.Notify("reloading"), do.ReadConfiguration("SIGHUP")]
    assert table.happens(on.ReloadAsked("app.py changed")) == []
    refused = on.ConfigurationRefused("SIGHUP", problems=(FAILURE,), failure=None)
    text = "SIGHUP: not reloaded, all goes on as it was"
    assert table.policy.handle(refused, table.now) == [
        do.Say(text, "error"),
        do.ReloadEnded(is_done=False, text=text, failure=None, problems=(FAILURE,)),
        do.Notify("ready"),
        do.ReloadBegan(),
        do.Notify("reloading"),
        do.ReadConfiguration("app.py changed"),
    ]


def test_the_number_of_workers_of_a_new_plan_follows_the_reload() -> None:
    table = Table.serving(workers=1)
    table.plan = dataclasses.replace(table.plan, workers=2)
    table.happens(on.ReloadAsked("SIGHUP"))
    assert do.StartWorker(3, 0, 2) in table.happens(on.WorkerLoaded(2, LOADED))
    assert "2 workers from now on" in table.said()


def test_a_new_plan_that_does_not_load_is_forgotten() -> None:
    table = Table.serving(workers=1)
    table.plan = dataclasses.replace(table.plan, workers=2, load_s=7)
    table.happens(on.ReloadAsked("SIGHUP"), on.WorkerFailed(2, FAILURE))
    table.happens(on.WorkerExited(2, death()))
    table.happens(on.WorkerExited(1, death()))
    table.passes(0.1)
    assert (table.policy.next_deadline(), len(table.actions)) == (table.now + 120, 1)


def test_a_reload_asked_for_during_a_reload_follows_it() -> None:
    table = Table.serving(workers=1)
    table.happens(on.ReloadAsked("SIGHUP"))
    assert table.happens(on.ReloadAsked("app.py changed")) == []
    assert table.happens(on.WorkerLoaded(2, LOADED))[-1] == do.StartWorker(3, 0, 3)


def test_a_reload_asked_for_during_the_start_follows_it() -> None:
    table = Table(workers=1)
    table.happens(on.ReloadAsked("app.py changed"), on.EdgeReady())
    assert table.happens(on.WorkerLoaded(1, LOADED))[-1] == do.StartWorker(2, 0, 2)


def test_a_drained_worker_with_an_endless_request_is_cut_off() -> None:
    table = Table.serving(workers=1)
    table.happens(on.ReloadAsked("SIGHUP"), on.WorkerLoaded(2, LOADED))
    assert without_words(table.passes(30)) == [do.StopWorker(1)]
    assert table.said() == "worker 1 still has requests after 30 s: cut off"
    assert table.passes(2) == [do.KillWorker(1)]


def test_an_old_worker_that_dies_during_a_reload_is_replaced_by_the_reload() -> None:
    table = Table.serving(workers=1)
    table.happens(on.ReloadAsked("SIGHUP"), on.WorkerExited(1, death()))
    actions = table.happens(on.WorkerLoaded(2, LOADED))
    assert without_words(actions) == [
        do.AddWorker(2, "wsgi"),
        do.EndGeneration(0, 1),
        do.ReloadEnded(True, "SIGHUP: reloaded in 0.00 s", None),
        do.Notify("ready"),
    ]
    assert table.passes(1) == []


# Other signals


def test_one_more_worker_is_started() -> None:
    table = Table.serving()
    assert without_words(table.happens(on.WorkersAsked(+1))) == [do.StartWorker(3, 0, 1)]
    assert table.said() == "3 workers from now on"


def test_one_worker_less_is_drained() -> None:
    table = Table.serving()
    actions = table.happens(on.WorkersAsked(-1))
    assert without_words(actions) == [told(control.DrainWorker(worker=2))]
    assert table.happens(on.WorkerDrained(2)) == [do.StopWorker(2)]


def test_the_last_worker_stays() -> None:
    table = Table.serving(workers=1)
    assert without_words(table.happens(on.WorkersAsked(-1))) == []


def test_a_worker_less_that_dies_while_draining_is_not_replaced() -> None:
    table = Table.serving()
    table.happens(on.WorkersAsked(-1))
    table.happens(on.WorkerExited(2, death()))
    assert "another starts" not in table.said()
    assert table.passes(60) == []


def test_a_worker_less_during_a_reload_takes_its_successor_along() -> None:
    table = Table.serving()
    table.happens(on.ReloadAsked("SIGHUP"), on.WorkerLoaded(3, LOADED))
    actions = table.happens(on.WorkersAsked(-1))
    assert do.StopWorker(4) in actions
    assert do.AddWorker(3, "wsgi") in actions


def test_logs_are_reopened_by_the_edge() -> None:
    assert Table.serving().happens(on.LogsAsked()) == [do.TellEdge(control.ReopenLogs())]


@pytest.mark.parametrize(
    "event",
    [
        on.WorkerLoaded(99, LOADED),
        on.WorkerFailed(99, FAILURE),
        on.WorkerExited(99, KILLED),
        on.WorkerLost(99, "", 1, 0),
        on.WorkerDrained(99),
        on.WorkerDrained(1),
    ],
)
def test_news_of_a_stranger_or_out_of_turn_change_nothing(event: on.Event) -> None:
    assert Table.serving().happens(event) == []


def test_a_worker_that_dies_during_a_reload_comes_back_as_it_was() -> None:
    table = Table.serving(workers=2)
    table.happens(on.ReloadAsked("SIGHUP"), on.WorkerExited(1, death()))
    assert table.passes(10)[-1:] == [do.StartWorker(5, 0, 1)]


def test_after_a_reload_that_failed_the_old_code_is_what_starts() -> None:
    table = Table.serving(workers=1)
    table.happens(
        on.ReloadAsked("SIGHUP"),
        on.WorkerFailed(2, FAILURE),
        on.WorkerExited(2, death()),
        on.WorkerExited(1, death()),
    )
    assert table.passes(10)[-1:] == [do.StartWorker(3, 0, 1)]
    assert table.happens(on.ReloadAsked("again"))[-1] == do.StartWorker(4, 0, 3)


# What others are told


def test_a_reload_that_dies_says_nothing_of_an_earlier_failure() -> None:
    table = Table.serving(workers=1)
    table.happens(on.ReloadAsked("SIGHUP"), on.WorkerFailed(2, FAILURE), on.ReloadAsked("SIGHUP"))
    ended = [
        each
        for each in table.happens(on.WorkerExited(3, death(reason="SIGSEGV")))
        if isinstance(each, do.ReloadEnded)
    ]
    assert [(each.is_done, each.failure) for each in ended] == [(False, None)]


def test_workers_are_asked_for_by_number() -> None:
    table = Table.serving(workers=2)
    assert without_words(table.happens(on.WorkersAsked(count=4))) == [
        do.StartWorker(3, 0, 1),
        do.StartWorker(4, 0, 1),
    ]
    assert table.policy.snapshot(table.now).apps[0].wanted == 4
    table.happens(on.WorkersAsked(count=4))
    assert table.policy.snapshot(table.now).apps[0].wanted == 4
    table.happens(on.WorkersAsked(change=-9))
    assert table.policy.snapshot(table.now).apps[0].wanted == 1


def test_the_state_is_told_in_one_word() -> None:
    table = Table(workers=1)
    seen = [table.policy.snapshot(table.now).state]
    for event in (
        on.EdgeReady(),
        on.WorkerLoaded(1, LOADED),
        on.ReloadAsked("SIGHUP"),
        on.WorkerLoaded(2, LOADED),
        on.WorkerExited(2, death()),
        on.StopAsked(signal.SIGTERM),
    ):
        table.happens(event)
        seen.append(table.policy.snapshot(table.now).state)
    words = ["starting", "serving", "reloading", "serving", "degraded", "stopping"]
    assert seen == ["starting", *words]


def test_a_reload_makes_a_new_generation_and_a_replacement_does_not() -> None:
    table = Table.serving(workers=1)
    table.happens(on.WorkerExited(1, death()))
    table.passes(60)
    table.happens(on.WorkerLoaded(2, LOADED), on.ReloadAsked("SIGHUP"))
    facts = table.policy.snapshot(table.now).apps[0].workers
    assert [(each.number, each.generation) for each in facts] == [(2, 1), (3, 2)]
    table.happens(on.WorkerFailed(3, FAILURE), on.ReloadAsked("SIGHUP"))
    facts = table.policy.snapshot(table.now).apps[0].workers
    assert [(each.number, each.generation) for each in facts][-1] == (4, 3)
