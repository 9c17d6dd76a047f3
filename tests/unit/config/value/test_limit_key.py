import pytest
from trivet.config.value.limit_key import LimitKey


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("address", ("address", "", 32, 64)),
        ("address/24", ("address", "", 24, 64)),
        ("address/24/56", ("address", "", 24, 56)),
        ("address/0/0", ("address", "", 0, 0)),
        ("field:x-api-key", ("field", "x-api-key", 32, 64)),
        ("cookie:Session", ("cookie", "Session", 32, 64)),
        ("route", ("route", "", 32, 64)),
    ],
)
def test_a_key_is_read_and_written(text: str, parts: tuple[str, str, int, int]) -> None:
    key = LimitKey(text)
    assert (key.kind, key.name, key.v4_prefix, key.v6_prefix) == parts
    assert str(key) == text
    assert LimitKey(key) == key
    assert hash(LimitKey(text)) == hash(key)


def test_names_of_fields_have_no_case() -> None:
    assert LimitKey("field:X-Api-Key") == LimitKey("field:x-api-key")
    assert LimitKey("cookie:A") != LimitKey("cookie:a")
    assert LimitKey("route") != "route"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a key"),
        ("ip", "must be a key"),
        ("address/", "must be a key"),
        ("address/-1", "must be a key"),
        ("address/24/", "must be a key"),
        ("field", "must be a key"),
        ("field:", "must be a key"),
        ("field:a b", "must be a key"),
        ("cookie:a=b", "must be a key"),
        ("route:x", "must be a key"),
        ("address/33", "longer than an address"),
        ("address/24/129", "longer than an address"),
    ],
)
def test_another_form_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LimitKey(text)
