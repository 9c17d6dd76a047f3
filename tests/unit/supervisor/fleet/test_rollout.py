"""New workers take over batch by batch: events in, actions out."""

from pathlib import Path

import pytest
from trivet.supervisor import actions as do
from trivet.supervisor import events as on
from trivet.supervisor.deaths import Death
from trivet.supervisor.fleet.plan import FleetPlan
from trivet.supervisor.fleet.surge import surge
from trivet.supervisor.policy import Policy
from trivet.wire import control
from trivet.wire.worker_control import Loaded, LoadFailure

LOADED = Loaded(interface="wsgi", framework="", seconds=0.2)
FAILURE = LoadFailure(code="app.raised", message="boom", hint="", place=None, detail="")
DEAD = Death(7, "SIGSEGV", 1 << 20)


class Table:
    """A serving stand whose reloads go by `surge`, and the actions since the last look."""

    def __init__(self, workers: int, surge: int | None) -> None:
        self.now = 100.0
        self.plan = FleetPlan(
            name="",
            workers=workers,
            graceful_s=30,
            load_s=120,
            grace_s=5,
            folder=Path("/srv"),
            surge=surge,
        )
        self.policy = Policy([self.plan], time_of_day=lambda now: f"<{now:g}>")
        self.policy.start(self.now)
        self.happens(
            on.EdgeReady(), *[on.WorkerLoaded(each + 1, LOADED) for each in range(workers)]
        )

    def happens(self, *events: on.Event) -> list[do.Action]:
        self.actions: list[do.Action] = []
        for event in events:
            self.actions += self.policy.handle(event, self.now)
        return self.actions

    def reload(self) -> list[do.Action]:
        read = on.ConfigurationRead("SIGHUP", (self.plan,), (), changes_edge=False)
        return self.happens(on.ReloadAsked("SIGHUP"), read)

    def started(self) -> list[tuple[int, int]]:
        """Number and generation of what was started."""
        found = [each for each in self.actions if isinstance(each, do.StartWorker)]
        return [(each.worker, each.generation) for each in found]

    def drained(self) -> list[int]:
        told = [each.message for each in self.actions if isinstance(each, do.TellEdge)]
        return [each.worker for each in told if isinstance(each, control.DrainWorker)]

    def added(self) -> list[int]:
        return [each.worker for each in self.actions if isinstance(each, do.AddWorker)]

    def ended(self) -> list[bool]:
        return [each.is_done for each in self.actions if isinstance(each, do.ReloadEnded)]

    def said(self) -> list[str]:
        return [each.text for each in self.actions if isinstance(each, do.Say)]

    def generations(self) -> list[int]:
        """The generation of each worker that serves."""
        (app,) = self.policy.snapshot(self.now).apps
        return sorted(each.generation for each in app.workers if each.state == "serving")


def test_one_by_one_each_takes_over_before_the_next_is_started() -> None:
    table = Table(3, surge=1)
    table.reload()
    assert table.started() == [(4, 2)]
    for new in (4, 5):
        table.happens(on.WorkerLoaded(new, LOADED))
        assert (table.added(), table.drained()) == ([new], [new - 3])
        assert (table.started(), table.ended()) == ([(new + 1, 2)], [])
    table.now += 0.5
    table.happens(on.WorkerLoaded(6, LOADED))
    assert (table.added(), table.drained(), table.started()) == ([6], [3], [])
    assert table.said() == ["SIGHUP: reloaded in 0.50 s"]
    assert table.actions[2] == do.EndGeneration(0, 1)
    assert table.ended() == [True]


def test_a_batch_changes_over_together() -> None:
    table = Table(3, surge=2)
    table.reload()
    assert table.started() == [(4, 2), (5, 2)]
    assert table.happens(on.WorkerLoaded(5, LOADED)) == []
    table.happens(on.WorkerLoaded(4, LOADED))
    assert (table.added(), table.drained(), table.started()) == ([4, 5], [1, 2], [(6, 2)])


def test_the_first_that_does_not_load_ends_it_and_nothing_has_changed() -> None:
    table = Table(3, surge=1)
    table.reload()
    table.happens(on.WorkerFailed(4, FAILURE))
    assert (table.drained(), table.ended()) == ([], [False])
    assert table.said() == ["SIGHUP: not loaded, still serving the version of <100>"]
    assert do.EndGeneration(0, 2) in table.actions
    assert table.generations() == [1, 1, 1]


