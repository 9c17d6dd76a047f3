from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trivet.config import Size


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("10m", 10 << 20),
        ("10MB", 10 << 20),
        ("16 MiB", 16 << 20),
        ("64k", 64 << 10),
        ("1g", 1 << 30),
        ("1.5k", 1536),
        ("240", 240),
        ("240 B", 240),
        (240, 240),
    ],
)
def test_units_are_powers_of_1024(text: str | int, count: int) -> None:
    assert Size(text).bytes == count


@pytest.mark.parametrize("text", ["", "m", "10 meg", "-1", "1e3", "0.3", "9999999t", False])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|is larger"):
        Size(text)


@given(st.integers(0, 2**63 - 1))
def test_what_is_written_reads_back_the_same(count: int) -> None:
    assert Size(str(Size(count))).bytes == count


@given(st.text())
def test_any_text_gives_a_size_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert Size(text).bytes >= 0


def test_sizes_compare_by_bytes() -> None:
    assert Size("1k") < Size("1m")
    assert Size("1024") == Size("1k")
    assert hash(Size("1024")) == hash(Size("1k"))
    assert Size("1k") != 1024
    assert Size(Size("1k")).bytes == 1024
    assert repr(Size("1k")) == "Size('1 KiB')"
