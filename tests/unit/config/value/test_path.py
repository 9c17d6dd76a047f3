"""Whatever somebody types where a path belongs."""

from pathlib import Path

import pytest
from trivet.config.value.path import expanded, is_file, is_folder

STRANGE = ["x" * 300, "a\0b", "~nobody-has-this-name/x", "/proc/1/cwd/x"]


def test_what_is_there_is_seen(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert (is_folder(tmp_path), is_file(tmp_path)) == (True, False)
    assert (is_folder(tmp_path / "file"), is_file(tmp_path / "file")) == (False, True)


# Each of them ended `trivet serve --chdir …` or `trivet serve …` with a traceback of Python's.
@pytest.mark.parametrize("text", STRANGE)
def test_what_cannot_be_is_not_there(tmp_path: Path, text: str) -> None:
    path = tmp_path / expanded(text)
    assert (is_folder(path), is_file(path)) == (False, False)


def test_a_tilde_is_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded("~/x") == Path("/home/me/x")
