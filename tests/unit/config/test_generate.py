from __future__ import annotations

import json
from pathlib import Path

import pytest
from trivet.config import Settings
from trivet.config.generate import files, main
from trivet.config.option import definitions
from trivet.errors import CODES


def test_writing_makes_the_check_pass(tmp_path: Path) -> None:
    assert main(["--check"], tmp_path / "new") == 1
    assert main([], tmp_path / "new") == 0
    assert main(["--check"], tmp_path / "new") == 0


def test_the_check_names_a_stale_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([], tmp_path)
    (tmp_path / "errors.md").write_text("old")
    assert main(["--check"], tmp_path) == 1
    assert f"{tmp_path / 'errors.md'} is stale" in capsys.readouterr().err


def test_every_option_and_every_code_is_on_its_page() -> None:
    made = files()
    for each in definitions(Settings):
        is_table = each.path in {"list", "route", "site", "static", "task"}
        assert f"### `{each.path}`" in made["options.md"] or is_table
    for code in CODES:
        assert f"| `{code}` |" in made["errors.md"]


def test_the_schema_refuses_unknown_keys_at_every_level() -> None:
    schema = json.loads(files()["trivet.schema.json"])
    assert schema["additionalProperties"] is False
    assert schema["properties"]["server"]["additionalProperties"] is False
    static = schema["properties"]["static"]["items"]
    assert (static["additionalProperties"], static["required"]) == (False, ["path", "folder"])
    assert schema["properties"]["log"]["properties"]["level"]["enum"] == [
        "debug", "info", "warning", "error",
    ]  # fmt: skip
