"""A request as it is typed for `trivet explain`."""

from __future__ import annotations

import pytest
from trivet.config.request import asked
from trivet.errors import ConfigError
from trivet.wire.routes import Asked


def made(url: str, *fields: str, method: str = "GET", client: str = "192.0.2.1") -> Asked:
    return asked(url, method=method, fields=fields, client=client)


@pytest.mark.parametrize(
    ("url", "host", "target", "secure"),
    [
        ("/a?b=c#d", "localhost", "/a?b=c", False),
        ("https://a.example", "a.example", "/", True),
        ("HTTP://a.example:81/x", "a.example:81", "/x", False),
        ("a.example/x", "a.example", "/x", False),
        ("https://a.example?x", "a.example", "/?x", True),
        ("/grüße", "localhost", "/gr%C3%BC%C3%9Fe", False),
        ("/%zz a", "localhost", "/%zz a", False),
        ("http://[::1]:8000/", "[::1]:8000", "/", False),
        ("*", "localhost", "*", False),
    ],
)
def test_a_url_is_taken_apart_and_not_repaired(
    url: str, host: str, target: str, *, secure: bool
) -> None:
    found = made(url)
    assert (found.fields, found.target, found.secure) == ((("Host", host),), target, secure)


def test_a_host_that_is_given_takes_the_place_of_that_in_the_url() -> None:
    assert made("http://a.example/", "host:b.example ", "X-A:  1").fields == (
        ("host", "b.example"),
        ("X-A", "1"),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "ftp://a/"}, "`ftp://a/` is no URL of HTTP"),
        ({"url": "/\n"}, "has a control character"),
        ({"method": "GE T"}, "`GE T` is no method"),
        ({"fields": ["X-A"]}, "`X-A` is no field"),
        ({"fields": ["X A: 1"]}, "`X A: 1` is no field"),
        ({"fields": ["X-A: 1\r\nHost: b"]}, "is no field"),
        ({"client": "here"}, "`here` is no address"),
    ],
)
def test_what_no_client_could_send_is_refused(arguments: dict[str, object], message: str) -> None:
    given = {"url": "/", "method": "GET", "fields": (), "client": "::1", **arguments}
    url = given.pop("url")
    with pytest.raises(ConfigError) as caught:
        asked(url, **given)  # type: ignore[arg-type]
    assert message in caught.value.message
