import pytest
from trivet.config.value.rate import Rate


@pytest.mark.parametrize(
    ("text", "parts", "shown"),
    [
        ("20/s", (20, 1, 20), "20/s"),
        ("100/m burst 50", (100, 60, 50), "100/m burst 50"),
        (" 5 / 10s ", (5, 10, 5), "5/10s"),
        ("1/24h", (1, 86400, 1), "1/24h"),
        ("3/120s burst 3", (3, 120, 3), "3/2m"),
        ("1/s burst 999999999", (1, 1, 999999999), "1/s burst 999999999"),
    ],
)
def test_a_rate_is_read_and_written(text: str, parts: tuple[int, int, int], shown: str) -> None:
    rate = Rate(text)
    assert (rate.requests, rate.per_s, rate.burst) == parts
    assert str(rate) == shown
    assert Rate(shown) == rate
    assert hash(Rate(rate)) == hash(rate)


def test_none_at_all_is_off() -> None:
    assert str(Rate(0)) == "off"
    assert Rate(0).requests == 0
    assert Rate(0) != Rate("1/s")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a rate"),
        ("20", "must be a rate"),
        ("20/", "must be a rate"),
        ("20/d", "must be a rate"),
        ("-1/s", "must be a rate"),
        ("1.5/s", "must be a rate"),
        ("20/s burst", "must be a rate"),
        ("20/s burst 1 2", "must be a rate"),
        ("²/s", "must be a rate"),
        ("0/s", "must let one request through at least"),
        ("1/s burst 0", "must let one request through at least"),
        ("1/0s", "must be for one day at the most"),
        ("1/25h", "must be for one day at the most"),
    ],
)
def test_another_form_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rate(text)
