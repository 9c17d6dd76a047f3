"""The access log: one line for each request, whatever happened, and none that a client made up."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.e2e.http1 import APPS, Client, connect, request, running
from tests.e2e.stand import TRIVET, Stand, clean_environment
from tests.waiting import wait_until

COMBINED = re.compile(
    r'(?P<client>\S+) - - \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)" (?P<status>\d{3}) '
    r'(?P<bytes>\d+) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)" '
    r"(?P<all>\d+) (?P<queue>\d+|-) (?P<app>\d+|-) (?P<id>\S+)"
)
HOSTILE = (
    'agent" 200 0 "-" "forged',
    "agent\\",
    "agent\\n127.0.0.1 - - forged",
    "agent\ttab",
    "agent \x9b31m \xe2\x80\xae",
    "level=info event=request status=200",
    '{"event": "request", "status": 200}',
    "\xff\xfe",
)
"""User-Agent values that try to look like something else."""


class Log:
    """A stand that writes one format to standard output."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand

    def after(self, *sent: bytes) -> str:
        """Send each on a connection of its own; return the only line that came for it."""
        before = len(self.lines())
        for data in sent:
            with connect(self.stand) as client:
                client.send(data)
                client.answer("HEAD")
        wait_until(lambda: len(self.lines()) >= before + len(sent), self.stand.describe)
        lines = self.lines()[before:]
        assert len(lines) == len(sent), lines
        return lines[-1]

    def lines(self) -> list[str]:
        return self.stand.out.lines()


def logging(format_: str) -> Callable[[pytest.TempPathFactory], Iterator[Log]]:
    def fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
        arguments = ("--workers", "1", "--log-format", format_)
        with running(tmp_path_factory.mktemp(format_), *arguments) as stand:
            yield Log(stand)

    return fixture


combined = pytest.fixture(scope="module", name="combined")(logging("combined"))
logfmt = pytest.fixture(scope="module", name="logfmt")(logging("logfmt"))
text = pytest.fixture(scope="module", name="text")(logging("text"))


@pytest.fixture(scope="module", name="in_json")
def in_json_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """Not a terminal: JSON by default."""
    with running(tmp_path_factory.mktemp("json"), "--workers", "1") as stand:
        yield Log(stand)


# JSON -----------------------------------------------------------------------------------------


def test_a_json_line_tells_all_about_a_request(in_json: Log) -> None:
    fields = ("User-Agent: curl/8", "Referer: http://b/?x")
    line = json.loads(in_json.after(request("POST", "/a%20b?q=1", *fields, body=b"hello")))
    time = datetime.fromisoformat(line.pop("timestamp"))
    assert abs((datetime.now(timezone.utc) - time).total_seconds()) < 60
    for name in ("duration_ms", "queue_ms", "app_ms"):
        assert 0 <= line.pop(name) < 60_000
    assert line.pop("client_port") > 0
    assert line.pop("bytes_out") > 0
    assert len(line.pop("request_id")) == 36
    assert line == {
        "level": "info",
        "event": "request",
        "method": "POST",
        "path": "/a%20b",
        "query": "q=1",
        "status": 200,
        "bytes_in": 5,
        "client_ip": "127.0.0.1",
        "host": "a",
        "scheme": "http",
        "proto": "HTTP/1.1",
        "user_agent": "curl/8",
        "referer": "http://b/?x",
        "worker": 1,
    }


def test_time_in_the_queue_and_in_the_app_are_told_apart(in_json: Log) -> None:
    line = json.loads(in_json.after(request("GET", "/")))
    assert line["queue_ms"] + line["app_ms"] <= line["duration_ms"] + 0.01


def test_an_apps_error_is_named(in_json: Log) -> None:
    line = json.loads(in_json.after(request("GET", "/do/raise?early=1")))
    assert (line["level"], line["status"]) == ("error", 500)
    assert re.fullmatch(
        r"ZeroDivisionError: the secret at \S*app\.py:\d+ in do_raise", line["error"]
    ), line["error"]


def test_secrets_in_a_query_are_not_written_down(in_json: Log) -> None:
    line = json.loads(
        in_json.after(
            request("GET", "/?token=abc&a=1&password=x", "Referer: http://b/?api_key=abc&q=1")
        )
    )
    assert line["query"] == "token=***&a=1&password=***"
    assert line["referer"] == "http://b/?api_key=***&q=1"


