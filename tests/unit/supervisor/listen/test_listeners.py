"""Opening listeners, and what is said where one cannot be had."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from trivet.config import Bind
from trivet.errors import ConfigError, render
from trivet.supervisor.listen import listen_errors
from trivet.supervisor.listen.listeners import Listener, open_listeners, systemd_binds


@pytest.fixture
def opened() -> Iterator[list[Listener]]:
    listeners: list[Listener] = []
    yield listeners
    for listener in listeners:
        listener.close()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def failure(*binds: str) -> str:
    with pytest.raises(ConfigError) as caught:
        open_listeners([Bind.parse(bind) for bind in binds])
    return render(caught.value)


def test_an_address_is_listened_on_without_blocking(opened: list[Listener]) -> None:
    opened += open_listeners([Bind.parse("127.0.0.1:0")], backlog=7)
    [listener] = opened
    assert listener.name == f"127.0.0.1:{listener.port}"
    assert listener.port > 0
    assert not listener.is_unix
    assert listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    assert not listener.socket.getblocking()
    socket.create_connection(("127.0.0.1", listener.port)).close()


def test_several_addresses_keep_their_order(opened: list[Listener], tmp_path: Path) -> None:
    binds = [Bind.parse("127.0.0.1:0"), Bind("unix", path=str(tmp_path / "s"))]
    opened += open_listeners(binds)
    assert [each.is_unix for each in opened] == [False, True]


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_all_interfaces_are_one_socket_for_each_family_on_one_port(opened: list[Listener]) -> None:
    opened += open_listeners([Bind.parse(":0")])
    assert [each.socket.family for each in opened] == [socket.AF_INET, socket.AF_INET6]
    assert len({each.port for each in opened}) == 1
    assert opened[1].name == f"[::]:{opened[1].port}"


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv6_does_not_take_the_port_of_ipv4(opened: list[Listener]) -> None:
    opened += open_listeners([Bind.parse("[::1]:0")])
    assert opened[0].socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    assert opened[0].name == f"[::1]:{opened[0].port}"


def test_a_taken_port_names_its_owner_and_the_next_free_one(taken: int) -> None:
    text = failure(f"127.0.0.1:{taken}")
    assert text.startswith(f"error[config.port_taken]: `127.0.0.1:{taken}` is taken by ")
    assert f"(pid {os.getpid()}: " in text
    assert " ago)\n" in text
    assert "hint: trivet serve --bind 127.0.0.1:" in text
    assert f", or stop the other: kill {os.getpid()}" in text


def test_all_that_cannot_be_had_is_told_and_nothing_stays_open(taken: int, tmp_path: Path) -> None:
    path = tmp_path / "s"
    text = failure(f"unix:{path}", f"127.0.0.1:{taken}", "nobody.invalid:80")
    assert "error[config.port_taken]" in text
    assert "error[config.bad_address]" in text
    assert "2 errors, nothing started" in text
    assert not path.exists()


def test_an_address_of_another_machine() -> None:
    assert failure("192.0.2.1:8000") == (
        "error[config.bad_address]: cannot listen on `192.0.2.1:8000`:"
        " no address of this machine\n"
        "  hint: to listen on all its addresses: trivet serve --bind :8000"
    )


def test_a_port_without_the_right_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen_errors, "_user", lambda: "shop")
    monkeypatch.setattr(listen_errors, "next_free_port", lambda *_: 8000)
    error = listen_errors.of_tcp(Bind.parse("0.0.0.0:80"), PermissionError(13, "denied"))
    assert render(error) == (
        "error[config.port_forbidden]: port 80 needs a privilege that user `shop` does not have\n"
        "  hint: trivet serve --bind 0.0.0.0:8000\n"
        "        or let everybody open it:"
        " sudo sysctl -w net.ipv4.ip_unprivileged_port_start=80\n"
        "        or have systemd open it: a socket unit with ListenStream=80"
    )


def test_a_socket_file_is_removed_with_its_listener(tmp_path: Path) -> None:
    path = tmp_path / "s"
    [listener] = open_listeners([Bind("unix", path=str(path))])
    assert (listener.name, listener.port) == (f"unix:{path}", 0)
    assert path.is_socket()
    listener.close()
    assert not path.exists()


def test_a_socket_file_of_a_successor_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    [listener] = open_listeners([Bind("unix", path=str(path))])
    path.unlink()
    (tmp_path / "keep-its-inode").touch()
    path.touch()
    listener.close()
    assert path.exists()


def test_a_stale_socket_file_is_replaced(opened: list[Listener], tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    opened += open_listeners([Bind("unix", path=str(path))])
    assert path.is_socket()


def test_a_socket_that_somebody_answers_on_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        text = failure(f"unix:{path}")
    assert text.startswith(f"error[config.socket_taken]: `unix:{path}` is taken by ")
    assert f"kill {os.getpid()}" in text
    assert path.is_socket()


def test_a_file_in_the_way_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    assert "a file that is not a socket is there" in failure(f"unix:{path}")
    assert path.read_text() == "precious"


def test_a_socket_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    text = failure(f"unix:{tmp_path}/run/s")
    assert f"there is no folder `{tmp_path}/run`" in text
    assert f"hint: mkdir -p {tmp_path}/run" in text


def test_too_long_a_path(tmp_path: Path) -> None:
    assert "longer than the 107 bytes" in failure(f"unix:{tmp_path}/{'x' * 107}")


def test_an_inherited_listener_is_taken_over(opened: list[Listener], taken: int) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    descriptor = server.detach()
    opened += open_listeners([Bind("fd", fd=descriptor)])
    assert opened[0].port == port != taken
    assert opened[0].name == f"fd://{descriptor}"
    # A copy of it was left open once, and took connections that nobody answered while stopping.
    opened[0].close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_descriptor_that_does_not_listen_is_refused() -> None:
    with socket.socket() as unbound, Path("/dev/null").open() as file:
        assert "but not a listening one" in failure(f"fd://{unbound.fileno()}")
        assert "is not an open socket" in failure(f"fd://{file.fileno()}")
    assert "is not an open socket" in failure("fd://1000000")


def test_the_sockets_of_a_socket_unit_are_for_the_named_process_only() -> None:
    environ = {"LISTEN_FDS": "2", "LISTEN_PID": "77"}
    assert systemd_binds(environ, 77) == [Bind("fd", fd=3), Bind("fd", fd=4)]
    assert systemd_binds(environ, 78) == []
    assert systemd_binds({}, 77) == []
    assert systemd_binds({"LISTEN_FDS": "x", "LISTEN_PID": "77"}, 77) == []
