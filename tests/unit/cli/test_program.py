from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from trivet.cli import main
from trivet.config.discovery import Discovered
from trivet.config.loaded import ConfiguredApp, Loaded

FLASK = "from flask import Flask\napp = Flask(__name__)\n"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, in a folder of its own, outside of any container."""
    for name in ("PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "FLASK_APP", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trivet.config.source.platform.container_mark", lambda *_: "")

    def run_here(*arguments: str) -> Result:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        out, err = capsys.readouterr()
        return Result(int(caught.value.code or 0), out, err)

    return run_here


@dataclass
class Served:
    loaded: Loaded
    app: Discovered


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Served]:
    """What the supervisor was asked to run; it answers with exit code 7."""
    calls: list[Served] = []

    class Supervisor:
        @staticmethod
        def run(loaded: Loaded, apps: list[Discovered], *, again: Callable[[], Loaded]) -> int:
            [app] = apps
            assert again().settings == loaded.settings
            calls.append(Served(loaded, app))
            return 7

    import trivet  # noqa: PLC0415 - patched

    monkeypatch.setattr(trivet, "supervisor", Supervisor, raising=False)
    return calls


def test_serve_gives_settings_and_app_to_the_supervisor_and_exits_with_its_code(
    run: Run, served: list[Served], tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(FLASK)
    result = run("serve", "shop:app", "-b", ":1", "--bind", ":2", "-w", "3")
    assert (result.code, result.err) == (7, "")
    assert [str(each) for each in served[0].loaded.settings.server.bind] == [":1", ":2"]
    assert served[0].loaded.settings.server.workers == 3
    assert served[0].app.target == "shop:app"


def test_run_is_another_name_of_serve(run: Run, served: list[Served], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FLASK)
    assert run("run").code == 7
    assert served[0].app.target == "app:app"


@pytest.mark.parametrize(
    ("arguments", "path", "value"),
    [
        (["--host", "0.0.0.0"], "server.host", "0.0.0.0"),
        (["-p", "9"], "server.port", 9),
        (["--port=9"], "server.port", 9),
        (["-w", "auto"], "server.workers", None),
        (["--threads", "2"], "server.threads", 2),
        (["--blocking-threads", "2"], "server.threads", 2),
        (["--factory"], "factory", True),
        (["--reload"], "reload.enabled", True),
        (["--graceful-timeout", "5"], "server.graceful_timeout", "5s"),
        (["--timeout-graceful-shutdown", "5"], "server.graceful_timeout", "5s"),
        (["--keep-alive", "2m"], "timeouts.keep_alive", "2m"),
        (["--root-path", "/shop"], "server.root_path", "/shop"),
        (["--forwarded-allow-ips", "10.0.0.1,unix"], "proxy.trusted", ("10.0.0.1", "unix")),
        (["--no-access-log"], "log.access", False),
        (["--access-log"], "log.access", True),
        (["--log-level", "debug"], "log.level", "debug"),
        (["--log-format", "logfmt"], "log.format", "logfmt"),
        (["--backlog", "7"], "server.backlog", 7),
        (["-e", "A=1", "--env", "B=2"], "env", {"A": "1", "B": "2"}),
        (["--interface", "wsgi"], "interface", "wsgi"),
    ],
)
def test_each_habit_from_other_servers_sets_its_option(
    run: Run, served: list[Served], tmp_path: Path, arguments: list[str], path: str, value: object
) -> None:
    (tmp_path / "app.py").write_text(FLASK)
    assert run("serve", *arguments).code == 7
    found: object = served[0].loaded.settings
    for name in path.split("."):
        found = getattr(found, name)
    assert value is None or found == value or str(found) == value


def test_a_file_can_be_named(run: Run, served: list[Served], tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[server]\nthreads = 3\n")
    (tmp_path / "app.py").write_text(FLASK)
    run("serve", "-c", "other.toml")
    assert served[0].loaded.settings.server.threads == 3


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["serv"], "no such command `serv`", "did you mean `trivet serve`?"),
        (["app:app"], "no such command `app:app`", "trivet serve app:app"),
        (["xyzzy"], "no such command `xyzzy`", "trivet --help lists them"),
        (["--port", "1"], "no such option `--port`", "an option stands behind its command"),
        (["serve", "--worker", "2"], "no such option `--worker`", "did you mean `--workers`?"),
        (["serve", "--xyzzy"], "no such option `--xyzzy`", "trivet serve --help lists them"),
        (
            ["serve", "-h", "0.0.0.0"],
            "`-h` is the help, not the host",
            "trivet serve --host 0.0.0.0",
        ),
        (["serve", "-h0.0.0.0"], "`-h` is the help, not the host", "trivet serve --host 0.0.0.0"),
        (["serve", "-h", "::1"], "`-h` is the help, not the host", "use `--bind`"),
        (["serve", "-p", "x.pid"], "`-p` is the port, not a pid file", "for a port: `-p 8000`"),
        (["serve", "--uds", "x"], "no such option `--uds`", "use `--bind unix:PATH`"),
        (["serve", "--workers"], "option `--workers` requires an argument", "trivet serve --help"),
        (["serve", "a", "b"], "got unexpected extra argument", "trivet serve --help"),
        (["serve", "--threads", "x"], "`--threads` must be a whole number", "write 4"),
        (["config", "sho"], "`trivet config` has no `sho`", "did you mean `trivet config show`?"),
        (["config", "get"], "`trivet config get` takes the name", "trivet config get server.bind"),
        (["config", "get", "server.bnd"], "unknown option `server.bnd`", "`server.bind`?"),
    ],
)
def test_a_mistake_on_the_command_line_is_answered_and_exits_with_2(
    run: Run, arguments: list[str], message: str, hint: str
) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert message in result.err.splitlines()[0]
    assert hint in result.err.splitlines()[-1]


def test_help_is_help_even_with_an_app_behind_it(run: Run) -> None:
    result = run("serve", "-h", "app:app")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("Usage: trivet serve")


def test_what_stands_behind_two_dashes_is_no_option(run: Run, served: list[Served]) -> None:
    assert "`-p`" not in run("serve", "--", "-p", "x").err
    assert served == []


def test_a_worker_class_is_accepted_with_a_note(
    run: Run, served: list[Served], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(FLASK)
    result = run("serve", "-k", "gthread")
    assert (result.code, len(served)) == (7, 1)
    assert result.err.startswith("note[usage.foreign_option]: ignored `--worker-class gthread`")


def test_a_missing_app_exits_with_3(run: Run, served: list[Served]) -> None:
    result = run("serve", "nope:app")
    assert (result.code, served) == (3, [])
    assert result.err.startswith("error[app.no_module]: no module `nope`")


def test_no_colours_go_into_a_pipe_unless_they_are_asked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b" not in run("serv").err
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;31merror" in run("serv").err


def test_notices_come_before_anything_starts(
    run: Run, served: list[Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.py").write_text(FLASK)
    monkeypatch.setenv("TRIVET_PORT", "tcp://10.3.0.9:80")
    assert run("serve").err.startswith("note[config.kubernetes_link]: ignored TRIVET_PORT=tcp://")
    assert len(served) == 1


def test_print_config_shows_and_starts_nothing(run: Run, served: list[Served]) -> None:
    result = run("serve", "--print-config", "--threads", "5")
    assert (result.code, served) == (0, [])
    line = next(each for each in result.out.splitlines() if each.startswith("server.threads"))
    assert line.split() == ["server.threads", "=", "5", "#", "flag", "--threads"]


def test_config_shows_each_option_with_its_origin(run: Run, tmp_path: Path) -> None:
    (tmp_path / "trivet.toml").write_text("[server]\nthreads = 2\n")
    lines = run("config").out.splitlines()
    assert any(each.split("#")[1:] == [" trivet.toml:2"] for each in lines)


def test_config_get_prints_one_value(run: Run) -> None:
    assert run("config", "get", "timeouts.keep_alive").out == '"95s"\n'


def test_config_sources_tells_what_was_read(run: Run) -> None:
    assert run("config", "sources", "--threads", "2").out == (
        "file: none found\nflag --threads: server.threads\n"
    )


def test_config_schema_is_json(run: Run) -> None:
    assert run("config", "schema").out.startswith('{\n  "$schema"')


def test_version_names_trivet_python_and_the_platform(run: Run) -> None:
    out = run("--version").out
    assert out.startswith("Trivet ")
    assert f"(Python {sys.version_info.major}.{sys.version_info.minor}." in out
    assert "Linux" in out


def test_no_command_lists_the_commands(run: Run) -> None:
    result = run()
    assert result.code == 0
    for name in ("serve", "check", "config"):
        assert f"\n  {name} " in result.out


def test_ctrl_c_ends_quietly(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trivet.cli.program.program.main", interrupted)
    assert run("config") == Result(130, "", "")


@pytest.mark.parametrize("check", [["check"], ["serve", "--check-config"]])
def test_check_loads_the_app_and_says_what_it_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: list[str]
) -> None:
    (tmp_path / "app.py").write_text(FLASK)

    class Report:
        interface, framework, seconds = "wsgi", "Flask 3.1.3", 0.214

    class Check:
        @staticmethod
        def check_app(_configured: ConfiguredApp, _app: Discovered) -> type[Report]:
            return Report

    monkeypatch.setitem(sys.modules, "trivet.supervisor.check", Check)
    monkeypatch.setitem(sys.modules, "trivet.supervisor", Check)
    assert run(*check) == Result(
        0,
        "configuration  no file: no errors\n"
        "app            app:app: loaded in 0.21 s (Flask 3.1.3, WSGI)\n",
        "",
    )


def imported_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("command", ["edge", "worker"])
def test_edge_and_workers_load_neither_click_nor_the_configuration(command: str) -> None:
    code = (
        "import types\n"
        "for name in ('trivet._trivet', 'trivet.worker', 'trivet.worker.process'):\n"
        "    sys.modules[name] = module = types.ModuleType(name)\n"
        "    module.main = lambda arguments: 5\n"
        "    module.run_edge = lambda descriptor: descriptor\n"
        "import trivet\n"
        "trivet._trivet = sys.modules['trivet._trivet']\n"
        "from trivet.cli import main\n"
        "try:\n"
        f"    main(['{command}', '--control-fd', '5'])\n"
        "except SystemExit as done:\n"
        "    assert done.code == 5, done.code\n"
    )
    assert not {"click", "msgspec", "trivet.config"} & imported_by(code)


def test_both_ways_in_are_the_same(tmp_path: Path) -> None:
    def environ() -> Mapping[str, str]:
        return {"PYTHONPATH": ":".join(sys.path), "PATH": ""}

    done = subprocess.run(
        [sys.executable, "-m", "trivet", "config", "get", "log.level"],
        check=True, capture_output=True, text=True, cwd=tmp_path, env=environ(),
    )  # fmt: skip
    assert done.stdout == '"info"\n'