@pytest.mark.parametrize("agent", HOSTILE)
def test_no_client_can_forge_a_json_line(in_json: Log, agent: str) -> None:
    line = in_json.after(request("GET", "/", f"User-Agent: {agent}"))
    parsed = json.loads(line)
    assert (parsed["event"], parsed["path"], parsed["status"]) == ("request", "/", 200)
    assert parsed["user_agent"].startswith(agent[:5]) or not agent.isascii()
    assert line.isprintable()


@pytest.mark.parametrize("target", ["/%0d%0a%22", '/"', "/\\", '/?a="}\n', "/\xff", "/a\rb"])
def test_no_target_can_forge_a_line(in_json: Log, combined: Log, logfmt: Log, target: str) -> None:
    sent = request("GET", target)
    assert json.loads(in_json.after(sent))["status"] in {200, 400}
    assert COMBINED.fullmatch(combined.after(sent))
    assert "event=request" in logfmt.after(sent)


# Combined -------------------------------------------------------------------------------------


def test_a_combined_line_is_apaches_with_times_and_id(combined: Log) -> None:
    fields = ("User-Agent: curl/8", "Referer: http://b/")
    line = combined.after(request("GET", "/a?b=1", *fields))
    parts = COMBINED.fullmatch(line)
    assert parts, line
    assert parts["client"] == "127.0.0.1"
    assert datetime.strptime(parts["time"], "%d/%b/%Y:%H:%M:%S %z").tzinfo
    assert (parts["request"], parts["status"]) == ("GET /a?b=1 HTTP/1.1", "200")
    assert (parts["referer"], parts["agent"]) == ("http://b/", "curl/8")
    assert int(parts["queue"]) + int(parts["app"]) <= int(parts["all"])
    assert len(parts["id"]) == 36


def test_a_combined_line_of_a_refused_request_is_whole(combined: Log) -> None:
    parts = COMBINED.fullmatch(combined.after(b"nonsense\r\n\r\n"))
    assert parts
    assert (parts["status"], parts["queue"], parts["app"]) == ("400", "-", "-")


@pytest.mark.parametrize("agent", HOSTILE)
def test_no_client_can_forge_a_combined_line(combined: Log, agent: str) -> None:
    line = combined.after(request("GET", "/", f"User-Agent: {agent}", f"Referer: {agent}"))
    parts = COMBINED.fullmatch(line)
    assert parts, line
    assert (parts["request"], parts["status"]) == ("GET / HTTP/1.1", "200")
    assert line.isascii()
    assert line.isprintable()


# logfmt and text ------------------------------------------------------------------------------


def logfmt_pairs(line: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(line))


def test_a_logfmt_line_has_the_same_keys(logfmt: Log) -> None:
    pairs = logfmt_pairs(logfmt.after(request("GET", "/a?b=1", "User-Agent: a b")))
    assert (pairs["event"], pairs["method"], pairs["path"], pairs["query"], pairs["status"]) == (
        "request",
        "GET",
        "/a",
        "b=1",
        "200",
    )
    assert pairs["user_agent"] == "a b"


@pytest.mark.parametrize("agent", HOSTILE)
def test_no_client_can_forge_a_logfmt_line(logfmt: Log, agent: str) -> None:
    line = logfmt.after(request("GET", "/", f"User-Agent: {agent}"))
    assert len(re.findall(r'(?:[^\s"]|"(?:\\.|[^"\\])*")+', line)) == len(line_keys(line))
    assert line_keys(line).count("status") == 1
    assert line.isprintable()


def line_keys(line: str) -> list[str]:
    return re.findall(r'(?:^| )(\w+)=(?:"(?:\\.|[^"\\])*"|[^\s"]*)', line)


def test_a_text_line_is_for_people(text: Log) -> None:
    line = text.after(request("GET", "/cart?x=1"))
    assert re.fullmatch(r"\d\d:\d\d:\d\d  GET   /cart\?x=1 +200 +\d+ ms +\d+ B", line), line


def test_a_text_line_names_what_went_wrong(text: Log) -> None:
    line = text.after(request("GET", "/do/raise?early=1"))
    assert re.search(
        r"500 .*ZeroDivisionError: the secret at \S*app\.py:\d+ in do_raise  id ", line
    )
    assert "edge" in text.after(request("GET", "/", "Host: b"))


