from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trivet.config import Bind, Duration, Loaded, Platform, Settings, Size, load
from trivet.config.explain import explained
from trivet.config.option import definitions
from trivet.errors import ConfigError, render

Load = Callable[..., Loaded]


def write(project: Path, text: str, name: str = "trivet.toml") -> Path:
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text(text)
    return project / name


def problems_of(load_in: Load, *args: object, **kwargs: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_in(*args, **kwargs)
    return [f"{each.code}: {each}" for each in caught.value.problems]


def notices_of(loaded: Loaded) -> list[str]:
    return [f"{each.severity}[{each.code}] {each.message}" for each in loaded.notices]


# Precedence and origins


def test_without_anything_every_origin_is_the_default(load_in: Load) -> None:
    loaded = load_in()
    assert {origin.text for origin in loaded.origins.values()} == {"default"}
    assert loaded.file is None


_ROWS = ("list.", "route.", "site.", "static.", "task.")


def test_every_option_has_an_origin(load_in: Load) -> None:
    names = {each.path for each in definitions(Settings)}
    rows = {each for each in names if each.startswith(_ROWS)}
    assert set(load_in().origins) == names - rows


def test_the_default_folder_is_where_trivet_was_started(load_in: Load, project: Path) -> None:
    assert load_in().settings.chdir == project


def test_a_flag_beats_the_variable_which_beats_the_platform_which_beats_the_file(
    load_in: Load, project: Path
) -> None:
    write(project, "[server]\nworkers = 5\n")
    environ: dict[str, str] = {}
    seen = [load_in({}, environ)]
    environ["WEB_CONCURRENCY"] = "4"
    seen.append(load_in({}, environ))
    environ["TRIVET_WORKERS"] = "3"
    seen.append(load_in({}, environ))
    seen.append(load_in({"server.workers": "6"}, environ))
    assert [
        (each.settings.server.workers, each.origins["server.workers"].text) for each in seen
    ] == [
        (5, "trivet.toml:2"),
        (4, "WEB_CONCURRENCY"),
        (3, "TRIVET_WORKERS"),
        (6, "flag --workers"),
    ]


def test_an_empty_variable_is_as_good_as_none(load_in: Load) -> None:
    assert load_in({}, {"PORT": "", "TRIVET_WORKERS": ""}).settings.server.workers == 2


@pytest.mark.parametrize("value", [None, ()])
def test_a_flag_that_was_not_given_decides_nothing(load_in: Load, value: object) -> None:
    assert load_in({"server.bind": value}).origins["server.bind"].text == "default"


def test_pyproject_names_its_table_and_line(load_in: Load, project: Path) -> None:
    write(project, '[project]\nname = "x"\n[tool.trivet.server]\nthreads = 3\n', "pyproject.toml")
    loaded = load_in()
    assert loaded.settings.server.threads == 3
    assert loaded.origins["server.threads"].text == "[tool.trivet] in pyproject.toml:4"


def test_the_nearest_trivet_toml_beats_any_pyproject(load_in: Load, project: Path) -> None:
    write(project, "[server]\nthreads = 3\n")
    write(project, "[tool.trivet.server]\nthreads = 4\n", "sub/pyproject.toml")
    loaded = load_in(cwd=project / "sub")
    assert loaded.settings.server.threads == 3
    assert loaded.origins["server.threads"].text == "../trivet.toml:2"


def test_a_pyproject_without_the_table_is_passed_over(load_in: Load, project: Path) -> None:
    write(project, "[tool.trivet.server]\nthreads = 4\n", "pyproject.toml")
    write(project, "[tool.other]\n", "sub/pyproject.toml")
    write(project, "broken", "sub/sub/pyproject.toml")
    assert load_in(cwd=project / "sub" / "sub").settings.server.threads == 4


def test_a_file_further_up_where_everybody_may_write_is_not_believed(
    load_in: Load, project: Path
) -> None:
    write(project, "[server]\nthreads = 3\n")
    (project / "sub").mkdir()
    project.chmod(0o777)
    assert load_in(cwd=project / "sub").file is None
    assert load_in(cwd=project).file == project / "trivet.toml"


def test_the_file_is_looked_for_from_chdir(load_in: Load, project: Path) -> None:
    write(project, "[server]\nthreads = 3\n", "sub/trivet.toml")
    loaded = load_in({"chdir": "sub"})
    assert (loaded.settings.server.threads, loaded.settings.chdir) == (3, project / "sub")


@pytest.mark.parametrize("by", ["flag", "variable"])
def test_a_file_can_be_named(load_in: Load, project: Path, by: str) -> None:
    write(project, "[server]\nthreads = 3\n", "other.toml")
    write(project, "[server]\nthreads = 4\n")
    flags = {"config": "other.toml"} if by == "flag" else {}
    environ = {"TRIVET_CONFIG": "other.toml"} if by == "variable" else {}
    assert load_in(flags, environ).settings.server.threads == 3


def test_a_named_file_that_is_not_there_is_an_error(load_in: Load) -> None:
    assert problems_of(load_in, {"config": "no.toml"}) == [
        "config.file_missing: cannot read `no.toml`: No such file or directory"
    ]


def test_a_gunicorn_file_is_answered_with_the_right_one(load_in: Load) -> None:
    assert problems_of(load_in, {"config": "gunicorn.conf.py"}) == [
        "config.file_missing: `gunicorn.conf.py` is Python, but the configuration file is TOML"
    ]


def test_a_file_that_is_not_utf8_is_an_error(load_in: Load, project: Path) -> None:
    (project / "trivet.toml").write_bytes(b'app = "\xff"')
    assert problems_of(load_in) == [
        "config.file_missing: cannot read `trivet.toml`: it is not UTF-8"
    ]


# What the machine decides


def test_workers_and_edge_threads_follow_the_cpus(load_in: Load) -> None:
    seen = [load_in(cpus=cpus).settings.server for cpus in (1, 4, 8, 64)]
    assert [(each.workers, each.edge_threads) for each in seen] == [(1, 1), (4, 1), (8, 2), (64, 4)]


def test_auto_leaves_it_to_the_machine_and_says_both(load_in: Load, project: Path) -> None:
    write(project, '[server]\nworkers = "auto"\n')
    loaded = load_in(cpus=3, cpus_because="3 CPUs usable")
    assert loaded.settings.server.workers == 3
    assert str(loaded.origins["server.workers"]) == "trivet.toml:2 (3 CPUs usable)"


def test_connections_stay_below_the_descriptors(load_in: Load) -> None:
    assert load_in(descriptors=4352).settings.limits.connections == 3072


def test_lines_are_text_at_a_terminal_and_json_elsewhere(load_in: Load) -> None:
    formats = [load_in(is_terminal=each).settings.log.format for each in (True, False)]
    assert formats == ["text", "json"]


def test_auto_as_a_flag_decides_the_log_format_too(load_in: Load) -> None:
    assert load_in({"log.format": "auto"}, is_terminal=True).settings.log.format == "text"


def test_no_writable_folder_means_no_files(load_in: Load, tmp_path: Path) -> None:
    assert load_in().settings.buffers.folder is None
    assert load_in(spool_folder=tmp_path).settings.buffers.folder == tmp_path
    told_none = load_in({}, {"TRIVET_BUFFERS_FOLDER": "none"}, spool_folder=tmp_path)
    assert told_none.settings.buffers.folder is None


# Values


def test_relative_paths_start_from_the_folder_of_who_wrote_them(
    load_in: Load, project: Path
) -> None:
    write(project, '[log]\naccess_file = "a.log"\n[server]\nbind = "unix:a.sock"\n')
    (project / "sub").mkdir()
    loaded = load_in(cwd=project / "sub")
    assert loaded.settings.log.access_file == project / "a.log"
    assert loaded.settings.server.bind == (Bind("unix", path=str(project / "a.sock")),)
    told = load_in({"log.access_file": "b.log"}, cwd=project / "sub")
    assert told.settings.log.access_file == project / "sub" / "b.log"


def test_a_dash_sends_the_access_log_to_standard_output(load_in: Load, project: Path) -> None:
    write(project, '[log]\naccess_file = "a.log"\n')
    assert load_in({"log.access_file": "-"}).settings.log.access_file is None


def test_off_leaves_out_the_server_field(load_in: Load) -> None:
    assert load_in({}, {"TRIVET_SERVER_FIELD": "off"}).settings.server.server_field is None


def test_lists_are_split_at_commas_and_flags_repeat(load_in: Load) -> None:
    loaded = load_in({"server.bind": (":1", ":2,:3")}, {"FORWARDED_ALLOW_IPS": "10.0.0.0/8, unix"})
    assert [each.port for each in loaded.settings.server.bind] == [1, 2, 3]
    assert loaded.settings.proxy.trusted == ("10.0.0.0/8", "unix")


def test_only_unix_sockets_are_trusted_by_default(load_in: Load) -> None:
    assert load_in().settings.proxy.trusted == ("unix",)


def test_trust_can_be_taken_back_altogether(load_in: Load, project: Path) -> None:
    write(project, "[proxy]\ntrusted = []\n")
    assert load_in().settings.proxy.trusted == ()


def test_routes_are_rows_in_their_order(load_in: Load, project: Path) -> None:
    write(project, '[[route]]\npath="/a"\nrequest_body="2g"\n[[route]]\npath="/b/*"\n')
    first, second = load_in().settings.route
    assert (first.path, first.request_body, first.request_buffering) == ("/a", Size("2g"), None)
    assert second.path == "/b/*"


def test_a_booleans_flag_says_no_too(load_in: Load) -> None:
    loaded = load_in({"log.access": False})
    assert loaded.settings.log.access is False


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("yes", True), ("On", True), ("false", False), ("0", False)]
)
def test_a_boolean_variable_has_the_usual_words(load_in: Load, text: str, *, value: bool) -> None:
    assert load_in({}, {"TRIVET_RELOAD": text}).settings.reload.enabled is value


