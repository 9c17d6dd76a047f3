from typing import Literal

import pytest
from trivet.wire import record
from trivet.wire.record import Record, RecordError


class Part(Record):
    name: str
    size: tuple[int, int] | None


class Whole(Record, tag="whole"):
    number: int
    seconds: float
    kind: Literal["a", "b"]
    parts: tuple[Part, ...]
    table: dict[str, str]


class Other(Record, tag="other"):
    """Has no fields."""


class Outer(Record, tag="outer"):
    inner: Other


MESSAGES = record.by_tag(Whole, Other, Outer)
WHOLE = Whole(
    number=1,
    seconds=2.0,
    kind="a",
    parts=(Part(name="\udcff\n", size=(1, 2)), Part(name="", size=None)),
    table={"x": "y"},
)


def test_a_message_comes_back_as_it_went() -> None:
    line = record.encode(WHOLE)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert record.decode(line, MESSAGES) == WHOLE
    assert record.decode(record.encode(Other()), MESSAGES) == Other()
    assert record.decode(record.encode(Outer(inner=Other())), MESSAGES) == Outer(inner=Other())


def test_a_whole_number_is_a_number_of_seconds() -> None:
    line = record.encode(WHOLE).replace(b"2.0", b"2")
    assert record.decode(line, MESSAGES) == WHOLE


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff", "no JSON"),
        (b"NaN", "no JSON"),
        (b"[]", "no message of these types: whole, other, outer"),
        (b"{}", "no message of these types"),
        (b'{"type":["other"]}', "no message of these types"),
        (b'{"type":"third"}', "no message of these types"),
        (b'{"type":"other","more":1}', "`other.more` is not known"),
        (b'{"type":"whole"}', "`whole.kind` is missing"),
        (record.encode(WHOLE).replace(b":1,", b":true,"), "`whole.number` has a value of another"),
        (record.encode(WHOLE).replace(b":1,", b":1.5,"), "`whole.number` has a value of another"),
        (record.encode(WHOLE).replace(b":2.0", b":null"), "`whole.seconds` has a value of"),
        (record.encode(WHOLE).replace(b'"a"', b'"c"'), "`whole.kind` has a value of another"),
        (record.encode(WHOLE).replace(b"[1,2]", b"[1]"), "`whole.parts.size` must have 2 elem"),
        (record.encode(WHOLE).replace(b"[1,2]", b'["1",2]'), "`whole.parts.size` has a value"),
        (record.encode(WHOLE).replace(b'{"x":"y"}', b'{"x":1}'), "`whole.table.x` has a value"),
        (record.encode(WHOLE).replace(b'[{"name"', b'[7,{"name"'), "`whole.parts` must be an obj"),
    ],
)
def test_what_is_no_whole_message_is_refused(line: bytes, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        record.decode(line, MESSAGES)
    assert reason in str(caught.value)
