from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trivet.config import Duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("10s", 10_000),
        ("500ms", 500),
        ("2m", 120_000),
        ("1h", 3_600_000),
        ("1d", 86_400_000),
        ("1.5s", 1_500),
        (" 30 s ", 30_000),
        ("0", 0),
        (30, 30_000),
        (0.25, 250),
        ("30", 30_000),
    ],
)
def test_a_duration_is_read_with_its_unit_and_seconds_without(
    text: str | float, milliseconds: int
) -> None:
    assert Duration(text).milliseconds == milliseconds


@pytest.mark.parametrize(
    "text", ["", "s", "30 sec", "-1s", "1m30s", "1e3", "10S", "٣s", "0.0001ms", "50d", True, "nan"]
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        Duration(text)


@given(st.integers(0, 2**32 - 1))
def test_what_is_written_reads_back_the_same(milliseconds: int) -> None:
    value = Duration(f"{milliseconds}ms")
    assert Duration(str(value)) == value
    assert value.milliseconds == milliseconds


@given(st.text())
def test_any_text_gives_a_duration_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert Duration(text).milliseconds >= 0


def test_durations_compare_by_length() -> None:
    assert Duration("1s") < Duration("1500ms")
    assert Duration("60s") == Duration("1m")
    assert hash(Duration("60s")) == hash(Duration("1m"))
    assert Duration("1s") != 1000
    assert Duration(Duration("3s")).seconds == 3.0


def test_a_duration_shows_the_largest_unit_that_is_exact() -> None:
    assert [str(Duration(text)) for text in ("90", "120", "0", "1500ms", "24h")] == [
        "90s", "2m", "0s", "1500ms", "1d",
    ]  # fmt: skip
    assert repr(Duration("2m")) == "Duration('2m')"