def test_variables_of_the_workers_come_from_files_then_flags(load_in: Load, project: Path) -> None:
    write(project, "A=1\nB=1\n", "one.env")
    write(project, "B=2\nC=2\n", "two.env")
    loaded = load_in({"env": ("C=3", "D=a=b"), "env_file": ("one.env", "two.env")})
    assert loaded.settings.env == {"A": "1", "B": "2", "C": "3", "D": "a=b"}


def test_variables_of_the_workers_can_stand_in_the_file(load_in: Load, project: Path) -> None:
    write(project, '[env]\nA = "1"\n')
    assert load_in().settings.env == {"A": "1"}


# What is wrong


def test_an_unknown_key_is_shown_with_its_line_and_the_nearest_key(
    load_in: Load, project: Path
) -> None:
    write(project, '# comment\n[server]\n\nworker = 4\n[timeouts]\nkeep_alive = "30 sec"\n')
    with pytest.raises(ConfigError) as caught:
        load_in()
    assert render(caught.value) == (
        "error[config.unknown_option]: unknown option `server.worker`\n"
        "  --> trivet.toml:4:1\n"
        "   |\n"
        " 4 | worker = 4\n"
        "   | ^^^^^^\n"
        "  hint: did you mean `server.workers`?\n"
        "\n"
        "error[config.bad_value]: `timeouts.keep_alive` must be a duration, not `30 sec`\n"
        "  --> trivet.toml:6:1\n"
        "   |\n"
        ' 6 | keep_alive = "30 sec"\n'
        "   | ^^^^^^^^^^\n"
        '  hint: write "30s", "500ms" or 30\n'
        "\n"
        "2 errors, nothing started"
    )


