"""The loop, with real workers and an edge that only speaks the control contract."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.unit.supervisor.conftest import APP, Start
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

BROKEN = "import nothing_like_this\n"


def has_ended(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_the_edge_gets_the_listeners_and_then_each_worker(start_stand: Start) -> None:
    stand = start_stand(binds=["127.0.0.1:0", "127.0.0.1:0"])
    added = stand.wait_messages("add_worker", 2)
    assert [each["got"] for each in stand.messages("configure")] == [2]
    assert sorted(each["worker"] for each in added) == [1, 2]
    assert {each["got"] for each in added} == {3}
    assert {each["threads"] for each in added} == {2}


def test_more_listeners_than_fit_one_message_all_arrive(start_stand: Start) -> None:
    stand = start_stand(binds=["127.0.0.1:0"] * 35, workers=1)
    assert stand.wait_messages("configure", 1)[0]["got"] == 35


def test_the_screen_stands_on_standard_error_when_it_is_ready(start_stand: Start) -> None:
    stand = start_stand()
    stand.wait_text(r"ready in \d+\.\d\d s +SIGTERM stops, SIGHUP reloads\n")
    lines = stand.stderr.splitlines()
    assert lines[0].startswith("Trivet ")
    assert lines[2].split() == ["app", "app:app", "found", "in", "app.py", "(WSGI)"]
    assert len(lines) <= 10


def test_a_request_reaches_the_app_over_the_link(start_stand: Start) -> None:
    stand = start_stand(workers=1)
    stand.wait_messages("add_worker", 1)
    stand.order("send GET /")
    assert stand.wait_messages("answer", 1)[0]["text"] == "200 OK hello\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_signal_drains_and_leaves_with_0(start_stand: Start, number: signal.Signals) -> None:
    stand = start_stand()
    added = stand.wait_messages("add_worker", 2)
    stand.signal(number)
    assert stand.wait() == 0, stand.stderr
    assert [each["deadline_ms"] for each in stand.messages("drain")] == [10_000]
    assert all(has_ended(each["pid"]) for each in added)


def test_a_second_signal_ends_at_once(start_stand: Start) -> None:
    stand = start_stand(edge="never_drained")
    added = stand.wait_messages("add_worker", 2)
    stand.signal(signal.SIGTERM)
    stand.wait_messages("drain", 1)
    started = time.monotonic()
    stand.signal(signal.SIGINT)
    assert stand.wait() == 128 + signal.SIGINT
    assert time.monotonic() - started < 5
    assert all(has_ended(each["pid"]) for each in added)


def test_an_edge_that_does_not_drain_in_time_is_killed(start_stand: Start) -> None:
    stand = start_stand(edge="never_drained", graceful_s=0.1)
    stand.wait_messages("add_worker", 2)
    stand.signal(signal.SIGTERM)
    assert stand.wait() == 0, stand.stderr


def test_a_socket_file_is_removed_at_the_end(start_stand: Start, tmp_path: Path) -> None:
    path = tmp_path / "trivet.sock"
    stand = start_stand(binds=[f"unix:{path}"])
    stand.wait_messages("add_worker", 1)
    assert path.is_socket()
    stand.signal(signal.SIGTERM)
    assert stand.wait() == 0, stand.stderr
    assert not path.exists()


def test_an_app_that_does_not_load_is_shown_once_and_exits_3(start_stand: Start) -> None:
    stand = start_stand(BROKEN)
    assert stand.wait() == 3
    assert stand.stderr.count("error[app.missing_module]") == 1
    assert "app.py needs the module `nothing_like_this`, which is not installed" in stand.stderr
    assert "--> app.py:1" in stand.stderr
    assert "ready in" not in stand.stderr


def test_an_app_that_exits_while_loading_is_no_success(start_stand: Start) -> None:
    stand = start_stand("import os\nos._exit(0)\n")
    assert stand.wait() == 3
    assert "exited with code 0 while it loaded the app" in stand.stderr


def test_a_killed_worker_is_replaced_and_its_death_told(start_stand: Start) -> None:
    stand = start_stand()
    victim = stand.wait_messages("add_worker", 2)[0]
    os.kill(victim["pid"], signal.SIGKILL)
    assert stand.wait_messages("add_worker", 3)[2]["worker"] == 3
    died = stand.wait_messages("worker_died", 1)[0]
    assert (died["worker"], died["reason"]) == (victim["worker"], "SIGKILL")
    stand.wait_text(
        rf"worker {victim['worker']} \(pid {victim['pid']}\) was killed by SIGKILL after using"
    )


def test_a_refused_configuration_exits_2(start_stand: Start) -> None:
    stand = start_stand(edge="refuse")
    assert stand.wait() == 2
    assert "the edge refuses its configuration: no reason" in stand.stderr


def test_an_edge_that_dies_at_once_exits_1(start_stand: Start) -> None:
    stand = start_stand(edge="die_early")
    assert stand.wait() == 1
    assert "exited with code 7 before it was ready" in stand.stderr


def test_a_dead_edge_comes_back_with_the_same_listener_and_new_workers(start_stand: Start) -> None:
    stand = start_stand()
    before = stand.wait_messages("add_worker", 2)
    stand.order("die")
    configured = stand.wait_messages("configure", 2)
    after = stand.wait_messages("add_worker", 4)[2:]
    assert configured[0]["edge"] != configured[1]["edge"]
    assert {each["edge"] for each in after} == {configured[1]["edge"]}
    wait_until(lambda: all(has_ended(each["pid"]) for each in before), "the orphans to go")
    assert "was killed by SIGSEGV: it starts anew" in stand.stderr


def test_an_edge_that_talks_rubbish_is_replaced(start_stand: Start) -> None:
    stand = start_stand(workers=1)
    stand.wait_messages("add_worker", 1)
    stand.order("rubbish")
    stand.wait_messages("add_worker", 2)
    assert "the edge sent no message but rubbish" in stand.stderr


def test_what_the_edge_logs_is_said(start_stand: Start) -> None:
    stand = start_stand(workers=1)
    stand.wait_messages("add_worker", 1)
    stand.order("log too many open files")
    stand.wait_text(r"\d\d:\d\d:\d\d  too many open files\n")


def test_edge_and_workers_leave_when_the_supervisor_is_killed(start_stand: Start) -> None:
    stand = start_stand()
    added = stand.wait_messages("add_worker", 2)
    stand.process.kill()
    stand.wait_messages("eof", 1)
    wait_until(lambda: all(has_ended(each["pid"]) for each in added), "the workers to go")


def test_a_hup_replaces_all_workers(start_stand: Start) -> None:
    stand = start_stand()
    stand.wait_messages("add_worker", 2)
    stand.signal(signal.SIGHUP)
    stand.wait_messages("drain_worker", 2)
    kinds = [each["type"] for each in stand.messages()]
    assert kinds == ["configure", *["add_worker"] * 4, *["drain_worker"] * 2]
    stand.wait_text(r"SIGHUP: reloaded in \d+\.\d\d s\n")
    old = stand.messages("add_worker")[:2]
    wait_until(lambda: all(has_ended(each["pid"]) for each in old), "the old workers to go")


def test_a_hup_with_a_broken_app_keeps_the_workers(start_stand: Start, tmp_path: Path) -> None:
    stand = start_stand()
    added = stand.wait_messages("add_worker", 2)
    (tmp_path / "app.py").write_text("def (\n")
    stand.signal(signal.SIGHUP)
    stand.wait_text(r"SIGHUP: not loaded, still serving the version of \d\d:\d\d:\d\d\n")
    assert stand.stderr.count("SyntaxError in app.py") == 1
    assert stand.messages("drain_worker") == []
    assert not any(has_ended(each["pid"]) for each in added)


def test_a_changed_file_reloads(start_stand: Start, tmp_path: Path) -> None:
    stand = start_stand(watch=True, workers=1)
    stand.wait_messages("add_worker", 1)
    (tmp_path / "app.py").write_text(APP.replace("hello", "hello again"))
    stand.wait_text(r"app\.py changed: reloaded in ")
    stand.order("send GET /")
    assert stand.wait_messages("answer", 1)[0]["text"] == "200 OK hello again\n"


def test_ttin_and_ttou_change_the_number_of_workers(start_stand: Start) -> None:
    stand = start_stand()
    stand.wait_messages("add_worker", 2)
    stand.signal(signal.SIGTTIN)
    stand.wait_messages("add_worker", 3)
    stand.signal(signal.SIGTTOU)
    assert stand.wait_messages("drain_worker", 1)[0]["worker"] == 3


def test_usr1_reopens_the_logs(start_stand: Start) -> None:
    stand = start_stand(workers=1)
    stand.wait_messages("add_worker", 1)
    stand.signal(signal.SIGUSR1)
    stand.wait_messages("reopen_logs", 1)


def test_what_a_worker_prints_is_prefixed_line_by_line(start_stand: Start) -> None:
    stand = start_stand('import sys\nprint("one\\ntwo")\nsys.stderr.write("three\\n")\n' + APP)
    stand.wait_messages("add_worker", 2)
    stand.signal(signal.SIGTERM)
    stand.wait()
    assert sorted(stand.stdout.splitlines()) == [
        "[worker 1] one",
        "[worker 1] two",
        "[worker 2] one",
        "[worker 2] two",
    ]
    assert "[worker 1] three\n" in stand.stderr


def test_the_last_words_of_a_dying_worker_are_not_lost(start_stand: Start) -> None:
    words = 'import os, sys\nsys.stdout.write("x" * 200_000 + "end")\nsys.stdout.flush()\n'
    stand = start_stand(words + "os.kill(os.getpid(), 9)\n", workers=1)
    assert stand.wait() == 3
    text = "".join(line.removeprefix("[worker 1] ") for line in stand.stdout.splitlines())
    assert text == "x" * 200_000 + "end"


def test_a_supervisor_whose_output_nobody_reads_still_stops(start_stand: Start) -> None:
    flood = (
        "import threading\ndef flood():\n    while True:\n        print('x' * 1000)\n"
        "threading.Thread(target=flood, daemon=True).start()\n"
    )
    stand = start_stand(flood + APP, workers=1, unread=["stdout"])
    stand.wait_messages("add_worker", 1)
    stand.signal(signal.SIGTERM)
    assert stand.wait() == 0, stand.stderr


def test_in_json_each_line_is_an_object(start_stand: Start) -> None:
    stand = start_stand('print("one")\nprint(\'{"event": "own"}\')\n' + APP, json=True, workers=1)
    stand.wait_messages("add_worker", 1)
    stand.signal(signal.SIGTERM)
    stand.wait()
    events = [json.loads(line) for line in stand.stdout.splitlines()]
    assert [(each["event"], each.get("worker")) for each in events] == [("one", 1), ("own", None)]


def test_an_orphan_is_reaped_without_harm(start_stand: Start, tmp_path: Path) -> None:
    """As PID 1 the supervisor is given every orphan; here prctl makes it their heir."""
    orphan = (
        "import os\n"
        "if not (child := os.fork()):\n"
        "    if not os.fork():\n"
        "        open('orphan', 'w').write(str(os.getpid()))\n"
        "    os._exit(7)\n"
        "os.waitpid(child, 0)\n"
    )
    stand = start_stand(orphan + APP, workers=1, subreaper=True)
    stand.wait_messages("add_worker", 1)
    pid = int(wait_until((tmp_path / "orphan").read_text, "the orphan"))
    wait_until(lambda: has_ended(pid), "the orphan to be reaped")
    stand.signal(signal.SIGTERM)
    assert stand.wait() == 0, stand.stderr


def test_a_closed_terminal_stops_where_a_hup_would_reload(start_stand: Start) -> None:
    master, slave = os.openpty()
    stand = start_stand(stderr=slave, unread=["stderr"])
    os.close(slave)
    stand.wait_messages("add_worker", 2)
    os.close(master)
    stand.signal(signal.SIGHUP)
    assert stand.wait() == 0
    assert len(stand.messages("drain")) == 1


def test_a_listener_stays_open_while_the_edge_is_away(start_stand: Start, tmp_path: Path) -> None:
    path = tmp_path / "trivet.sock"
    stand = start_stand(binds=[f"unix:{path}"], workers=1)
    stand.wait_messages("add_worker", 1)
    stand.order("die")
    stand.wait_messages("configure", 2)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
