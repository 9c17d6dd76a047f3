"""The words of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import report, section
from bench.measure import Measurement, Plan
from bench.section import Section
from bench.servers import catalogue
from bench.summary import Spread
from bench.table import Table
from bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from pathlib import Path

SECTION = Section(
    name="bare",
    title="Bare WSGI hello",
    command="python -m bench",
    notes=["One.", "Two."],
    table=Table(["server", "req/s"], [["trivet", "1"]]),
    facts={"date": "2026-11-22 10:00 UTC", "kernel": "6.18"},
    raw={"turns": [1, 2]},
)


def test_an_absent_server_has_a_row_that_says_why() -> None:
    """It is reported, not left out."""
    measurement = Measurement(
        workload="bare", plan=Plan(), turns=[], absent={"trivet": "not present: /x/trivet"}
    )
    made = report.workload_section(WORKLOADS[0], measurement, catalogue()[:1])
    assert made.table.rows == [["trivet", "not present: /x/trivet", *["-"] * 7]]


def test_a_spread_shows_its_median_first() -> None:
    """The least and the greatest stand beside it."""
    spread = Spread(least=1000, median=2000, greatest=3000)
    assert report.spread_text(spread, ",.0f") == "2,000 (1,000 to 3,000)"


def test_cpu_time_shows_trivets_edge_and_workers_apart() -> None:
    """The sum stands first; the supervisor is in it."""
    assert report.cpu_text({"all": 98.4, "edge": 20.2, "worker": 77.9}) == (
        "98 (edge 20, worker 78)"
    )


def test_a_saved_section_reads_back_the_same(tmp_path: Path) -> None:
    """The page is written from saved sections."""
    SECTION.save(tmp_path)
    assert section.load(tmp_path / "bare.json") == SECTION


def test_the_page_has_the_facts_and_every_saved_section(tmp_path: Path) -> None:
    """Sections that were never measured are absent."""
    SECTION.save(tmp_path)
    text = report.page(tmp_path, catalogue()[:1])
    assert "- kernel: 6.18\n" in text
    assert "## Bare WSGI hello\n" in text
    assert "Measured on 2026-11-22 10:00 UTC by `python -m bench`.\nOne.\nTwo.\n" in text
    assert "## Flask hello" not in text