def test_a_key_at_the_wrong_level_is_told_its_table(load_in: Load, project: Path) -> None:
    write(project, "worker = 4\n")
    with pytest.raises(ConfigError) as caught:
        load_in()
    assert caught.value.hint == "did you mean `server.workers`? (in the table [server])"


def test_a_key_like_no_other_gets_the_way_to_the_list(load_in: Load, project: Path) -> None:
    write(project, "xyzzy = 4\n")
    with pytest.raises(ConfigError) as caught:
        load_in()
    assert caught.value.hint == "`trivet config` lists every option"


def test_text_that_is_not_toml_is_shown_with_its_place(load_in: Load, project: Path) -> None:
    write(project, "app = 1\nworkers = = 4\n")
    with pytest.raises(ConfigError) as caught:
        load_in()
    assert render(caught.value) == (
        "error[config.bad_toml]: not valid TOML: invalid value\n"
        "  --> trivet.toml:2:11\n"
        "   |\n"
        " 2 | workers = = 4\n"
        "   |           ^"
    )


def test_toml_that_ends_too_early_is_shown_with_its_last_line(load_in: Load, project: Path) -> None:
    write(project, 'app = "x')
    (message,) = problems_of(load_in)
    assert message.startswith("config.bad_toml: not valid TOML: ")
    assert "(trivet.toml:1" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[server]\nworkers = true",
            "`server.workers` must be a whole number or `auto`, not `true`",
        ),
        ("[server]\nworkers = 0", "`server.workers` must be at least 1, not 0"),
        ("[server]\nworkers = 1.5", "`server.workers` must be a whole number or `auto`, not `1.5`"),
        ("[server]\nport = 70000", "`server.port` must be a port number (1-65535), not 70000"),
        ("[server]\nbind = 8.5", "`server.bind` must be an address to listen on, not"),
        ('[server]\nbind = "http://x:1"', "`server.bind` takes an address, not a URL"),
        ("[server]\nbind = []", "`server.bind` needs one address at least"),
        ('[server]\nroot_path = "x"', "`server.root_path` must be a path such as `/shop`"),
        ('[server]\nserver_field = "a\\nb"', "`server.server_field` must be visible ASCII text"),
        ('[server]\nserver_field = "é"', "`server.server_field` must be visible ASCII text"),
        ("server = 4", "`server` is a table of options, not a value"),
        ("[app]\nx = 1", "`app.x` is no table"),
        ("[log]\naccess = 1", "`log.access` must be `true` or `false`, not `1`"),
        ('[log]\nlevel = "warn"', "`log.level` must be one of"),
        ("[limits]\nrequest_body = -1", "`limits.request_body` must be a size, not `-1`"),
        ('[limits]\nrequest_head = "2m"', "`limits.request_head` must be at most 1 MiB, not 2 MiB"),
        ("[limits]\nrequest_body = [1]", "`limits.request_body` must be a size, not a list"),
        ("[timeouts]\nlinger = [1]", "`timeouts.linger` must be a duration, not a list"),
        ('[timeouts]\nrequest_head = "1ms"', "`timeouts.request_head` must be at least 100ms"),
        ("[proxy]\ntrusted = [1]", "`proxy.trusted` must be an address or network, not a list"),
        ('[proxy]\ntrusted = "nginx"', "`proxy.trusted` has `nginx`, which is neither"),
        ('[[static]]\npath = "/a"', "a `[[static]]` lacks `folder`"),
        ('[[route]]\npath = "a"', "`route.path` must be a path such as `/upload`"),
        ("[route]\npath = 1", "`route` is an array of tables"),
        ("[env]\nA = 1", "`env` must be text for `A`, not `1`"),
        ("env = 1", "`env` must be a table of names and texts, not `1`"),
        ('app_dir = ""', "`app_dir` must be a path"),
        ('app_dir = "nowhere"', "`app_dir` names no folder: `nowhere`"),
        (
            '[reload]\ndirectories = [".", "nowhere"]',
            "`reload.directories` names no folder: `nowhere`",
        ),
        ('chdir = "nowhere"', "`chdir` names no folder: `nowhere`"),
        ('env_file = "no.env"', "cannot read the environment file `no.env`"),
    ],
)
def test_a_wrong_value_is_told_with_what_was_expected(
    load_in: Load, project: Path, text: str, message: str
) -> None:
    write(project, text + "\n")
    with pytest.raises(ConfigError) as caught:
        load_in()
    assert caught.value.message.startswith(message)
    assert len(caught.value.problems) == 1


