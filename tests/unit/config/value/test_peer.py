from __future__ import annotations

import pytest
from trivet.config.value.peer import Peer


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("*", "*"),
        (" unix ", "unix"),
        ("private", "private"),
        ("loopback", "loopback"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("0:0::1", "::1"),
        ("fd00::/8", "fd00::/8"),
    ],
)
def test_addresses_networks_and_words_are_read(text: str, peer: str) -> None:
    assert Peer(text) == peer


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nginx", "has `nginx`, which is neither"),
        ("10.0.0.1/8", "`10.0.0.0/8` is the network"),
        ("10.0.0.0/33", "neither"),
        ("", "neither"),
    ],
)
def test_anything_else_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Peer(text)
