"""Names of control sockets, and reading them from the kernel's table."""

import os
import socket
from pathlib import Path

import pytest
from trivet.wire.stand_address import StandAddress, listed

HEAD = "Num       RefCount Protocol Flags    Type St Inode Path\n"
LISTENS = "0000000000000000: 00000002 00000000 00010000 0001 01 7001 @trivet/1000/42/00ff\n"


def test_a_name_says_whose_it_is() -> None:
    address = StandAddress.parse("@trivet/1000/42/00ff")
    assert address is not None
    assert (address.uid, address.pid, str(address)) == (1000, 42, "@trivet/1000/42/00ff")
    assert address.to_bind() == b"\0trivet/1000/42/00ff"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "@",
        "@trivet",
        "@trivet/1000/42",
        "@trivet/1000/42/",
        "@trivet/1000/42/a/b",
        "@trivet/-1/42/a",
        "@trivet/1000/x/a",
        "@trivet/\u0664/42/a",
        "@other/1000/42/a",
        "/trivet/1000/42/a",
    ],
)
def test_other_names_are_no_stands(name: str) -> None:
    assert StandAddress.parse(name) is None


def test_only_sockets_that_listen_are_listed() -> None:
    connected = LISTENS.replace("00010000", "00000000")
    table = [HEAD, connected, LISTENS, "rubbish\n", "a b c zz e f g @trivet/1/1/1\n", ""]
    assert [str(each) for each in listed(table)] == ["@trivet/1000/42/00ff"]


def test_a_socket_of_this_process_is_found_in_the_table() -> None:
    address = StandAddress.of_this_process()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(address.to_bind())
        listener.listen()
        with Path("/proc/net/unix").open(encoding="ascii", errors="replace") as table:
            assert str(address) in [str(each) for each in listed(table)]
    assert (address.uid, address.pid) == (os.geteuid(), os.getpid())


def test_no_two_names_are_the_same() -> None:
    assert str(StandAddress.of_this_process()) != str(StandAddress.of_this_process())