def test_a_later_one_that_does_not_load_leaves_the_rest_and_says_so() -> None:
    table = Table(3, surge=1)
    table.reload()
    table.happens(on.WorkerLoaded(4, LOADED), on.WorkerFailed(5, FAILURE))
    text = "2 workers of 3 could not be replaced, still serving the version of <100>: reload again"
    assert table.said() == [f"SIGHUP: {text}"]
    assert (do.EndGeneration(0, 1) in table.actions, table.ended()) == (True, [False])
    assert table.generations() == [1, 1, 2]
    # Whatever dies from now on is replaced by the new code.
    table.happens(on.WorkerExited(2, DEAD))
    table.now += 60
    assert do.StartWorker(6, 0, 2) in table.policy.tick(table.now)
    table.reload()
    assert table.started() == [(7, 3)]


def test_one_that_dies_meanwhile_is_not_replaced_twice() -> None:
    table = Table(3, surge=1)
    table.reload()
    table.happens(on.WorkerLoaded(4, LOADED), on.WorkerExited(3, DEAD))
    table.now += 60
    assert do.StartWorker(6, 0, 2) in table.policy.tick(table.now)
    table.happens(on.WorkerLoaded(6, LOADED))
    assert table.ended() == []
    table.happens(on.WorkerLoaded(5, LOADED))
    assert (table.started(), table.ended()) == ([], [True])
    assert table.generations() == [2, 2, 2]


@pytest.mark.parametrize("surge", [1, 2, None])
def test_a_worker_added_during_a_reload_gets_the_new_code(surge: int | None) -> None:
    """It once kept the old one, until it died."""
    table = Table(2, surge)
    table.reload()
    table.happens(on.WorkersAsked(+1))
    assert table.started() == [(4 if surge == 1 else 5, 1)]
    for number in range(3, 20):
        worker = next((each for each in _loading(table) if each == number), None)
        if worker:
            table.happens(on.WorkerLoaded(worker, LOADED))
    assert table.generations() == [2, 2, 2]


def test_a_worker_added_once_the_new_code_serves_has_it_from_the_start() -> None:
    table = Table(2, surge=1)
    table.reload()
    table.happens(on.WorkerLoaded(3, LOADED), on.WorkersAsked(+1))
    assert (5, 2) in table.started()


def test_a_worker_less_that_was_to_be_replaced_next() -> None:
    table = Table(2, surge=1)
    table.reload()
    table.happens(on.WorkersAsked(-1))
    assert (table.drained(), table.ended()) == ([2], [])
    table.happens(on.WorkerLoaded(3, LOADED))
    assert (table.ended(), table.generations()) == ([True], [2])


def test_a_worker_less_whose_successor_loads() -> None:
    table = Table(2, surge=1)
    table.reload()
    table.happens(on.WorkerLoaded(3, LOADED), on.WorkersAsked(-1))
    assert (do.StopWorker(4) in table.actions, table.ended()) == (True, [True])


def test_a_successor_that_takes_over_from_a_dead_worker_leaves_no_reason_behind() -> None:
    table = Table(1, surge=1)
    (fleet,) = table.policy._fleets
    seat = fleet._roster.seats[0]
    seat.because, seat.successor = "after 1 request", None
    table.actions = [fleet._start_successor(seat, table.now)]
    table.happens(on.WorkerExited(1, DEAD), on.WorkerLoaded(2, LOADED))
    assert (seat.because, table.added()) == ("", [2])


def _loading(table: Table) -> list[int]:
    (app,) = table.policy.snapshot(table.now).apps
    return [each.number for each in app.workers if each.state == "loading"]


@pytest.mark.parametrize(
    ("wanted", "free_memory", "worker_memory", "expected"),
    [
        (1, None, 0, 1),
        (None, None, 100, 4),
        (9, None, 100, 4),
        (None, 1000, 0, 4),
        (None, 500, 100, 4),
        (None, 499, 100, 3),
        (3, 250, 100, 2),
        (2, 10, 100, 1),
        (1, 10, 100, 1),
    ],
)
def test_memory_permitting(
    wanted: int | None, free_memory: int | None, worker_memory: int, expected: int
) -> None:
    found = surge(wanted, 4, free_memory=free_memory, worker_memory=worker_memory)
    assert found.workers == expected
    is_less = expected < min(wanted or 4, 4)
    assert bool(found.remark) == is_less
