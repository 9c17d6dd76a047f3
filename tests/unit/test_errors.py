from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest
import trivet
from trivet.errors import (
    CODES,
    AppLoadError,
    ConfigError,
    EdgeError,
    Notice,
    Place,
    TrivetError,
    WorkerError,
    render,
    wants_colour,
)

SOURCES = sorted(Path(str(trivet.__file__)).parent.rglob("*.py"))


def test_an_error_shows_code_place_source_line_caret_and_hint() -> None:
    error = ConfigError(
        "unknown option `worker`",
        code="config.unknown_option",
        hint="did you mean `workers`?",
        place=Place("trivet.toml", 7, 1, 6, "worker = 4"),
    )
    assert render(error) == (
        "error[config.unknown_option]: unknown option `worker`\n"
        "  --> trivet.toml:7:1\n"
        "   |\n"
        " 7 | worker = 4\n"
        "   | ^^^^^^\n"
        "  hint: did you mean `workers`?"
    )


def test_a_place_without_its_line_shows_file_and_number_only() -> None:
    error = AppLoadError("no app", code="app.no_app", place=Place("app.py", 3))
    assert render(error) == "error[app.no_app]: no app\n  --> app.py:3"


def test_a_tab_before_the_place_does_not_move_the_caret() -> None:
    place = Place("a", 1, 2, 1, "\tx")
    assert render(ConfigError("no", code="config.bad_toml", place=place)).endswith("|  x\n   |  ^")


def test_detail_stands_indented_between_place_and_hint() -> None:
    error = AppLoadError("no", code="app.no_app", detail="one\n\ntwo", hint="do\nthis")
    assert render(error) == ("error[app.no_app]: no\n  one\n\n  two\n  hint: do\n        this")


def test_several_errors_are_shown_one_by_one_and_counted() -> None:
    one = ConfigError("one", code="config.bad_value")
    two = ConfigError("two", code="config.conflict")
    assert render(ConfigError.together([one, two])) == (
        "error[config.bad_value]: one\n\nerror[config.conflict]: two\n\n2 errors, nothing started"
    )


def test_one_error_together_is_that_error() -> None:
    one = ConfigError("one", code="config.bad_value")
    assert ConfigError.together([one]) is one


def test_the_text_of_several_errors_holds_each() -> None:
    one = ConfigError("one", code="config.bad_value", place=Place("f", 1))
    two = ConfigError("two", code="config.conflict")
    assert str(ConfigError.together([one, two])) == "one (f:1); two"


def test_a_notice_says_its_severity() -> None:
    assert render(Notice("warning", "look", "config.conflict", "do")) == (
        "warning[config.conflict]: look\n  hint: do"
    )


def test_colours_come_only_when_asked_for() -> None:
    error = ConfigError("no", code="config.bad_value", hint="h", place=Place("f", 1, 1, 1, "x"))
    assert "\x1b" not in render(error)
    assert render(error, colour=True).startswith("\x1b[1;31merror[config.bad_value]:\x1b[0m no")


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"NO_COLOR": "", "FORCE_COLOR": "1"}, True),
    ],
)
def test_variables_decide_about_colours_where_there_is_no_terminal(
    environ: dict[str, str], *, wanted: bool
) -> None:
    assert wants_colour(io.StringIO(), environ) is wanted


def test_a_dumb_terminal_gets_no_colours() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert wants_colour(Terminal(), {"TERM": "dumb"}) is False
    assert wants_colour(Terminal(), {"TERM": "xterm"}) is True


@pytest.mark.parametrize(
    ("kind", "code"), [(ConfigError, 2), (AppLoadError, 3), (EdgeError, 1), (WorkerError, 1)]
)
def test_each_class_has_the_exit_code_of_who_must_act(kind: type[TrivetError], code: int) -> None:
    assert kind.exit_code == code


def test_every_code_in_the_sources_is_listed() -> None:
    used = {
        keyword.value.value
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_bytes()))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "code"
        and isinstance(keyword.value, ast.Constant)
        and isinstance(keyword.value.value, str)
    }
    assert used - set(CODES) == set()


def test_every_listed_code_is_used() -> None:
    text = "\n".join(source.read_text() for source in SOURCES if source.name != "errors.py")
    assert [code for code in CODES if f'"{code}"' not in text and code != "config.several"] == []
