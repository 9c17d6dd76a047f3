import re
import socket
from pathlib import Path

import pytest
from trivet.supervisor import notify


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    path = str(tmp_path / "notify")
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.bind(path)
    channel.settimeout(5)
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    return channel


def test_the_service_manager_is_told(manager: socket.socket) -> None:
    with manager:
        notify.ready(77)
        assert manager.recv(100) == b"READY=1\nMAINPID=77\n"
        notify.reloading()
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+\n", manager.recv(100))
        notify.stopping()
        assert manager.recv(100) == b"STOPPING=1\n"


def test_the_abstract_namespace_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("")  # a name of the kernel's choice
        name = channel.getsockname()
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:].decode())
        notify.stopping()
        assert channel.recv(100) == b"STOPPING=1\n"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "vsock:2:1"])
def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify.ready(1)