def test_a_word_that_is_nearly_right_is_answered_with_the_right_one(
    load_in: Load, project: Path
) -> None:
    write(project, '[log]\nlevel = "warn"\n')
    with pytest.raises(ConfigError) as caught:
        load_in()
    assert caught.value.hint == "did you mean `warning`?"


def test_flags_and_variables_are_named_as_they_were_written(load_in: Load) -> None:
    problems = problems_of(
        load_in, {"server.workers": "x", "env": ("A",)}, {"TRIVET_KEEP_ALIVE": "soon"}
    )
    assert problems == [
        "config.bad_value: `--env` takes `NAME=value`, not `A`",
        "config.bad_value: `--workers` must be a whole number or `auto`, not `x`",
        "config.bad_value: `TRIVET_KEEP_ALIVE` must be a duration, not `soon`",
    ]


def test_a_wrong_value_in_the_file_is_told_even_if_a_flag_beats_it(
    load_in: Load, project: Path
) -> None:
    write(project, '[server]\nthreads = "x"\n')
    assert problems_of(load_in, {"server.threads": "2"}) == [
        "config.bad_value: `server.threads` must be a whole number, not `x` (trivet.toml:2:1)"
    ]


def test_access_file_and_no_access_log_contradict_each_other(load_in: Load, project: Path) -> None:
    assert problems_of(load_in, {"log.access": False, "log.access_file": "a"}) == [
        "config.conflict: `--no-access-log` contradicts `--access-logfile`"
    ]
    write(project, '[log]\naccess_file = "a"\n')
    assert load_in({"log.access": False}).settings.log.access is False


def test_a_target_cannot_be_larger_than_its_head(load_in: Load, project: Path) -> None:
    write(project, '[limits]\nrequest_head = "4k"\nrequest_target = "8k"\n')
    assert problems_of(load_in) == [
        (
            "config.conflict: `limits.request_target` contradicts `limits.request_head` "
            "(trivet.toml:3:1)"
        )
    ]


# What is worth a note


