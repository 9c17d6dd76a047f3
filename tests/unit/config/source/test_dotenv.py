from __future__ import annotations

from pathlib import Path

import pytest
from trivet.config.source.dotenv import read_env_file
from trivet.errors import ConfigError

TEXT = r"""
# a comment
PLAIN=value with spaces
export EXPORTED=1
EMPTY=
COMMENTED=value # not this
HASH=a#b
URL=postgres://u:p@h/db?a=b#c
SINGLE='a "b" $c # d'
DOUBLE="a\n\"b\" \\ # c" # not this
  SPACED = x
"""


def test_each_form_of_a_line_is_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(TEXT)
    assert read_env_file(file, ".env") == {
        "PLAIN": "value with spaces",
        "EXPORTED": "1",
        "EMPTY": "",
        "COMMENTED": "value",
        "HASH": "a#b",
        "URL": "postgres://u:p@h/db?a=b#c",
        "SINGLE": 'a "b" $c # d',
        "DOUBLE": 'a\n"b" \\ # c',
        "SPACED": "x",
    }


@pytest.mark.parametrize("line", ["no equals", "1A=b", "A='open", 'A="open', "=x", 'A="a" b'])
def test_another_line_is_refused_with_its_place(tmp_path: Path, line: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"A=1\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        read_env_file(file, ".env")
    assert (caught.value.code, str(caught.value.place)) == ("config.bad_env_file", ".env:2:1")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .* `.env`: No such file"):
        read_env_file(tmp_path / ".env", ".env")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(ConfigError, match="it is not UTF-8"):
        read_env_file(tmp_path / ".env", ".env")
