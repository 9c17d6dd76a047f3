"""Medians, spreads and ratios."""

from __future__ import annotations

import math

import pytest

from bench import summary
from bench.measure import Measurement, Plan, Turn
from bench.wrk import Result


def turn(server: str, number: int, rate: float, *, alone: float | None = None) -> Turn:
    """Make a turn of which only server, round and rate matter."""
    result = Result(
        requests=int(rate),
        rate=rate,
        bytes_per_second=0,
        p50_us=rate and 100,
        p99_us=rate and 900,
        bad_statuses=0,
        socket_errors=0,
    )
    return Turn(
        server=server,
        round=number,
        result=result,
        cpu_us={"all": 80.0 + number} if rate else {},
        peak_rss_bytes=number,
        pss_bytes=None,
        alone_rate=alone,
        stolen=0,
    )


def measured(*turns: Turn) -> Measurement:
    """Make a measurement of these turns."""
    return Measurement(workload="flask", plan=Plan(), turns=list(turns), absent={})


def test_a_ratio_is_taken_within_each_round() -> None:
    """The median of ratios, not the ratio of medians."""
    rows = summary.rows(
        measured(
            *(turn("trivet", 0, 200), turn("granian", 0, 100)),
            *(turn("trivet", 1, 100), turn("granian", 1, 100)),
            *(turn("trivet", 2, 900), turn("granian", 2, 300)),
        )
    )
    assert rows[1].ratio == summary.Spread(least=1.0, median=2.0, greatest=3.0)


def test_trivet_has_no_ratio_to_itself() -> None:
    """Its own cell stays empty."""
    assert summary.rows(measured(turn("trivet", 0, 200)))[0].ratio is None


def test_without_trivet_there_are_no_ratios() -> None:
    """Peers can be measured before Trivet is there."""
    assert summary.rows(measured(turn("granian", 0, 200)))[0].ratio is None


def test_a_round_that_one_side_left_unanswered_gives_no_ratio() -> None:
    """Nothing is divided by nought."""
    ours = [turn("trivet", 0, 200), turn("trivet", 1, 0)]
    theirs = [turn("granian", 0, 0), turn("granian", 1, 100)]
    assert summary.ratios(ours, theirs) == []


def test_rows_stand_in_the_order_of_the_first_round() -> None:
    """Later rounds are rotated; the table is not."""
    rows = summary.rows(
        measured(turn("trivet", 0, 1), turn("granian", 0, 1), turn("granian", 1, 1))
    )
    assert [row.server for row in rows] == ["trivet", "granian"]


def test_latency_and_cpu_come_from_rounds_with_answers_only() -> None:
    """A round without answers shows 0 in wrk, which is no latency."""
    row = summary.row([turn("gunicorn", 0, 0), turn("gunicorn", 1, 500)], [])
    assert (row.p99_us, row.cpu_us, row.unanswered_rounds) == (900, {"all": 81.0}, 1)


def test_a_row_without_any_answer_has_no_latency() -> None:
    """And is not clean."""
    row = summary.row([turn("gunicorn", 0, 0)], [])
    assert math.isnan(row.p99_us)
    assert not row.is_clean


def test_kept_compares_each_turn_with_itself_alone() -> None:
    """The share of the rate that slow clients leave."""
    turns = [turn("granian", 0, 50, alone=100), turn("granian", 1, 90, alone=100)]
    assert summary.row(turns, []).kept == summary.Spread(least=0.5, median=0.7, greatest=0.9)


def test_a_row_of_no_turns_is_refused() -> None:
    """There is nothing to write about it."""
    with pytest.raises(ValueError, match="at least one turn"):
        summary.row([], [])
