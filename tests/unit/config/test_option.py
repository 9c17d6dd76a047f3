from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from trivet.config import Settings
from trivet.config.option import Definition, definitions, rows_type
from trivet.config.value.kind import read_value

ALL = definitions(Settings)


@pytest.mark.parametrize("definition", ALL, ids=lambda each: each.path)
def test_every_option_says_what_it_does_and_why(definition: Definition) -> None:
    assert definition.option.doc.endswith((".", ";"))
    assert definition.option.why.endswith(".")


def test_no_variable_and_no_flag_means_two_options() -> None:
    plain = [each for each in ALL if each.section != "route"]
    variables = [each.variable for each in plain] + [
        each.option.env for each in plain if each.option.env
    ]
    flags = [flag for each in ALL for flag in each.flags]
    assert len(set(variables)) == len(variables)
    assert len(set(flags)) == len(flags)


def test_every_default_is_one_that_its_own_option_takes() -> None:
    for each in ALL:
        plain = isinstance(each.default, (int, str)) and not rows_type(each.type)
        if each.default is not msgspec.NODEFAULT and plain:
            assert read_value(each.type, each.option, each.default, Path()) == each.default


def test_a_variable_is_named_after_its_flag_else_after_its_place() -> None:
    names = {each.path: each.variable for each in ALL}
    assert names["server.bind"] == "TRIVET_BIND"
    assert names["timeouts.keep_alive"] == "TRIVET_KEEP_ALIVE"
    assert names["timeouts.linger"] == "TRIVET_TIMEOUTS_LINGER"
    assert names["server.load_timeout"] == "TRIVET_LOAD_TIMEOUT"
