"""What a reload takes of another load, and what it leaves for a new start."""

from collections.abc import Callable
from pathlib import Path

import pytest
from trivet.config import Loaded, load
from trivet.config.option import definitions
from trivet.config.renewal import renewed
from trivet.config.settings import Settings

Read = Callable[[str], Loaded]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Load a `trivet.toml`."""

    def read(text: str) -> Loaded:
        (tmp_path / "trivet.toml").write_text(text)
        return load({}, {}, tmp_path)

    return read


def test_what_workers_are_started_from_is_taken(read: Read) -> None:
    before = read("[env]\nA = '1'\n[server]\nworkers = 2")
    after = read("[env]\nA = '2'\n[server]\nworkers = 3\nthreads = 7")
    renewal = renewed(before, after)
    assert (renewal.changed, renewal.pending) == (("env", "server.workers", "server.threads"), ())
    assert renewal.loaded.settings == after.settings
    assert [app.settings for app in renewal.loaded.apps] == [after.settings]


def test_what_belongs_to_sockets_and_threads_stays_and_is_named(read: Read) -> None:
    before = read("[server]\nport = 8001")
    after = read(
        "[server]\nport = 8002\nthreads = 7\nedge_threads = 2\n"
        "[limits]\nqueue = 9\n[[route]]\npath = '/a'"
    )
    renewal = renewed(before, after)
    assert renewal.changed == ("server.threads", "limits.queue", "route")
    assert renewal.pending == ("server.port", "server.edge_threads")
    mixed = renewal.loaded.settings
    assert (mixed.server.port, mixed.server.bind) == (8001, before.settings.server.bind)
    assert (mixed.limits.queue, mixed.route[0].path, mixed.server.threads) == (9, "/a", 7)
    assert renewed(renewal.loaded, after).pending == renewal.pending
    assert renewed(renewal.loaded, before).pending == ()


def test_apps_that_come_or_go_are_named_and_the_others_renewed(read: Read) -> None:
    shop = "[app.shop]\ntarget = 'shop:app'\npath = '/shop'\n"
    blog = "[app.blog]\ntarget = 'blog:app'\npath = '/blog'\nworkers = 1\n"
    news = "[app.news]\ntarget = 'news:app'\npath = '/news'\n"
    renewal = renewed(read(shop + blog), read(blog.replace("1", "2").replace("/b", "/c") + news))
    assert renewal.changed == ("app.blog.workers", "app.blog.path")
    assert renewal.pending == ("[app.shop]", "[app.news]")
    apps = renewal.loaded.apps
    assert [app.name for app in apps] == ["shop", "blog"]
    assert [app.settings.server.root_path for app in apps] == ["/shop", "/clog"]
    assert apps[1].settings.server.workers == 2


def test_a_task_takes_what_its_next_process_is_started_from(read: Read) -> None:
    before = read("[task.jobs]\ncommand = 'true'\n[task.old]\ncommand = 'true'")
    after = read(
        "env = { A = '1' }\n[task.jobs]\ncommand = 'false'\nevery = '9s'\n"
        "[task.new]\ncommand = 'true'"
    )
    renewal = renewed(before, after)
    assert renewal.changed == ("env", "task.jobs.command")
    assert renewal.pending == ("[task.old]", "[task.new]", "task.jobs.every")
    jobs, old = renewal.loaded.tasks
    assert (jobs.task.every, jobs.task.env, old.name) == (None, {"A": "1"}, "old")
    assert jobs.task.command == after.tasks[0].task.command


def test_an_environment_file_that_has_changed_is_seen(read: Read, tmp_path: Path) -> None:
    (tmp_path / "app.env").write_text("A=1\n")
    before = read("env_file = ['app.env']")
    (tmp_path / "app.env").write_text("A=2\n")
    renewal = renewed(before, read("env_file = ['app.env']"))
    assert (renewal.changed, renewal.pending) == (("env",), ())
    assert renewal.loaded.settings.env == {"A": "2"}


def test_the_same_again_changes_nothing(read: Read) -> None:
    text = "[app.shop]\ntarget = 'shop:app'\nenv = { A = '1' }\n[task.jobs]\ncommand = 'true'"
    before = read(text)
    renewal = renewed(before, read(text))
    assert (renewal.changed, renewal.pending) == ((), ())
    assert (renewal.loaded.apps, renewal.loaded.tasks) == (before.apps, before.tasks)


def test_what_needs_a_new_start_belongs_to_sockets_processes_and_the_supervisor() -> None:
    """All else that goes into the edge's document follows a reload."""
    restart = [each.path for each in definitions(Settings) if each.option.applies == "restart"]
    assert restart == [
        "server.bind",
        "server.host",
        "server.port",
        "server.edge_threads",
        "server.backlog",
        "server.user",
        "server.group",
        "server.umask",
        "server.pidfile",
        "control.socket",
        "incidents.keep",
        "incidents.memory",
        "incidents.directory",
        "task",
        "task.restart",
        "task.every",
        "task.app",
    ]


def test_whether_there_are_apps_at_all_needs_a_new_start(read: Read) -> None:
    folder = "[[static]]\npath = '/'\nfolder = '.'\n"
    with_app, without = read(f"app = 'a:b'\n{folder}"), read(f"app = 'none'\n{folder}")
    for before, after in ((with_app, without), (without, with_app)):
        renewal = renewed(before, after)
        assert (renewal.changed, renewal.pending) == ((), ("app",))
        assert len(renewal.loaded.apps) == len(before.apps)
