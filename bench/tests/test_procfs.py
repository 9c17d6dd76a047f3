"""Reading `/proc`."""

from __future__ import annotations

from bench import procfs
from bench.measure import cpu_per_request

STAT = "42 (a) b (c)) S 7 40 41 0 -1 4194560 1 0 0 0 300 100 9 9 20 0 1 0 5000 1 1 1"


def process(pid: int, parent: int, *, session: int = 1, state: str = "S") -> procfs.Process:
    """Make a process of which only its place in the tree matters."""
    return procfs.Process(
        pid=pid, parent=parent, session=session, state=state, started_ticks=1, cpu_us=0, command=""
    )


def table(*processes: procfs.Process) -> dict[int, procfs.Process]:
    """Make a process table."""
    return {each.pid: each for each in processes}


def test_a_name_with_parentheses_does_not_shift_the_fields() -> None:
    """The name ends at the last one."""
    found = procfs.parse_stat(STAT, "a b")
    assert (found.parent, found.session, found.state, found.started_ticks) == (7, 41, "S", 5000)


def test_cpu_time_is_user_and_system_time_without_children() -> None:
    """400 ticks."""
    assert procfs.parse_stat(STAT, "").cpu_us == 400 * 1e6 / procfs.TICKS_PER_SECOND


def test_a_tree_holds_all_descendants() -> None:
    """Whatever the order of ids."""
    found = procfs.tree([10], table(process(10, 1), process(5, 10), process(3, 5), process(8, 1)))
    assert [each.pid for each in found] == [3, 5, 10]


def test_a_tree_holds_what_lost_its_parent_but_kept_its_session() -> None:
    """Such a process would else stay behind."""
    found = procfs.tree([10], table(process(12, 1, session=10)))
    assert [each.pid for each in found] == [12]


def test_a_tree_leaves_zombies_out() -> None:
    """They hold no memory and take no time."""
    assert procfs.tree([10], table(process(10, 1, state="Z"))) == []


def test_sizes_are_in_bytes() -> None:
    """Lines without a size are left out."""
    assert procfs.sizes("Name:\tnginx\nVmHWM:\t    12 kB\nThreads:\t1\n") == {"VmHWM": 12288}


def spent(pid: int, cpu_us: float, command: str) -> procfs.Process:
    """Make a process of which only its CPU time matters."""
    return procfs.Process(
        pid=pid, parent=1, session=1, state="S", started_ticks=pid, cpu_us=cpu_us, command=command
    )


def test_cpu_per_request_tells_trivets_roles_apart() -> None:
    """The supervisor is in the sum alone; a worker born meanwhile counts in full."""
    before = [spent(1, 100, "trivet serve"), spent(2, 1000, "python -m trivet edge")]
    after = [
        spent(1, 200, "trivet serve"),
        spent(2, 3000, "python -m trivet edge"),
        spent(3, 4000, "python -m trivet worker"),
    ]
    assert cpu_per_request("trivet", before, after, 100) == {
        "all": 61.0,
        "edge": 20.0,
        "worker": 40.0,
    }


def test_cpu_per_request_of_no_request_is_nothing() -> None:
    """Not nought, nor infinity."""
    assert cpu_per_request("granian", [], [], 0) == {}
