"""What a loaded worker asks of the cycle collector."""

import gc
from collections.abc import Iterator

import pytest
from trivet.worker import garbage


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_a_loaded_app_is_not_walked_again() -> None:
    garbage.settle()
    assert gc.get_freeze_count() > 0


def test_the_young_generation_is_looked_through_less_often() -> None:
    older = gc.get_threshold()[1:]
    garbage.settle()
    assert gc.get_threshold() == (20_000, *older)


def test_thresholds_that_the_app_has_set_are_kept() -> None:
    gc.set_threshold(1234, 5, 6)
    garbage.settle()
    assert gc.get_threshold() == (1234, 5, 6)