def test_a_number_written_as_text_is_read_with_a_note(load_in: Load, project: Path) -> None:
    write(project, '[server]\n\n\nport = "8000"\n')
    loaded = load_in()
    assert loaded.settings.server.bind == (Bind("tcp", "127.0.0.1", 8000),)
    (notice,) = loaded.notices
    assert render(notice).startswith(
        'note[config.text_number]: port "8000" read as the number 8000\n  --> trivet.toml:4:1'
    )


def test_a_variable_that_is_no_option_is_warned_of(load_in: Load) -> None:
    (notice,) = load_in({}, {"TRIVET_WORKRES": "3"}).notices
    assert render(notice) == (
        "warning[config.unknown_variable]: no option has the variable `TRIVET_WORKRES`\n"
        "  hint: did you mean `TRIVET_WORKERS`?"
    )


def test_a_kubernetes_link_is_ignored_with_a_note(load_in: Load) -> None:
    loaded = load_in(
        {},
        {
            "TRIVET_PORT": "tcp://10.3.0.9:80",
            "TRIVET_PORT_80_TCP": "tcp://10.3.0.9:80",
            "TRIVET_PORT_80_TCP_ADDR": "10.3.0.9",
            "TRIVET_SERVICE_HOST": "10.3.0.9",
            "TRIVET_SERVICE_PORT": "80",
            "TRIVET_SERVICE_PORT_HTTP": "80",
        },
    )
    assert loaded.settings.server.bind == (Bind("tcp", "127.0.0.1", 8000),)
    (notice,) = loaded.notices
    assert render(notice) == (
        "note[config.kubernetes_link]: ignored TRIVET_PORT=tcp://10.3.0.9:80: "
        'Kubernetes set it for the Service "trivet"\n'
        "  hint: enableServiceLinks: false in the pod spec"
    )


def test_trusting_everyone_is_warned_of(load_in: Load) -> None:
    loaded = load_in({"proxy.trusted": ("*",)})
    assert notices_of(loaded) == [
        (
            "warning[config.trusts_everyone] `--forwarded-allow-ips` believes every client about "
            "its address and scheme"
        )
    ]


# Where the app is


def test_the_app_of_a_file_is_beside_the_file(load_in: Load, project: Path) -> None:
    write(project, 'app = "shop:app"\n')
    (project / "sub").mkdir()
    assert load_in(cwd=project / "sub").apps[0].folder == project


def test_the_app_of_an_argument_is_where_trivet_was_started(load_in: Load, project: Path) -> None:
    write(project, 'app = "shop:app"\n')
    (project / "sub").mkdir()
    loaded = load_in({"app": "blog:app"}, cwd=project / "sub")
    assert (loaded.apps[0].folder, loaded.origins["app"].text) == (project / "sub", "argument")


def test_chdir_and_app_dir_say_where_the_app_is(load_in: Load, project: Path) -> None:
    (project / "a" / "b").mkdir(parents=True)
    assert load_in({"chdir": "a"}).apps[0].folder == project / "a"
    assert load_in({"chdir": "a", "app_dir": "a/b"}).apps[0].folder == project / "a" / "b"


# For any input


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([each.path for each in definitions(Settings)]), st.text()))
def test_any_text_for_any_option_loads_or_is_a_config_error(
    project: Path, texts: dict[str, str]
) -> None:
    with contextlib.suppress(ConfigError):
        assert explained(load(texts, {}, project, Platform()))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    workers=st.integers(1, 1024),
    keep_alive=st.integers(100, 86_400_000),
    body=st.integers(0, 2**62),
)
def test_what_trivet_config_prints_can_be_put_into_a_file(
    project: Path, workers: int, keep_alive: int, body: int
) -> None:
    flags = {
        "server.workers": str(workers),
        "timeouts.keep_alive": f"{keep_alive}ms",
        "limits.request_body": str(body),
    }
    before = load(flags, {}, project, Platform())
    lines = [f"{each.path} = {each.value}" for each in explained(before) if each.path in flags]
    file = project / "printed.toml"
    file.write_text("\n".join(lines))
    after = load({"config": str(file)}, {}, project, Platform())
    assert after.settings == before.settings
    assert after.settings.timeouts.keep_alive == Duration(f"{keep_alive}ms")


def test_one_path_cannot_be_two_probes(load_in: Load, project: Path) -> None:
    write(project, '[health]\nlive = "/up"\nready = "/up"\n')
    assert problems_of(load_in) == [
        "config.conflict: `health.ready` contradicts `health.live` (trivet.toml:3:1)"
    ]
    write(project, '[health]\nlive = "off"\nready = "off"\n')
    health = load_in().settings.health
    assert (health.live, health.ready) == (None, None)
