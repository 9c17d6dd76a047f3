from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from trivet.config import Loaded
from trivet.config.access_lists import AccessLists
from trivet.config.routing import routes
from trivet.errors import ConfigError
from trivet.wire import edge_config

Load = Callable[..., Loaded]


def listed(load_in: Load, project: Path, text: str) -> list[edge_config.Route]:
    (project / "trivet.toml").write_text(text)
    settings = load_in().settings
    return list(routes(settings, AccessLists(settings)))


def problems(load_in: Load, project: Path, text: str) -> list[str]:
    (project / "trivet.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_in()
    return [f"{each.place}: {each}" for each in caught.value.problems or (caught.value,)]


def test_sites_come_first_and_folders_last_the_longest_path_before(
    load_in: Load, project: Path
) -> None:
    found = listed(
        load_in,
        project,
        '[[static]]\npath = "/"\nfolder = "."\n'
        '[[static]]\npath = "/static"\nfolder = "."\n'
        '[[route]]\npath = "/a"\napp = true\n'
        '[[site]]\nhost = ["a.example"]\nwww = "add"\n',
    )
    assert [route.name for route in found] == [
        "site 1 (www)",
        "route 1 (/a)",
        "static 2 (/static/) (slash)",
        "static 2 (/static/)",
        "static 1 (/)",
    ]


def test_a_folder_below_a_path_becomes_a_prefix(load_in: Load, project: Path) -> None:
    text = '[[static]]\npath = "/static"\nfolder = "."\n[static.cache_control]\n"*.js" = "no-cache"'
    slash, files = listed(load_in, project, text)
    assert slash.action == edge_config.Redirect(status=308, location="/static/{?query}")
    assert files.requests.path == edge_config.PathPattern(is_regex=False, text="/static/*")
    assert isinstance(files.action, edge_config.Files)
    assert (files.action.folder, files.action.prefix) == (str(project), "/static/")
    rule = edge_config.NamedValue(name="*.js", value="no-cache")
    assert files.action.cache_control == (rule,)


@pytest.mark.parametrize(
    ("lines", "action"),
    [
        ("app = true", edge_config.ToApp()),
        ('redirect = "/b"', edge_config.Redirect(status=308, location="/b")),
        ('redirect = "/b"\nstatus = 302', edge_config.Redirect(status=302, location="/b")),
        ('rewrite = "/b"', edge_config.Rewrite(path="/b")),
        (
            'respond = "x"',
            edge_config.Respond(status=200, content_type="text/plain; charset=utf-8", content="x"),
        ),
        (
            "status = 410",
            edge_config.Respond(status=410, content_type="text/plain; charset=utf-8", content=None),
        ),
        ('timeout = "1s"', None),
    ],
)
def test_an_answer_is_one_of_these(
    load_in: Load, project: Path, lines: str, action: object
) -> None:
    (found,) = listed(load_in, project, f'[[route]]\npath = "/a"\n{lines}\n')
    assert found.action == action


@pytest.mark.parametrize(
    ("table", "line", "part"),
    [
        ('[[route]]\npath = "/a/{b"\n', 2, "`route.path` has `/a/{b`"),
        ('[[route]]\npath = "/a*b"\n', 2, "`*` is not at the end"),
        ('[[route]]\nregex = "("\n', 2, "`route.regex` is no regular expression: `(`"),
        ('[[route]]\nregex = "(?=a)"\n', 2, "look-around"),
        ('[[route]]\nregex = "/a"\npath = "/b"\n', 2, "contradicts `path`"),
        ('[[route]]\nhost = ["a.example:80"]\n', 2, "without a port"),
        ('[[route]]\nmethod = ["get"]\n', 2, "`route.method` has `get`"),
        ('[[route]]\nmethod = ["G T"]\n', 2, "which is no method"),
        ('[[route]]\nfield = { "X Y" = "1" }\n', 2, "no name of a field"),
        ('[[route]]\nquery = { a = "~(" }\n', 2, "no regular expression"),
        (
            '[[route]]\npath = "/{a}"\nredirect = "/{b}"\n',
            3,
            "names `{b}`, which the path does not",
        ),
        ('[[route]]\nredirect = "/a b"\n', 2, "a character that a URL or field does not hold"),
        ('[[route]]\nredirect = "/a"\nstatus = 200\n', 3, "must be one of 301, 302, 303, 307, 308"),
        ('[[route]]\nredirect = "/a"\nrewrite = "/b"\n', 3, "contradicts `route.redirect`"),
        ('[[route]]\nrewrite = "b"\n', 2, "must begin with `/`"),
        ("[[route]]\napp = true\nstatus = 404\n", 3, "`route.status` says nothing here"),
        ('[[route]]\npath = "/a"\ncontent_type = "a/b"\n', 3, "`route.content_type` says nothing"),
        (
            '[[route]]\nset_request_fields = { Host = "b" }\n',
            2,
            "`route.set_request_fields` has `Host`, which says whom the request is for",
        ),
        (
            '[[route]]\nadd_response_fields = { "Content-Length" = "0" }\n',
            2,
            "has `Content-Length`, which belongs to one connection",
        ),
        (
            '[[route]]\npath = "/a"\nremove_response_fields = ["A B"]\n',
            3,
            "has `A B`, which is no name of a field",
        ),
        (
            '[[route]]\nset_response_fields = { A = "x\\r\\nB: y" }\n',
            2,
            "a character that a URL or field does not hold",
        ),
        (
            '[[route]]\nset_response_fields = { A = "{b}" }\n',
            2,
            "`route.set_response_fields` names `{b}`",
        ),
        (
            '[[route]]\nset_response_fields = { A-B = "x" }\nremove_response_fields = ["a_b"]\n',
            3,
            "has `a_b`, as `set_response_fields` has",
        ),
        (
            '[[route]]\nset_request_fields = { X_User = "x" }\n',
            2,
            "cannot tell from the same name with `-`",
        ),
        ('[[site]]\nhost = ["*.a.example"]\nwww = "add"\n', 3, "cannot be told for `*.a.example`"),
        ('[[static]]\npath = "/a"\nfolder = "nowhere"\n', 3, "names no folder: `nowhere`"),
        (
            '[[static]]\npath = "/a"\nfolder = "."\ncache_control = { "a[b]" = "no-cache" }\n',
            4,
            "cannot be used: the pattern `a[b]` holds `[`",
        ),
        (
            '[[static]]\npath = "/a"\nfolder = "."\n\n[static.cache_control]\n"*" = "a\\u0000b"\n',
            5,
            "which is no value of a field",
        ),
        (
            '[[static]]\npath = "/a"\nfolder = "."\ncache_control = { "*" = "" }\n',
            4,
            "has `''` for `*`, which is no value of a field",
        ),
        (
            '[[static]]\npath = "/a"\nfolder = "."\ntypes = { wasm = "application" }\n',
            4,
            "cannot be used: `application` is not a media type like `text/html`",
        ),
        (
            '[[static]]\npath = "/a"\nfolder = "."\ntypes = { ".wasm" = "a/b" }\n',
            4,
            "cannot be used: `.wasm` is not a file extension like `html`",
        ),
        (
            '[[static]]\npath = "/a"\nfolder = "."\nindex = ["../x"]\n',
            4,
            "no name below the folder",
        ),
        (
            '[[static]]\npath = "/a"\nfolder = "."\n[[static]]\npath = "/a/"\nfolder = "."\n',
            5,
            "as that of an earlier folder",
        ),
        (
            '[[route]]\npath = "/a/*"\napp = true\n[[route]]\npath = "/a/b"\nstatus = 404\n',
            4,
            "route 2 (/a/b) is never reached: route 1 (/a/*) answers all its requests",
        ),
        (
            '[[route]]\npath = "/*"\napp = true\n[[static]]\npath = "/s/"\nfolder = "."\n',
            4,
            "static 1 (/s/) (slash) is never reached",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    load_in: Load, project: Path, table: str, line: int, part: str
) -> None:
    told = problems(load_in, project, table)
    assert [each for each in told if part in each and f"trivet.toml:{line}" in each], told


def test_changes_of_fields_are_listed(load_in: Load, project: Path) -> None:
    text = (
        '[[route]]\nset_request_fields = { X-A = "{path}" }\nadd_response_fields = { Link = "b" }\n'
        'remove_response_fields = ["Server"]\n'
    )
    (found,) = listed(load_in, project, text)
    assert found.policy.request_fields == (edge_config.SetField(name="X-A", value="{path}"),)
    assert found.policy.response_fields == (
        edge_config.AddField(name="Link", value="b"),
        edge_config.RemoveField(name="Server"),
    )


def test_a_route_without_an_answer_leaves_the_next_ones_their_requests(
    load_in: Load, project: Path
) -> None:
    text = '[[route]]\npath = "/*"\ntimeout = "5s"\n[[route]]\npath = "/a"\nstatus = 404\n'
    assert len(listed(load_in, project, text)) == 2
