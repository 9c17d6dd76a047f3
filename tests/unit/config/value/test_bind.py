from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trivet.config import Bind

PORTS = st.integers(0, 65535)
HOSTS = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.just(""),
    st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9](\.[a-z]{2,5})?", fullmatch=True),
)


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("127.0.0.1:8000", Bind("tcp", "127.0.0.1", 8000)),
        ("localhost:80", Bind("tcp", "localhost", 80)),
        (":8000", Bind("tcp", "", 8000)),
        ("*:8000", Bind("tcp", "", 8000)),
        ("8000", Bind("tcp", None, 8000)),
        ("[::1]:8000", Bind("tcp", "::1", 8000)),
        ("[0:0::1]:0", Bind("tcp", "::1", 0)),
        ("unix:/run/app.sock", Bind("unix", path="/run/app.sock")),
        ("unix:///run/app.sock", Bind("unix", path="/run/app.sock")),
        ("unix:app.sock", Bind("unix", path="app.sock")),
        ("fd://3", Bind("fd", fd=3)),
    ],
)
def test_each_form_of_an_address_is_read(text: str, bind: Bind) -> None:
    assert Bind.parse(text) == bind


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "needs a port"),
        ("localhost", "needs a port, such as `localhost:8000`"),
        ("localhost:http", "has `http` where a port number"),
        ("localhost:99999", "ports end at 65535"),
        ("70000", "ports end at 65535"),
        ("::1:8000", r"needs brackets around an IPv6 address: `\[::1\]:8000`|needs brackets"),
        ("[::g]:80", "is not an IPv6 address"),
        ("http://localhost:80", "leave out `http://`"),
        ("/run/app.sock", "`unix:/run/app.sock`"),
        ("a b:80", "has `a b` where a host"),
        ("unix:", "needs the path"),
        ("unix:/run/", "needs the path"),
        ("fd://x", "needs the number"),
        ("fd://-1", "needs the number"),
    ],
)
def test_another_form_is_refused_with_what_was_expected(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Bind.parse(text)


@given(HOSTS, PORTS)
def test_an_address_that_is_written_reads_back_the_same(host: str, port: int) -> None:
    bind = Bind("tcp", host, port)
    assert Bind.parse(str(bind)) == bind


@given(st.text())
def test_any_text_gives_an_address_or_a_value_error(text: str) -> None:
    try:
        bind = Bind.parse(text)
    except ValueError:
        return
    assert Bind.parse(str(bind)) == bind


@pytest.mark.parametrize("text", ["8000", "fd://3", "unix:a", "[::1]:80"])
def test_each_kind_of_address_is_written_as_it_was_read(text: str) -> None:
    assert str(Bind.parse(text)) == text


def test_what_was_left_open_is_filled_in() -> None:
    base = Path("/srv")
    assert Bind.parse("80").settled("0.0.0.0", base) == Bind("tcp", "0.0.0.0", 80)
    assert Bind.parse(":80").settled("0.0.0.0", base) == Bind("tcp", "", 80)
    assert Bind.parse("unix:a").settled("", base) == Bind("unix", path="/srv/a")
    assert Bind.parse("unix:/b").settled("", base) == Bind("unix", path="/b")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:80", "http://127.0.0.1:80"),
        (":80", "http://127.0.0.1:80"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("unix:/a", None),
        ("fd://3", None),
    ],
)
def test_the_url_is_one_that_a_browser_on_this_machine_finds(text: str, url: str | None) -> None:
    assert Bind.parse(text).url == url


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("127.0.0.1:80", True),
        ("127.1.2.3:80", True),
        ("[::1]:80", True),
        ("localhost:80", True),
        (":80", False),
        ("10.0.0.1:80", False),
        ("unix:/a", False),
    ],
)
def test_loopback_is_recognised(text: str, *, is_loopback: bool) -> None:
    assert Bind.parse(text).is_loopback is is_loopback
