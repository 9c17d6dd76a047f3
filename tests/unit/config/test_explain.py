from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from trivet.config import Loaded
from trivet.config.explain import Change, changes, explained, sources, value_of
from trivet.errors import ConfigError

Load = Callable[..., Loaded]


def test_each_line_is_an_option_its_value_and_its_origin(load_in: Load, project: Path) -> None:
    text = '[env]\nA = "b"\n[[route]]\npath = "/a"\nrequest_buffering = false\n'
    (project / "trivet.toml").write_text(text)
    lines = {each.path: (each.value, each.origin) for each in explained(load_in())}
    assert lines["server.workers"] == ("2", "default (2 CPUs usable)")
    assert lines["server.bind"][0] == '["127.0.0.1:8000"]'
    assert lines["app"] == ("none", "default")
    assert lines["log.access"][0] == "true"
    assert lines["env"] == ('{ A = "b" }', "trivet.toml:1")
    assert lines["route"] == ('[{ path = "/a", request_buffering = false }]', "trivet.toml:3")


def test_one_value_can_be_asked_for(load_in: Load) -> None:
    assert value_of(load_in(), "timeouts.keep_alive") == '"95s"'


def test_asking_for_an_unknown_option_gets_the_nearest(load_in: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        value_of(load_in(), "timeout.keepalive")
    assert caught.value.hint == "did you mean `timeouts.keep_alive`?"


def test_sources_list_what_was_read_and_what_it_decided(load_in: Load, project: Path) -> None:
    (project / "trivet.toml").write_text("[server]\nthreads = 2\n")
    loaded = load_in({}, {"TRIVET_WORKERS": "3"})
    assert sources(loaded) == (
        f"file: {project / 'trivet.toml'}",
        "TRIVET_WORKERS: server.workers",
        "trivet.toml:2: server.threads",
    )
    assert sources(load_in(cwd=project.parent)) == ("file: none found",)


def test_a_reload_sees_what_changed_and_what_it_needs(load_in: Load) -> None:
    before = load_in().settings
    after = load_in({"server.threads": "2", "server.backlog": "9"}).settings
    assert changes(before, after) == (
        Change("server.threads", "40", "2", "reload"),
        Change("server.backlog", "4096", "9", "restart"),
    )
