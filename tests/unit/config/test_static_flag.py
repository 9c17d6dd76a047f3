"""`--static`, and folders that commands serve."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from trivet.config import Loaded
from trivet.config.static_flag import StaticRow
from trivet.errors import ConfigError

Load = Callable[..., Loaded]


@pytest.fixture(autouse=True)
def folders(project: Path) -> None:
    for name in ("css", "media"):
        (project / name).mkdir()


def served(loaded: Loaded) -> list[tuple[str, str]]:
    return [(each.path, each.folder.name) for each in loaded.settings.static]


def test_each_flag_is_a_folder(load_in: Load) -> None:
    loaded = load_in({"static": ("/static=css", "/media=media")})
    assert served(loaded) == [("/static", "css"), ("/media", "media")]
    assert [str(origin) for origin in loaded.rows["static"]] == ["flag --static"] * 2


def test_a_folder_is_relative_to_where_the_command_was_typed(load_in: Load, project: Path) -> None:
    (project / "below").mkdir()
    loaded = load_in({"static": ("/static=../css",)}, cwd=project / "below")
    assert loaded.settings.static[0].folder.resolve() == project / "css"


def test_a_path_may_have_an_equals_sign_behind_the_first(load_in: Load, project: Path) -> None:
    (project / "a=b").mkdir()
    assert served(load_in({"static": ("/static=a=b",)})) == [("/static", "a=b")]


@pytest.mark.parametrize("text", ["css", "/static", "/static=", "static=css", "=css"])
def test_what_is_no_path_and_folder_is_refused(load_in: Load, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_in({"static": (text,)})
    assert caught.value.message == f"`--static` must be `PATH=FOLDER`, not `{text}`"


def test_flags_come_before_the_file_and_replace_what_it_has_at_their_path(
    load_in: Load, project: Path
) -> None:
    (project / "trivet.toml").write_text(
        '[[static]]\npath = "/static/"\nfolder = "media"\n'
        '[[static]]\npath = "/static"\nfolder = "media"\nhost = ["a.example"]\n'
        '[[static]]\npath = "/media"\nfolder = "media"\n'
    )
    loaded = load_in({"static": ("/static=css",)})
    assert served(loaded) == [("/static", "css"), ("/static", "media"), ("/media", "media")]
    assert [str(origin) for origin in loaded.rows["static"]] == [
        "flag --static",
        "trivet.toml:4",
        "trivet.toml:8",
    ]


def test_a_folder_that_is_not_there_is_told_by_the_name_of_the_flag(load_in: Load) -> None:
    with pytest.raises(ConfigError, match="`--static` names no folder: `nowhere`"):
        load_in({"static": ("/static=nowhere",)})


def test_what_a_command_serves_has_the_checks_of_the_file(load_in: Load) -> None:
    values = {
        "path": ("FOLDER", "/"),
        "folder": ("FOLDER", "css"),
        "cache_control": ("--cache-control", {"**": "max-age=60"}),
    }
    row = StaticRow(values=values, because="it was typed")
    loaded = load_in({"app": "none", "static": (row,)})
    assert loaded.apps == ()
    assert loaded.settings.static[0].cache_control == {"**": "max-age=60"}
    assert str(loaded.rows["static"][0]) == "argument (it was typed)"
    bad = StaticRow(values={**values, "cache_control": ("--cache-control", {"**": "a\nb"})})
    with pytest.raises(ConfigError, match="`--cache-control` has"):
        load_in({"app": "none", "static": (bad,)})


def test_no_app_needs_something_else_to_serve(load_in: Load) -> None:
    with pytest.raises(ConfigError, match="`app` is `none`, and nothing else is served"):
        load_in({"app": "none"})


def test_a_function_as_a_task_needs_an_app(load_in: Load, project: Path) -> None:
    (project / "trivet.toml").write_text('app = "none"\n[task.a]\nrun = "jobs:main"\n')
    with pytest.raises(ConfigError) as caught:
        load_in({"static": ("/=css",)})
    assert caught.value.message == "`task.a.run` needs an app, and there is none"


def test_no_file_is_looked_for_where_none_is_wanted(load_in: Load, project: Path) -> None:
    (project / "trivet.toml").write_text("[server]\nworkers = 9\n")
    assert load_in({"config": False}).file is None
    assert load_in({}).settings.server.workers == 9
    named = load_in({"config": False}, {"TRIVET_CONFIG": "trivet.toml"})
    assert named.settings.server.workers == 9
