"""`[task.NAME]` tables: what they give, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from trivet.config import Loaded
from trivet.config.value.command import Command
from trivet.errors import ConfigError

Load = Callable[..., Loaded]

APPS = """[app.shop]
target = "shop:app"
env = {STAGE = "live"}
[app.blog]
target = "blog:app"
path = "/blog"
"""


def errors(load_in: Load, project: Path, text: str) -> list[str]:
    (project / "trivet.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_in()
    return [str(each) for each in caught.value.problems]


def load(load_in: Load, project: Path, text: str) -> Loaded:
    (project / "trivet.toml").write_text(text)
    return load_in()


def test_a_command_is_cut_into_words_without_a_shell(load_in: Load, project: Path) -> None:
    text = "[task.a]\ncommand = \"python 'my jobs.py' *.txt $HOME\"\n"
    (task,) = load(load_in, project, text).tasks
    assert task.task.command == Command(["python", "my jobs.py", "*.txt", "$HOME"])
    (task,) = load(load_in, project, '[task.a]\ncommand = ["python", "a b"]\n').tasks
    assert str(task.task.command) == "python 'a b'"


@pytest.mark.parametrize(
    "written", ["''", "' '", "[]", "['']", "3", "[1]", '"a \'b"', '"a\\u0000"']
)
def test_what_is_no_command_is_refused(load_in: Load, project: Path, written: str) -> None:
    (error,) = errors(load_in, project, f"[task.a]\ncommand = {written}\n")
    assert error.startswith("`task.a.command` ")
    assert error.endswith("(trivet.toml:2:1)")


def test_variables_come_from_the_stand_the_app_a_file_and_the_task(
    load_in: Load, project: Path
) -> None:
    (project / "jobs.env").write_text("FILE=1\nOWN=file\n")
    text = (
        '[env]\nREGION = "eu"\nSTAGE = "test"\n'
        + APPS
        + '[task.a]\ncommand = "x"\napp = "shop"\nenv_file = "jobs.env"\nenv = {OWN = "task"}\n'
        + '[task.b]\ncommand = "y"\n'
    )
    first, second = load(load_in, project, text).tasks
    assert first.task.env == {"REGION": "eu", "STAGE": "live", "FILE": "1", "OWN": "task"}
    assert (first.name, first.app) == ("a", 0)
    assert second.task.env == {"REGION": "eu", "STAGE": "test"}
    assert (second.name, second.app) == ("b", None)


def test_a_task_of_the_only_app_belongs_to_it(load_in: Load, project: Path) -> None:
    (task,) = load(load_in, project, '[task.a]\nrun = "jobs:main"\n').tasks
    assert (task.app, task.task.run, task.task.restart) == (0, "jobs:main", "always")


def test_a_stand_without_tasks_has_none(load_in: Load) -> None:
    assert load_in().tasks == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[task.a]\nrestart = "never"\n', "`task.a` has nothing to run (trivet.toml:1:2)"),
        ('[task]\na = "python x"\n', "`task.a` is no table (trivet.toml:2:1)"),
        ('task = "python x"\n', "`task` is no table (trivet.toml:1:1)"),
        (
            '[task."a b"]\ncommand = "x"\n',
            "`a b` is no name for a task (trivet.toml:1:2)",
        ),
        (
            '[task.a]\ncommand = "x"\nrun = "a:b"\n',
            "`task.a.run` contradicts `task.a.command` (trivet.toml:3:1)",
        ),
        (
            '[task.a]\ncommand = "x"\nevery = "5m"\nrestart = "never"\n',
            "`task.a.restart` contradicts `task.a.every` (trivet.toml:4:1)",
        ),
        (
            '[task.a]\nrun = "jobs.main"\n',
            (
                "`task.a.run` must be a function, as `module:function`, not `jobs.main` "
                "(trivet.toml:2:1)"
            ),
        ),
        (
            '[task.a]\ncommand = "x"\napp = "shop"\n',
            "`task.a.app` names no app: `shop` (trivet.toml:3:1)",
        ),
        (
            '[task.a]\ncommand = "x"\nchdir = "nowhere"\n',
            "`task.a.chdir` names no folder: `nowhere` (trivet.toml:3:1)",
        ),
        (
            '[task.a]\ncomand = "x"\ncommand = "y"\n',
            "unknown option `task.comand` (trivet.toml:2:1)",
        ),
        (
            '[task.a]\ncommand = "x"\nevery = "10ms"\n',
            "`task.a.every` must be at least 1s, not 10ms (trivet.toml:3:1)",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    load_in: Load, project: Path, text: str, problem: str
) -> None:
    assert errors(load_in, project, text) == [problem]


def test_a_function_needs_an_app_where_there_are_several(load_in: Load, project: Path) -> None:
    assert errors(load_in, project, APPS + '[task.a]\nrun = "jobs:main"\n') == [
        "`task.a.run` needs an app, and there are several (trivet.toml:8:1)"
    ]
