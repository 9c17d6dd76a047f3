"""Settings for every test; the fixtures of a kind of test stand in its own folder."""

import os
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("local", deadline=None)
# The same cases in every run: what CI finds, anybody can find again.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def root() -> Path:
    """The clone that the tests stand in."""
    return Path(__file__).resolve().parent.parent
