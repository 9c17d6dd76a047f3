import os
import subprocess
import sys

import pytest
from trivet.supervisor.overdue.sight import SHARED_S, Look, StackFile, describe, look

from tests.waiting import wait_until


def seen(at: float, **threads: tuple[str, float]) -> Look:
    return Look(at, {int(name[1:]): thread for name, thread in threads.items()})


@pytest.mark.parametrize(
    ("after", "thread", "text"),
    [
        (seen(5, t1=("S", 0.0), t2=("R", 4.5)), 2, "computes"),
        (seen(5, t1=("S", 0.0), t2=("R", 4.5)), 1, "waits"),
        (seen(5, t1=("S", 0.0), t2=("R", 4.5)), 0, "computes"),
        (seen(5, t1=("S", 0.0), t2=("S", 0.0)), 0, "waits"),
        (seen(5, t1=("S", 0.0), t2=("D", 0.0)), 2, "waits for a disk or a network file system"),
        (seen(5, t1=("T", 0.0), t2=("T", 0.0)), 2, "is stopped, by a signal or a debugger"),
        (seen(5), 2, "is dead"),
    ],
)
def test_busy_blocked_and_dead_are_told_apart(after: Look, thread: int, text: str) -> None:
    assert describe(seen(0, t1=("S", 0.0), t2=("S", 0.0)), after, thread) == text


def test_a_thread_that_is_new_has_had_all_its_time_since() -> None:
    assert describe(seen(0), seen(1, t7=("R", 0.5)), 7) == "computes"


def test_a_real_process_is_seen_computing_and_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        first = look(process.pid, 0)
        wait_until(lambda: used(look(process.pid, 1)) > used(first) + 0.2, "no time was used")
        assert describe(first, look(process.pid, 1), process.pid) == "computes"
    finally:
        process.kill()
        process.wait()
    assert describe(first, look(process.pid, 2), process.pid) == "is dead"


def used(at: Look) -> float:
    return sum(seconds for _, seconds in at.threads.values())


# The log of an overdue request and `trivet stack` may want the stacks at the same moment.
def test_what_was_asked_for_just_now_is_not_cleared_by_another_who_asks() -> None:
    descriptor = os.memfd_create("stacks")
    file = StackFile(descriptor)
    assert file.begin(10.0)
    os.write(descriptor, b"Thread 1")
    assert not file.begin(10.0 + SHARED_S / 2)
    assert file.read() == "Thread 1"
    assert file.begin(10.0 + SHARED_S)
    assert file.read() == ""
    os.write(descriptor, b"2")
    assert file.read() == "2"
    file.close()
