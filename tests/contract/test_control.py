"""The control contract from Python's side; `cargo test` reads the same vectors."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trivet.wire import control, line_socket

from tests.contract.vectors import vectors

DECODERS = {"from_edge": control.decode_from_edge, "to_edge": control.decode_to_edge}

U32 = st.integers(0, 2**32 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FAILED_REQUEST = st.builds(
    control.FailedRequest,
    id=TEXT,
    method=TEXT,
    target=TEXT,
    mount=TEXT,
    route=st.none() | TEXT,
    client=TEXT,
    attempts=U32,
    received_unix_us=U32,
    handed_out_us=st.none() | U32,
    started_us=st.none() | U32,
    answered_us=st.none() | U32,
    failed_us=U32,
    outcome=st.sampled_from(["answered", "cut", "gone", "retried", "whole"]),
    status=U32,
)


@pytest.mark.parametrize("vector", vectors("control/valid"))
def test_a_valid_line_is_understood_and_written_the_same(vector: dict[str, str]) -> None:
    message = DECODERS[vector["direction"]](vector["line"].encode())
    line = control.encode(message)
    assert line.endswith(b"\n")
    assert json.loads(line) == json.loads(vector["line"])


@pytest.mark.parametrize(
    "vector", [each for each in vectors("control/invalid") if "only" not in each.values[0]]
)
def test_an_invalid_line_is_refused(vector: dict[str, str]) -> None:
    with pytest.raises(msgspec.DecodeError):
        DECODERS[vector["direction"]](vector["line"].encode())


def test_a_line_never_contains_a_line_end() -> None:
    line = control.encode(control.Log(level="info", text="a\nb\r"))
    assert line.count(b"\n") == 1


def test_every_message_has_a_valid_vector() -> None:
    lines = [json.loads(each.values[0]["line"]) for each in vectors("control/valid")]
    types = {line["type"] for line in lines}
    known = {each.__struct_config__.tag for each in _message_types()} - {None}
    assert types == known


def test_no_field_has_a_default() -> None:
    fields = [field for each in _message_types() for field in msgspec.structs.fields(each)]
    assert [field.name for field in fields if not field.required] == []


def test_the_longest_line_is_the_same_on_both_sides(root: Path) -> None:
    source = (root / "crates/trivet-wire/src/control.rs").read_text("utf-8")
    found = re.search(r"MAX_LINE_BYTES: usize = (\d+) << (\d+);", source)
    assert found
    assert int(found[1]) << int(found[2]) == line_socket.MAX_LINE_BYTES


def _message_types() -> list[type[msgspec.Struct]]:
    return [
        value
        for value in vars(control).values()
        if isinstance(value, type)
        and issubclass(value, msgspec.Struct)
        and value.__module__ == control.__name__
        and not value.__name__.startswith("_")
    ]


@given(
    st.one_of(
        st.builds(
            control.WorkerLost,
            worker=U32,
            reason=TEXT,
            started=U32,
            retried=U32,
            broke_contract=st.booleans(),
        ),
        st.builds(
            control.RequestFailed,
            worker=U32,
            request=FAILED_REQUEST,
            raised=st.none() | st.builds(control.Raised, error=TEXT, place=TEXT, trace=TEXT),
            dropped=U32,
        ),
        st.builds(
            control.RequestOverdue,
            worker=U32,
            request=U32,
            cause=st.sampled_from(control.Overdue),
            running_ms=st.none() | U32,
            method=TEXT,
            path=TEXT,
            id=TEXT,
            failed=st.none() | FAILED_REQUEST,
            dropped=U32,
        ),
        st.builds(control.WorkerDrained, worker=U32),
        st.builds(control.WorkerWarmed, worker=U32, failed=st.none() | TEXT),
        st.builds(control.Ready, version=U32, pid=U32),
        st.builds(control.Refused, reason=TEXT),
        st.builds(control.Reconfigured, id=U32, refused=st.none() | TEXT),
        st.builds(control.Log, level=TEXT, text=TEXT),
    )
)
def test_what_the_edge_says_survives_the_way(message: control.FromEdge) -> None:
    assert control.decode_from_edge(control.encode(message)) == message


@given(
    st.one_of(
        st.builds(
            control.AddWorker,
            fds=U32,
            worker=U32,
            app=U32,
            pid=U32,
            threads=U32,
            concurrency=U32,
            warm_up=st.none()
            | st.builds(control.WarmUp, paths=st.tuples(TEXT, TEXT), host=TEXT, timeout_ms=U32),
        ),
        st.builds(control.ServeWorker, worker=U32),
        st.builds(control.DrainWorker, worker=U32),
        st.builds(control.WorkerDied, worker=U32, reason=TEXT),
        st.builds(control.Drain, deadline_ms=U32),
    )
)
def test_what_the_supervisor_says_survives_the_way(message: control.ToEdge) -> None:
    assert control.decode_to_edge(control.encode(message)) == message
