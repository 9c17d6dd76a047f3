"""Reading /proc, as files that a test has written."""

from pathlib import Path

import pytest
from trivet.supervisor.listen.port_owner import Owner, find_path_owner, find_port_owner

HEAD = "  sl  local_address rem_address   st …\n"


def row(address: str, state: str, inode: int) -> str:
    return (
        f"   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 0 1000 0 {inode} 1\n"
    )


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "uptime").write_text("10000.00 5000.00\n")
    for pid, inode in ((4121, 77), (4122, 77), (99, 5)):
        process = tmp_path / str(pid)
        (process / "fd").mkdir(parents=True)
        (process / "fd" / "3").symlink_to(f"socket:[{inode}]")
        (process / "comm").write_text("python3\n")
        (process / "cmdline").write_bytes(b"/usr/bin/python3\0gunicorn\0app:app\0")
        (process / "stat").write_text(f"{pid} (py (x) 3) S {' '.join(['0'] * 18)} 280000 0\n")
    return tmp_path


def test_the_lowest_process_that_listens_on_the_port_is_found(proc: Path) -> None:
    table = row("0100007F:1F40", "01", 5) + row("0100007F:1F40", "0A", 77)
    (proc / "net" / "tcp").write_text(HEAD + table)
    owner = find_port_owner(8000, proc)
    assert owner == Owner(4121, "python3", "gunicorn app:app", 7200.0)
    assert owner.describe() == "python3 (pid 4121: gunicorn app:app, started 2 h ago)"


def test_a_listener_of_ipv6_is_found_too(proc: Path) -> None:
    table = row("00000000000000000000000000000000:1F40", "0A", 77)
    (proc / "net" / "tcp6").write_text(HEAD + table)
    owner = find_port_owner(8000, proc)
    assert owner is not None
    assert owner.pid == 4121


def test_an_owner_whose_descriptors_are_hidden_is_not_found(proc: Path) -> None:
    (proc / "net" / "tcp").write_text(HEAD + row("0100007F:1F40", "0A", 12345))
    assert find_port_owner(8000, proc) is None


def test_without_proc_nobody_is_found(tmp_path: Path) -> None:
    assert find_port_owner(8000, tmp_path) is None


def test_the_owner_of_a_socket_file_is_found(proc: Path) -> None:
    table = "Num RefCount Protocol Flags Type St Inode Path\n"
    table += "0000: 00000002 00000000 00010000 0001 01 5\n"
    table += "0000: 00000002 00000000 00010000 0001 01 77 /run/app.sock\n"
    (proc / "net" / "unix").write_text(table)
    owner = find_path_owner("/run/app.sock", proc)
    assert owner is not None
    assert owner.pid == 4121


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s ago"), (90, "1 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")],
)
def test_the_age_is_told_roughly(seconds: float, text: str) -> None:
    assert Owner(1, "x", "", seconds).describe() == f"x (pid 1, started {text})"
