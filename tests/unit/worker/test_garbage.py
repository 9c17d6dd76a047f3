"""What a loaded worker asks of the cycle collector."""

import gc
from collections.abc import Iterator

import pytest
from trivet.worker import garbage


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_a_loaded_app_is_not_walked_again() -> None:
    garbage.settle()
    assert gc.get_freeze_count() > 0


def test_how_often_the_collector_looks_is_left_alone() -> None:
    before = gc.get_threshold()
    garbage.settle()
    assert gc.get_threshold() == before
