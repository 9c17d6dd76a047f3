from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from trivet.config import Loaded, to_edge_config
from trivet.errors import ConfigError
from trivet.wire.edge_config import Access, AddressList, EdgeConfig

Load = Callable[..., Loaded]


def made(load_in: Load, project: Path, text: str) -> EdgeConfig:
    (project / "trivet.toml").write_text(text)
    settings = load_in().settings
    return to_edge_config(settings, [], apps=[("app:app", settings)])


def problems(load_in: Load, project: Path, text: str) -> list[str]:
    (project / "trivet.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_in()
    return [f"{each.place}: {each}" for each in caught.value.problems or (caught.value,)]


def test_lists_get_numbers_the_named_ones_first(load_in: Load, project: Path) -> None:
    (project / "bad.txt").write_text("192.0.2.1\n")
    config = made(
        load_in,
        project,
        '[list.bad]\nfile = "bad.txt"\n[list.office]\nnetworks = ["10.0.0.0/8", "unix"]\n'
        '[access]\ndeny = ["bad"]\n'
        '[[route]]\nclient = ["192.0.2.7", "office", "::1"]\nstatus = 404\n'
        '[[route]]\npath = "/a"\nallow = ["::1", "192.0.2.7"]\ndeny = []\n'
        '[[route]]\npath = "/b"\nallow = []\n',
    )
    assert config.lists == (
        AddressList(name="bad", networks=(), file=str(project / "bad.txt")),
        AddressList(name="office", networks=("10.0.0.0/8", "unix"), file=None),
        AddressList(name="192.0.2.7, ::1", networks=("192.0.2.7", "::1"), file=None),
    )
    assert config.access == Access(allow=None, deny=(0,))
    first, second, third = config.routes
    assert (first.requests.clients, first.policy.allow, first.policy.deny) == ((1, 2), None, None)
    assert (second.policy.allow, second.policy.deny) == ((2,), ())
    assert third.policy.allow == ()


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ('[list.a]\nnetworks = ["10.0.0.0/33"]', ":2", "neither an address, nor a network"),
        ('[list.a]\nnetworks = ["10.0.0.1/8"]', ":2", "`10.0.0.0/8` is the network"),
        ("[list.a]\n", ":1", "`list.a` has no addresses"),
        ('[list.unix]\nnetworks = ["10.0.0.1"]', ":1", "has the name of the addresses `unix`"),
        ('[list.a]\nfile = "nowhere.txt"', ":2", "cannot be used: nowhere.txt: no such file"),
        ('[list.a]\nfile = "."', ":2", "it is no regular file"),
        ('[list.a]\nfile = "broken.txt"', "broken.txt:3", "`nonsense` is neither"),
        ('[list.a]\nnetworks = "::1"\nnetwork = "::1"', ":3", "unknown option `list.network`"),
        ('[access]\nallow = ["offce"]\n[list.office]\nnetworks = "::1"', ":2", "`offce`"),
        ('[access]\ndeny = ["300.0.0.1"]', ":2", "has `300.0.0.1`"),
        ('[[route]]\nstatus = 404\nclient = ["10.0.0.0/99"]', ":3", "has `10.0.0.0/99`"),
        ('[[route]]\nallow = ["b"]', ":2", "names no list: `b`"),
        ('[[route]]\ndeny = ["2001:db8::1/32"]', ":2", "`2001:db8::/32` is the network"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(
    load_in: Load, project: Path, text: str, place: str, part: str
) -> None:
    (project / "broken.txt").write_text("10.0.0.0/8\n# more\nnonsense\n")
    (told,) = problems(load_in, project, text)
    assert place in told
    assert part in told


def test_a_route_behind_one_for_other_clients_is_reached(load_in: Load, project: Path) -> None:
    office = '[list.office]\nnetworks = "10.0.0.0/8"\n'
    inside = '[[route]]\npath = "/a"\nclient = "office"\napp = true\n'
    config = made(load_in, project, office + inside + '[[route]]\npath = "/a"\nstatus = 404\n')
    assert len(config.routes) == 2
    told = problems(load_in, project, office + inside + inside)
    assert "route 2 (/a) is never reached" in told[0]
