"""The stack in a dead process's last words."""

import pytest
from trivet.supervisor.incidents.stack import last_stack

FATAL = b'Fatal Python error: Segmentation fault\n\nCurrent thread 0x7f (most recent call first):\n  File "app.py", line 3 in app\n'  # noqa: E501 - as it is written
TRACE = (
    b'Traceback (most recent call last):\n  File "app.py", line 3, in app\n    x()\nKeyError: 1\n'
)


def test_what_the_interpreter_wrote_as_it_died_is_the_stack() -> None:
    assert last_stack(b"hello\n" + TRACE + FATAL) == FATAL.decode().rstrip()


def test_a_traceback_counts_if_it_was_the_last_thing_said() -> None:
    assert last_stack(b"hello\n" + TRACE) == TRACE.decode().rstrip()
    assert last_stack(TRACE + b"then more\n") == ""


@pytest.mark.parametrize(
    "words", [b"", b"hello\n", b"\xff\n", b"Traceback (most recent call last):"]
)
def test_other_words_are_no_stack(words: bytes) -> None:
    assert last_stack(words) == ""


def test_bytes_that_are_no_text_are_shown() -> None:
    assert last_stack(FATAL + b"\xff").endswith("\\xff")
