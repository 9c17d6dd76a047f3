import json
import platform
import re
from dataclasses import replace

import trivet
from trivet.errors import AppLoadError
from trivet.supervisor.screen import AppLine, Screen, Voice
from trivet.wire.worker_control import Loaded

LOADED = Loaded(interface="wsgi", framework="Flask 3.1.3", seconds=0.2)
APP = AppLine(
    name="",
    target="app:app",
    because="found in app.py",
    mount="",
    workers=2,
    threads=40,
    workers_because="2 CPUs usable",
)
SCREEN = Screen(
    apps=[APP],
    serving=[("http://127.0.0.1:8000", "this machine only")],
    watching="",
    stop="Ctrl-C stops",
)
PLAIN = Voice(json=False, colour=False)
COLOURED = Voice(json=False, colour=True)
JSON = Voice(json=True, colour=False)


def test_the_screen_tells_each_value_with_its_reason() -> None:
    python = platform.python_version()
    assert PLAIN.screen(SCREEN, [LOADED], 0.384) == (
        f"Trivet {trivet.__version__}  Python {python}  Flask 3.1.3\n"
        "\n"
        "  app      app:app                found in app.py (WSGI)\n"
        "  serving  http://127.0.0.1:8000  this machine only\n"
        "  workers  2 x up to 40 threads   2 CPUs usable\n"
        "  ready in 0.38 s                 Ctrl-C stops, SIGHUP reloads\n"
        "\n"
    )


def test_the_screen_has_at_most_ten_lines() -> None:
    serving = [(f"http://127.0.0.1:{port}", "") for port in range(8000, 8030)]
    text = PLAIN.screen(
        Screen(
            apps=[replace(APP, because="", workers=1, threads=1, workers_because="")],
            serving=serving,
            watching="/srv/shop",
            stop="",
        ),
        [LOADED],
        1,
    )
    assert "and 27 more" in text
    assert "1 x 1 thread\n" in text
    assert len(text.rstrip("\n").splitlines()) == 10


def test_several_apps_have_a_line_each_with_their_paths() -> None:
    apps = [
        replace(APP, name="shop", target="shop:app", mount="/shop"),
        replace(APP, name="blog", target="blog:app", workers=1),
    ]
    asgi = Loaded(interface="asgi", framework="FastAPI 0.128", seconds=0.1)
    text = PLAIN.screen(replace(SCREEN, apps=apps), [LOADED, asgi], 0.5)
    assert text.splitlines()[0].endswith("Flask 3.1.3  FastAPI 0.128")
    assert "  apps     /shop -> shop          shop:app (WSGI), 2 x up to 40 threads\n" in text
    assert "           / -> blog              blog:app (ASGI), 1 x 1 event loop\n" in text
    entry = json.loads(
        replace(JSON, json_from_start=True).screen(replace(SCREEN, apps=apps), [LOADED, asgi], 1)
    )
    assert [app["path"] for app in entry["apps"]] == ["/shop", ""]


def test_more_apps_than_fit_are_counted() -> None:
    apps = [replace(APP, name=f"a{number}", mount=f"/{number}") for number in range(9)]
    text = PLAIN.screen(replace(SCREEN, apps=apps), [LOADED] * 9, 1)
    assert "and 4 more" in text
    assert len(text.rstrip("\n").splitlines()) <= 10


def test_colours_are_only_for_terminals() -> None:
    assert "\x1b" not in PLAIN.screen(SCREEN, [LOADED], 1) + PLAIN.line("x", "error")
    assert "\x1b[31mx\x1b[0m" in COLOURED.line("x", "error")


def test_a_line_has_its_time() -> None:
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d  worker 1 is gone\n", PLAIN.line("worker 1 is gone", "info")
    )


def test_a_line_that_does_not_weigh_enough_is_left_out() -> None:
    quiet = Voice(json=False, colour=False, level="error")
    assert quiet.line("x", "warning") == ""
    assert quiet.line("x", "error") != ""


def test_in_json_a_line_is_an_object() -> None:
    entry = json.loads(JSON.line('say "ü"', "warning"))
    assert entry["level"] == "warning"
    assert entry["event"] == 'say "ü"'


def test_in_json_a_failure_is_one_object() -> None:
    text = JSON.failure(AppLoadError("boom", code="app.raised", detail="line 1\nline 2"))
    assert text.count("\n") == 1
    entry = json.loads(text)
    assert (entry["event"], entry["code"], entry["detail"]) == (
        "boom",
        "app.raised",
        "line 1\nline 2",
    )


def test_unasked_the_start_is_told_in_text() -> None:
    assert JSON.at_start() == PLAIN


def test_in_json_the_screen_is_an_object_where_that_was_asked_for() -> None:
    voice = Voice(json=True, colour=False, json_from_start=True).at_start()
    entry = json.loads(voice.screen(SCREEN, [LOADED], 0.3841))
    assert entry["event"] == "serving"
    assert entry["addresses"] == ["http://127.0.0.1:8000"]
    assert entry["seconds"] == 0.384


def test_a_stand_without_an_app_tells_its_folders() -> None:
    screen = Screen(
        apps=[],
        serving=[("http://127.0.0.1:8000", "")],
        watching="",
        stop="Ctrl-C stops",
        folders=[(f"/{name} from /srv/{name}", "trivet.toml:1") for name in "abcd"],
    )
    text = Voice(json=False, colour=False).screen(screen, [], 0.1)
    assert "  files    /a from /srv/a         trivet.toml:1\n" in text
    assert "           and 1 more\n" in text
    line = json.loads(Voice(json=True, colour=False).screen(screen, [], 0.1))
    assert line["files"] == [f"/{name} from /srv/{name}" for name in "abcd"]
    assert "app" not in line
