"""`[app.NAME]` tables: several apps, each with what it has of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from trivet.config import ConfiguredApp, Loaded, Settings
from trivet.config.explain import explained, value_of
from trivet.config.option import app_keys, definitions
from trivet.errors import ConfigError

Load = Callable[..., Loaded]

TWO = """
app_dir = "shared"

[env]
STAGE = "test"
REGION = "eu"

[server]
threads = 3

[app.shop]
target = "shop:app"
path = "/shop"
workers = 4
env = { STAGE = "live" }

[app.blog]
target = "blog:create_app()"
chdir = "blog"
app_dir = "blog/src"
queue = 7
concurrency = 9
"""


@pytest.fixture
def two(project: Path, load_in: Load) -> Loaded:
    """A stand with a shop and a blog."""
    for folder in ("shared", "blog", "blog/src"):
        (project / folder).mkdir()
    (project / "trivet.toml").write_text(TWO)
    return load_in()


def errors(load_in: Load, project: Path, text: str, **more: object) -> list[str]:
    (project / "trivet.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_in(**more)
    return [str(each) for each in caught.value.problems]


def by_name(loaded: Loaded) -> dict[str, ConfiguredApp]:
    return {app.name: app for app in loaded.apps}


def test_each_app_has_its_own_settings_on_top_of_the_stands(two: Loaded, project: Path) -> None:
    shop, blog = (app.settings for app in two.apps)
    assert [app.name for app in two.apps] == ["shop", "blog"]
    assert (shop.app, shop.server.root_path, shop.server.workers) == ("shop:app", "/shop", 4)
    assert (blog.app, blog.server.root_path, blog.server.workers) == ("blog:create_app()", "", 2)
    assert (shop.server.threads, blog.server.threads) == (3, 3)
    assert (shop.limits.queue, blog.limits.queue) == (1024, 7)
    assert (shop.limits.concurrency, blog.limits.concurrency) == (None, 9)
    assert blog.chdir == project / "blog"


def test_variables_of_an_app_come_on_top_of_the_stands(two: Loaded) -> None:
    shop, blog = (app.settings.env for app in two.apps)
    assert shop == {"STAGE": "live", "REGION": "eu"}
    assert blog == {"STAGE": "test", "REGION": "eu"}


def test_the_app_is_looked_for_in_its_own_folder(two: Loaded, project: Path) -> None:
    assert by_name(two)["shop"].folder == project / "shared"
    assert by_name(two)["blog"].folder == project / "blog" / "src"


def test_one_app_without_tables_is_the_whole_stand(load_in: Load) -> None:
    loaded = load_in({"app": "shop:app", "server.workers": "3"})
    [app] = loaded.apps
    assert (app.name, app.settings) == ("", loaded.settings)


def test_a_slash_alone_is_no_prefix(load_in: Load, project: Path) -> None:
    (project / "trivet.toml").write_text('[app.blog]\npath = "/"\n')
    assert load_in().apps[0].settings.server.root_path == ""


def test_auto_is_decided_for_each_app(load_in: Load, project: Path) -> None:
    text = '[server]\nworkers = 7\n[app.a]\nworkers = "auto"\n'
    (project / "trivet.toml").write_text(text)
    [app] = load_in().apps
    assert (app.settings.server.workers, app.origins["server.workers"].reason) == (
        2,
        "2 CPUs usable",
    )


def test_two_apps_cannot_have_one_path(load_in: Load, project: Path) -> None:
    [error] = errors(load_in, project, '[app.a]\n[app.b]\npath = "/"\n')
    assert "apps `a` and `b` have the same path, `/`" in error


def test_a_named_app_contradicts_tables(load_in: Load, project: Path) -> None:
    [error] = errors(load_in, project, "[app.a]\n", flags={"app": "shop:app"})
    assert "contradicts the tables `[app.…]`" in error


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[app]\nshop = "shop:app"\n', "`app.shop` is no table"),
        ("[app.shop]\nworker = 2\n", "unknown option `app.shop.worker`"),
        ('[app.shop]\nbind = ":80"\n', "unknown option `app.shop.bind`"),
        ('[app."a b"]\n', "`a b` is no name for an app"),
        ('[app.shop]\nworkers = "two"\n', "`app.shop.workers` must be a whole number"),
        ('[app.shop]\nchdir = "nowhere"\n', "`app.shop.chdir` names no folder: `nowhere`"),
        ('[app.shop]\nenv_file = ".env"\n', "cannot read the environment file `.env`"),
        ('[app.shop]\npath = "shop"\n', "`app.shop.path` must be a path such as `/shop`"),
    ],
)
def test_what_is_wrong_in_a_table_is_told_with_its_name(
    load_in: Load, project: Path, text: str, said: str
) -> None:
    [error] = errors(load_in, project, text)
    assert said in error


def test_trivet_config_shows_what_an_app_has_of_its_own(two: Loaded) -> None:
    lines = {line.path: (line.value, line.origin) for line in explained(two)}
    assert lines["app.shop.workers"] == ("4", "trivet.toml:14")
    assert "app.blog.workers" not in lines
    assert value_of(two, "app.blog.workers") == "2"


def test_each_key_of_a_table_is_one_option() -> None:
    keys = [each.option.in_app for each in definitions(Settings) if each.option.in_app]
    assert len(keys) == len(set(keys)) == len(app_keys(Settings))


def test_a_table_can_set_nothing_that_belongs_to_the_edge() -> None:
    edge_only = {"server.bind", "server.edge_threads", "limits.connections", "log.format"}
    assert edge_only.isdisjoint(each.path for each in app_keys(Settings).values())
    assert not any(each.default is msgspec.NODEFAULT for each in app_keys(Settings).values())
