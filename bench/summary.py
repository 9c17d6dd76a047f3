"""From turns to rows: medians, spreads, and ratios taken within a round. Pure."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.servers import TRIVET

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.measure import Measurement, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The least, the median and the greatest of some numbers."""

    least: float
    median: float
    greatest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One server in one workload.

    `ratio` is Trivet's rate divided by this server's, round by round; None for Trivet itself and
    where no round has both. `kept` is the share of the rate alone that is left beside slow clients.
    """

    server: str
    rate: Spread
    ratio: Spread | None
    p50_us: float
    p99_us: float
    cpu_us: dict[str, float]
    peak_rss_bytes: int
    pss_bytes: int | None
    alone_rate: Spread | None
    kept: Spread | None
    bad_statuses: int
    socket_errors: int
    unanswered_rounds: int

    @property
    def is_clean(self) -> bool:
        """Whether every request of every round was answered well."""
        return not (self.bad_statuses or self.socket_errors or self.unanswered_rounds)


def spread(values: Iterable[float]) -> Spread | None:
    """Give the spread of `values`, or None if there are none."""
    found = list(values)
    if not found:
        return None
    return Spread(least=min(found), median=statistics.median(found), greatest=max(found))


def ratios(ours: list[Turn], theirs: list[Turn]) -> list[float]:
    """Divide rates round by round; a round that one side lacks or left unanswered gives nothing."""
    rates = {turn.round: turn.result.rate for turn in ours}
    return [
        rates[turn.round] / turn.result.rate
        for turn in theirs
        if turn.round in rates and rates[turn.round] and turn.result.rate
    ]


def rows(measurement: Measurement) -> list[Row]:
    """Give one row for each server that had a turn, in the order of the first round."""
    by_server: dict[str, list[Turn]] = {}
    for turn in measurement.turns:
        by_server.setdefault(turn.server, []).append(turn)
    ours = by_server.get(TRIVET, [])
    return [
        row(turns, [] if server == TRIVET else ratios(ours, turns))
        for server, turns in by_server.items()
    ]


def row(turns: list[Turn], round_ratios: list[float]) -> Row:
    """Sum up the turns of one server, of which there is at least one.

    Latency and CPU time come from rounds with answers only: wrk writes 0 where it had none.
    """
    rate = spread(turn.result.rate for turn in turns)
    if rate is None:
        raise ValueError("a row needs at least one turn")
    answered = [turn for turn in turns if turn.result.requests]
    shares = [turn.cpu_us for turn in answered]
    pss = [turn.pss_bytes for turn in turns if turn.pss_bytes is not None]
    slow = [turn for turn in turns if turn.alone_rate]
    return Row(
        server=turns[0].server,
        rate=rate,
        ratio=spread(round_ratios),
        p50_us=median(turn.result.p50_us for turn in answered),
        p99_us=median(turn.result.p99_us for turn in answered),
        cpu_us={
            role: median(share[role] for share in shares if role in share)
            for role in (shares[0] if shares else {})
        },
        peak_rss_bytes=max(turn.peak_rss_bytes for turn in turns),
        pss_bytes=max(pss, default=None),
        alone_rate=spread(turn.alone_rate for turn in slow if turn.alone_rate),
        kept=spread(turn.result.rate / turn.alone_rate for turn in slow if turn.alone_rate),
        bad_statuses=sum(turn.result.bad_statuses for turn in turns),
        socket_errors=sum(turn.result.socket_errors for turn in turns),
        unanswered_rounds=len(turns) - len(answered),
    )


def median(values: Iterable[float]) -> float:
    """Give the median, or NaN of nothing."""
    found = list(values)
    return statistics.median(found) if found else float("nan")
