"""Which lines are one event."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trivet.supervisor.tracebacks import FOLD_BYTES, Folder, Group, described
from trivet.worker.traces import format_trimmed


def folded(text: str) -> list[Group]:
    folder = Folder()
    groups = [group for line in text.splitlines() for group in folder.feed(line.encode())]
    return groups + folder.flush()


def printed(source: str) -> str:
    """Give what Python itself prints for an exception."""
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False
    ).stderr


CHAIN = """
try:
    try:
        1 / 0
    except ZeroDivisionError as error:
        raise KeyError("a") from error
except KeyError:
    {}["b"]
"""
RECURSION = "def f(): f()\nf()"
SYNTAX = "exec('def (')"
GROUP = "raise ExceptionGroup('several', [ValueError('one'), KeyError('two')])"
NOTED = "error = ValueError('x')\nraise error"


@pytest.mark.parametrize(
    "source",
    [
        CHAIN,
        RECURSION,
        SYNTAX,
        NOTED,
        pytest.param(
            GROUP, marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="came with 3.11")
        ),
    ],
)
def test_what_python_prints_for_an_exception_is_one_event(source: str) -> None:
    text = printed(source)
    assert text
    groups = folded(f"before\n{text}after\n")
    assert groups == [[b"before"], text.encode().splitlines(), [b"after"]]


def test_what_a_worker_writes_of_a_message_of_several_lines_is_one_event() -> None:
    error = ValueError("first\nsecond\nTraceback (most recent call last):")
    text = format_trimmed(error)
    assert text.startswith("Traceback (most recent call last):\n")
    assert folded(f"{text}after\n") == [text.encode().splitlines(), [b"after"]]


def test_a_chain_is_described_by_its_last_exception() -> None:
    [group] = folded(printed(CHAIN))
    assert described(group) == (b"KeyError: 'b'", b"")


def test_an_empty_line_after_a_traceback_is_not_lost() -> None:
    text = printed(NOTED)
    assert folded(f"{text}\nnext\n") == [text.encode().splitlines(), [b""], [b"next"]]


def test_two_tracebacks_are_two_events() -> None:
    text = printed(NOTED)
    assert folded(text + text) == [text.encode().splitlines()] * 2


def test_a_line_between_ends_the_traceback() -> None:
    text = "Traceback (most recent call last):\n  File x\n12 other words\nValueError: y\n"
    first, *rest = text.encode().splitlines()
    assert folded(text) == [[first, rest[0]], [rest[1]], [rest[2]]]


def test_a_line_about_a_request_without_a_traceback_stands_alone() -> None:
    head = "GET / failed, request id 7"
    assert folded(f"{head}\nnext\n") == [[head.encode()], [b"next"]]


def test_a_traceback_without_an_end_comes_in_pieces() -> None:
    line = "  " + "x" * 1000
    groups = folded("Traceback (most recent call last):\n" + f"{line}\n" * 200)
    assert sum(map(len, groups)) == 201
    assert all(sum(map(len, group)) <= FOLD_BYTES for group in groups)


LINES = st.sampled_from(
    [*printed(CHAIN).splitlines(), "GET / failed, request id 7", "", "  x", "a line", "{}"]
)


@given(st.lists(LINES))
def test_no_line_is_lost_or_moved(lines: list[str]) -> None:
    groups = folded("".join(f"{line}\n" for line in lines))
    assert [line.decode() for group in groups for line in group] == lines
