"""How many new workers may be there beside the present ones while a reload replaces these."""

from dataclasses import dataclass

from trivet.supervisor.fleet.scaling import ROOM


@dataclass(frozen=True, slots=True)
class Surge:
    """How many workers are started at once, and what to say where memory allows no more."""

    workers: int
    remark: str


def surge(wanted: int | None, seats: int, *, free_memory: int | None, worker_memory: int) -> Surge:
    """Take as many as the operator wants, `None` for all, as far as they fit into memory.

    One always has to fit: without it there would be no reload. `worker_memory` is that of the
    largest present worker, in bytes, 0 where it is not known.
    """
    asked = seats if wanted is None else min(wanted, seats)
    if free_memory is None or not worker_memory:
        return Surge(asked, "")
    fitting = max(1, int(free_memory / (worker_memory * ROOM)))
    if fitting >= asked:
        return Surge(asked, "")
    text = f"memory has room for {fitting} new at a time, not {asked}"
    return Surge(fitting, text)