@pytest.mark.parametrize("target", ["/\x9b31m", "/\xe2\x80\xae", "/?\x1b[31m", "/\\x1b"])
def test_no_target_can_steer_a_terminal(text: Log, target: str) -> None:
    line = text.after(request("GET", target))
    assert line.isprintable(), line


# Where it goes --------------------------------------------------------------------------------


def test_the_access_log_can_be_switched_off(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "1", "--no-access-log") as stand:
        assert stand.get("/").status == 200
        assert stand.stop() == 0
        assert stand.out.text() == ""


def paths(file: Path) -> list[str]:
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line)["path"] for line in lines]


def test_a_log_file_is_appended_to_and_opened_anew_when_asked(tmp_path: Path) -> None:
    file, old = tmp_path / "access.log", tmp_path / "access.log.1"
    file.write_text('{"path": "from before"}\n')
    with running(tmp_path, "--workers", "1", "--access-logfile", str(file)) as stand:
        stand.get("/one")
        wait_until(lambda: "/one" in paths(file), stand.describe)
        file.rename(old)
        stand.get("/two")
        wait_until(lambda: "/two" in paths(old), stand.describe)
        stand.signal(signal.SIGUSR1)
        wait_until(file.exists, stand.describe)
        stand.get("/three")
        wait_until(lambda: paths(file) == ["/three"], stand.describe)
        assert paths(old) == ["from before", "/one", "/two"]
        assert stand.stop() == 0
        assert stand.requests() == []


def test_no_line_is_lost_at_a_stop(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    with running(tmp_path, "--workers", "1", "--access-logfile", str(file)) as stand:
        with connect(stand) as client:
            for number in range(200):
                client.send(request("GET", f"/{number}"))
            for _ in range(200):
                client.answer()
        assert stand.stop() == 0
    assert paths(file) == [f"/{number}" for number in range(200)]


def many(client: Client, count: int) -> None:
    """Make requests whose log lines are long."""
    data = request("GET", "/", "User-Agent: " + "x" * 2000)
    for _ in range(count):
        client.send(data)
        assert client.answer().status == 200


def test_a_log_that_nobody_reads_delays_no_request_and_no_stop(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        arguments = ("--workers", "1", "--access-logfile", str(fifo))
        with running(tmp_path, *arguments) as stand, connect(stand) as client:
            many(client, 200)
            # More than the pipe holds is waiting to be written.
            assert len(os.read(reader, 1 << 20)) >= 4096
            many(client, 200)
            client.socket.close()
            assert stand.stop() == 0
    finally:
        os.close(reader)


def test_a_standard_output_that_nobody_reads_delays_no_request(tmp_path: Path) -> None:
    command = [str(TRIVET), "serve", "app:app", "--app-dir", str(APPS / "edge"), "--workers", "1"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        process = subprocess.Popen(
            [*command, "--bind", f"fd://{listener.fileno()}"],
            cwd=tmp_path,
            env=clean_environment(),
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    assert process.stdout
    try:
        with Client(socket.create_connection(address, timeout=20)) as client:
            many(client, 200)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        # What a pipe holds was written before it was full: whole lines, and no half one.
        *lines, rest = process.stdout.read().decode().split("\n")
        assert (len(lines) > 10, rest) == (True, "")
        assert {json.loads(line)["event"] for line in lines} == {"request"}
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# Supervisor and edge write to the same pipe; each once wrote more at a time than a pipe keeps
# together, and lines of one stood in the middle of the other's.
def test_lines_of_the_app_and_of_the_access_log_never_mix(tmp_path: Path) -> None:
    printed = "x" * 1500
    data = request("GET", f"/do/print?text={printed}", "User-Agent: " + "u" * 1500)

    def talk(client: Client) -> None:
        for _ in range(100):
            client.send(data)
            assert client.answer().body == b"printed"

    # One thread each: Python's own print() of two threads mixes.
    with running(tmp_path, "--workers", "2", "--threads", "1") as stand:
        clients = [connect(stand) for _ in range(6)]
        threads = [threading.Thread(target=talk, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(40)
        for client in clients:
            client.socket.close()
        assert stand.stop() == 0
        events = [json.loads(line)["event"] for line in stand.out.lines()]
    assert (events.count("request"), events.count(printed), len(events)) == (600, 600, 1200)
