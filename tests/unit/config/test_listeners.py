from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from trivet.config import Loaded
from trivet.errors import ConfigError, render

Load = Callable[..., Loaded]


def addresses(loaded: Loaded) -> list[str]:
    return [str(each) for each in loaded.settings.server.bind]


def test_outside_of_a_container_only_this_machine_is_served(load_in: Load) -> None:
    loaded = load_in()
    assert addresses(loaded) == ["127.0.0.1:8000"]
    assert str(loaded.origins["server.bind"]) == (
        "default (this machine only; `--bind :8000` opens it to the network)"
    )


def test_in_a_container_its_network_is_served(load_in: Load) -> None:
    loaded = load_in(container="/.dockerenv")
    assert addresses(loaded) == ["0.0.0.0:8000"]
    assert str(loaded.origins["server.bind"]) == (
        "default (in a container, as /.dockerenv shows; its network must reach it)"
    )


@pytest.mark.parametrize(
    ("flags", "environ", "file", "decided"),
    [
        ({}, {"PORT": "5000"}, "", ("0.0.0.0:5000", "PORT")),
        ({}, {"PORT": "5000"}, 'bind = "127.0.0.1:80"', ("0.0.0.0:5000", "PORT")),
        ({"server.bind": (":9",)}, {"PORT": "5000"}, "", (":9", "flag --bind")),
        ({}, {"PORT": "5000", "TRIVET_BIND": ":9"}, "", (":9", "TRIVET_BIND")),
        ({}, {"PORT": "5000", "TRIVET_PORT": "9"}, "", ("0.0.0.0:9", "TRIVET_PORT")),
        ({"server.host": "127.0.0.1"}, {"PORT": "5000"}, "", ("127.0.0.1:5000", "flag --host")),
        ({"server.port": "9"}, {}, "", ("127.0.0.1:9", "flag --port")),
        ({"server.host": "::1"}, {}, "", ("[::1]:8000", "flag --host")),
        ({"server.host": "*"}, {}, "", (":8000", "flag --host")),
        ({"server.port": "9"}, {}, 'bind = "10.0.0.1:80"', ("10.0.0.1:9", "flag --port")),
        ({"server.port": "9"}, {}, 'host = "10.0.0.1"', ("10.0.0.1:9", "flag --port")),
        ({"server.port": "9"}, {}, 'bind = ["a:1", "b:2"]', ("127.0.0.1:9", "flag --port")),
        ({"server.bind": ("9",)}, {}, "", ("127.0.0.1:9", "flag --bind")),
        ({}, {}, "bind = 9", ("127.0.0.1:9", "trivet.toml:2")),
    ],
)
def test_the_highest_source_decides_and_lower_ones_fill_in(
    load_in: Load,
    project: Path,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    file: str,
    decided: tuple[str, str],
) -> None:
    (project / "trivet.toml").write_text(f"[server]\n{file}\n")
    loaded = load_in(flags, environ)
    assert (*addresses(loaded), loaded.origins["server.bind"].text) == decided


def test_port_says_that_it_beats_the_file(load_in: Load, project: Path) -> None:
    (project / "trivet.toml").write_text('[server]\nbind = "127.0.0.1:80"\n')
    (notice,) = load_in({}, {"PORT": "5000"}).notices
    assert render(notice).startswith(
        "note[config.platform_port]: `PORT` decides where to listen, not `server.bind`\n"
        "  --> trivet.toml:2:1"
    )


def test_a_port_that_is_none_is_refused(load_in: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load_in({}, {"PORT": "80o0"})
    assert render(caught.value) == (
        "error[config.bad_value]: `PORT` must be a port number (1-65535), not `80o0`"
    )


def test_a_bare_port_in_a_container_is_for_its_network(load_in: Load) -> None:
    loaded = load_in({"server.bind": ("9",)}, container="/.dockerenv")
    assert (addresses(loaded), loaded.notices) == (["0.0.0.0:9"], ())


def test_loopback_in_a_container_is_warned_of(load_in: Load) -> None:
    (notice,) = load_in({"server.bind": ("127.0.0.1:8000",)}, container="/.dockerenv").notices
    assert render(notice) == (
        "warning[config.loopback_in_container]: listening on 127.0.0.1 inside a container: "
        "`docker run -p` cannot reach it\n"
        "  hint: drop `--bind` (in a container Trivet listens on all interfaces), "
        "or use `0.0.0.0:8000`"
    )


def test_bind_and_port_of_one_source_contradict_each_other(load_in: Load, project: Path) -> None:
    (project / "trivet.toml").write_text('[server]\nport = 80\nbind = ":9"\n')
    with pytest.raises(ConfigError) as caught:
        load_in()
    assert str(caught.value) == (
        "`server.bind` and `server.port` both say where to listen (trivet.toml:3:1)"
    )


@pytest.mark.parametrize("host", ["0.0.0.0:80", "http://x", "a b"])
def test_a_host_that_is_more_than_a_host_is_refused(load_in: Load, host: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_in({"server.host": host})
    assert caught.value.message == f"`--host` must be a host name or address, not `{host}`"
    assert caught.value.hint == "an address with its port goes to `--bind`"
