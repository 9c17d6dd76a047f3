"""A stand without an app: `trivet files`, `trivet serve FOLDER`, and `--static` beside an app."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.program import Project
from tests.e2e.stand import Stand, start
from tests.waiting import wait_until

APP = """
def app(environ, start_response):
    body = b"the app"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "7")])
    return [body]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of files."""
    folder = tmp_path / "site"
    (folder / "list").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>the page</h1>")
    (folder / "style.css").write_text("a {}")
    (folder / ".env").write_text("SECRET=1")
    (folder / "list" / "one.txt").write_text("1")
    return folder


@contextmanager
def held(*arguments: str, cwd: Path, verb: str = "files", **options: Any) -> Iterator[Stand]:
    stand = start(*arguments, cwd=cwd, verb=verb, **options)
    try:
        yield stand
        assert stand.stop() == 0, stand.describe()
    finally:
        stand.kill()


def status_of(stand: Stand, folder: Path) -> Any:
    told = Project(folder).run("status", "--json", "--pid", str(stand.process.pid))
    return json.loads(told.out)


def test_a_folder_is_served_without_workers(site: Path) -> None:
    with held("site", cwd=site.parent) as stand:
        page = stand.get("/")
        assert (page.status, page.text) == (200, "<h1>the page</h1>")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert stand.get("/style.css").headers["content-type"] == "text/css; charset=utf-8"
        assert [stand.get(path).status for path in ("/.env", "/nothing", "/list/")] == [404] * 3
        assert stand.children("worker") == []
        assert len(stand.children("edge")) == 1
        assert f"files    / from {site}" in stand.err.text()


def test_the_folder_that_one_is_in_needs_no_name(site: Path) -> None:
    with held(cwd=site) as stand:
        assert stand.get("/style.css").status == 200


def test_the_options_of_a_folder_are_flags(site: Path) -> None:
    options = ("--listing", "--spa", "--cache-control", "max-age=60")
    with held("site", *options, cwd=site.parent) as stand:
        assert "one.txt" in stand.get("/list/").text
        moved = stand.get("/some/page/of/the/app")
        assert (moved.status, moved.text) == (200, "<h1>the page</h1>")
        assert stand.get("/style.css").headers["cache-control"] == "max-age=60"


def test_a_file_of_settings_counts_only_where_it_is_named(site: Path) -> None:
    (site.parent / "trivet.toml").write_text('[[route]]\npath = "/gone"\nstatus = 410\n')
    with held("site", cwd=site.parent) as stand:
        assert stand.get("/gone").status == 404
    with held("site", "-c", "trivet.toml", cwd=site.parent) as stand:
        assert [stand.get(path).status for path in ("/gone", "/")] == [410, 200]


def test_a_named_folder_without_an_app_is_served_and_said_why(site: Path) -> None:
    with held("./site", cwd=site.parent, verb="serve") as stand:
        assert stand.get("/").text == "<h1>the page</h1>"
        assert "no app in it, but an index.html" in stand.err.text()


def test_a_folder_is_not_served_unasked(site: Path) -> None:
    ended = Project(site).run("serve")
    assert ended.code == 3
    assert ended.said[0].startswith("error[app.not_found]: no app found in")
    assert ended.said[-1] == "  hint: `trivet files` serves the files of this folder"
    without_page = Project(site.parent).run("serve", "site/list")
    assert without_page.code == 3


def test_a_folder_with_an_app_is_that_app(site: Path) -> None:
    (site / "app.py").write_text(APP)
    with held("./site", cwd=site.parent, verb="serve") as stand:
        assert stand.get("/").text == "the app"


def test_what_is_wrong_with_a_folder_is_told_with_its_name(site: Path) -> None:
    project = Project(site.parent)
    for arguments, text in (
        (["nowhere"], "`FOLDER` names no folder: `nowhere`"),
        (["site/style.css"], "`FOLDER` names no folder: `site/style.css`"),
        (["site", "--static", "/x"], "`--static` must be `PATH=FOLDER`, not `/x`"),
        (["site", "--cache-control", "a\nb"], "`--cache-control` has"),
    ):
        ended = project.run("files", *arguments)
        assert ended.code == 2
        assert text in ended.err


def test_commands_know_a_stand_without_an_app(site: Path) -> None:
    (site.parent / "ready.toml").write_text('[health]\nlive = "/livez"\nready = "/readyz"\n')
    with held("site", "-c", "ready.toml", cwd=site.parent) as stand:
        assert [stand.get(path).status for path in ("/livez", "/readyz")] == [200, 200]
        told = status_of(stand, site.parent)
        assert (told["state"], told["apps"], told["workers"]) == ("serving", [], [])
        project, which = Project(site.parent), ("--pid", str(stand.process.pid))
        assert "app      none: the edge answers alone" in project.run("status", *which).out
        assert project.run("healthcheck", *which).code == 0
        scaled = project.run("scale", "2", *which)
        assert (scaled.code, "the stand has no app" in scaled.err) == (1, True)
        reloaded = project.run("reload", *which)
        assert reloaded.code == 0
        assert "reloaded, the edge goes by the configuration as it is" in reloaded.out


def test_a_reload_takes_the_folders_of_the_file(site: Path) -> None:
    config = site.parent / "trivet.toml"
    row = f'[[static]]\npath = "/%s"\nfolder = "{site}"\n'
    config.write_text('app = "none"\n' + row % "a")
    with held(cwd=site.parent, verb="serve") as stand:
        assert [stand.get(f"/{path}/style.css").status for path in "ab"] == [200, 404]
        config.write_text('app = "none"\n' + row % "b")
        stand.signal(signal.SIGHUP)
        wait_until(lambda: stand.get("/b/style.css").status == 200, stand.describe)
        assert stand.get("/a/style.css").status == 404


def test_an_edge_that_dies_is_started_again(site: Path) -> None:
    with held("site", cwd=site.parent) as stand:
        (edge,) = stand.children("edge")
        os.kill(edge, signal.SIGKILL)
        wait_until(lambda: stand.children("edge") not in ([], [edge]), stand.describe)
        stand.wait_for_text("the edge is back")
        assert stand.get("/").status == 200


def test_flags_add_folders_to_an_app(serve: Serve, site: Path) -> None:
    stand = serve(APP, "--workers", "1", "--static", f"/static={site}")
    assert stand.get("/static/style.css").text == "a {}"
    assert stand.get("/").text == "the app"
