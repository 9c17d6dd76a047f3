"""Drawing tables."""

from __future__ import annotations

from bench.table import Table, padded

TABLE = Table(["server", "req/s"], [["trivet", "12,345"], ["granian|1", "not present"]])


def test_a_terminal_table_has_figures_to_the_right_and_words_to_the_left() -> None:
    """A sentence in a figure's place reads from the left."""
    assert TABLE.text().splitlines() == [
        "server           req/s",
        "---------  -----------",
        "trivet          12,345",
        "granian|1  not present",
    ]


def test_a_markdown_table_escapes_bars() -> None:
    """A bar in a cell would be a column."""
    assert TABLE.markdown().splitlines() == [
        "| server | req/s |",
        "| --- | --- |",
        "| trivet | 12,345 |",
        "| granian\\|1 | not present |",
    ]


def test_a_short_row_is_filled_up() -> None:
    """One cell for each head."""
    assert padded(["trivet", "not present"], ["a", "b", "c"]) == ["trivet", "not present", "-"]
