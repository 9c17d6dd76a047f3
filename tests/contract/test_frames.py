"""The frames from Python's side, through the one codec; `cargo test` reads the same vectors."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from trivet import _trivet

from tests.contract.vectors import vectors


@pytest.mark.parametrize("vector", vectors("frames/valid"))
def test_a_valid_frame_is_read(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    decoded = _trivet.decode_frame(data + b"the next frame")
    assert decoded is not None
    assert json.loads(decoded[0]) == vector["frame"]
    assert decoded[1] == len(data)


@pytest.mark.parametrize("vector", vectors("frames/valid"))
def test_a_valid_frame_is_written(vector: dict[str, Any]) -> None:
    assert _trivet.encode_frame(json.dumps(vector["frame"])) == bytes.fromhex(vector["hex"])


@pytest.mark.parametrize("vector", vectors("frames/valid"))
def test_a_frame_is_not_there_until_its_last_byte_is(vector: dict[str, Any]) -> None:
    assert _trivet.decode_frame(bytes.fromhex(vector["hex"])[:-1]) is None


@pytest.mark.parametrize(
    "vector", [each for each in vectors("frames/invalid") if "hex" in each.values[0]]
)
def test_an_invalid_frame_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="frame") as refusal:
        _trivet.decode_frame(bytes.fromhex(vector["hex"]))
    assert str(refusal.value) == vector["error"]


@pytest.mark.parametrize(
    "vector", [each for each in vectors("frames/invalid") if "frame" in each.values[0]]
)
def test_json_that_is_no_frame_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=re.escape(vector["error"])):
        _trivet.encode_frame(json.dumps(vector["frame"]))


def test_every_kind_has_a_valid_vector() -> None:
    kinds = {each.values[0]["frame"]["value"]["kind"] for each in vectors("frames/valid")}
    both = {"close", "hello", "message"}
    to_worker = {"body", "cancel", "credit", "request"}
    to_edge = {"data", "failed", "file", "read", "response", "trailers"}
    assert kinds == both | to_worker | to_edge


def test_what_the_gate_lets_through_fits_the_lengths_of_a_frame(root: Path) -> None:
    source = (root / "crates/trivet-core/src/http1/head.rs").read_text("utf-8")
    limits = dict(re.findall(r"const (MOST_\w+_BYTES): usize = ([\d_]+);", source))
    assert {name: int(value) for name, value in limits.items()} == {
        "MOST_NAME_BYTES": 2**8 - 1,
        "MOST_PART_BYTES": 2**16 - 1,
    }
