"""The edge's configuration from both sides; `cargo test` reads the same vectors."""

import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from trivet import _trivet
from trivet.config import Platform, Settings, load, to_edge_config
from trivet.config.option import definitions
from trivet.wire import WIRE_VERSION, edge_config
from trivet.wire.edge_config import EdgeConfig, Listener

from tests.contract.vectors import vectors


def document(vector: dict[str, Any]) -> bytes:
    text = vector.get("text")
    return (json.dumps(vector["document"]) if text is None else text).encode()


@pytest.mark.parametrize("vector", vectors("edge_config/valid"))
def test_a_valid_document_is_accepted_by_both(vector: dict[str, Any]) -> None:
    _trivet.check_edge_config(document(vector))
    config = EdgeConfig.from_json(document(vector))
    assert json.loads(config.to_json()) == vector["document"]
    _trivet.check_edge_config(config.to_json())


@pytest.mark.parametrize("vector", vectors("edge_config/invalid"))
def test_an_invalid_document_is_refused_by_the_edge(vector: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=re.escape(vector["error"])):
        _trivet.check_edge_config(document(vector))


@pytest.mark.parametrize(
    "vector", [each for each in vectors("edge_config/invalid") if "only" not in each.values[0]]
)
def test_an_invalid_document_is_refused_by_python(vector: dict[str, Any]) -> None:
    with pytest.raises(msgspec.DecodeError):
        EdgeConfig.from_json(document(vector))


def test_the_default_configuration_survives_the_way() -> None:
    listener = Listener(name="127.0.0.1:8000", port=8000, unix=False)
    config = to_edge_config(Settings(), [listener], apps=[("app:app", Settings())])
    _trivet.check_edge_config(config.to_json())
    assert EdgeConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("bound", ["minimum", "maximum"])
def test_the_edge_accepts_whatever_the_settings_do(bound: str, tmp_path: Path) -> None:
    bounds = {
        each.path: getattr(each.option, bound)
        for each in definitions(Settings)
        if getattr(each.option, bound) is not None
        and each.path != "server.port"
        and each.section != "task"
    }
    assert len(bounds) > 10
    rows = {"route": 'path = "/"\n', "static": 'path = "/static/"\nfolder = "."\n'}
    tables = {name: [f"[[{name}]]\n", needed] for name, needed in rows.items()}
    top = []
    for path, value in bounds.items():
        section, _, name = path.partition(".")
        if section in tables:
            tables[section].append(f"{name} = {json.dumps(value)}\n")
        else:
            top.append(f"{path} = {json.dumps(value)}\n")
    lines = [*top, *(line for table in tables.values() for line in table)]
    (tmp_path / "trivet.toml").write_text("".join(lines))
    settings = load({}, {}, tmp_path, Platform(cpus=2, cpus_because="two")).settings
    config = to_edge_config(settings, [], apps=[("app:app", settings)])
    _trivet.check_edge_config(config.to_json())
    assert EdgeConfig.from_json(config.to_json()) == config


def test_both_sides_have_one_version() -> None:
    assert _trivet.WIRE_VERSION == WIRE_VERSION


def test_the_first_vector_has_every_field_of_every_type() -> None:
    (first, *_) = vectors("edge_config/valid")
    assert first.id == "001-every-part"
    filled = {type(each) for each in _structs(EdgeConfig.from_json(document(first.values[0])))}
    assert filled == set(_types(EdgeConfig))


def test_no_field_has_a_default() -> None:
    fields = [field for each in _types(EdgeConfig) for field in msgspec.structs.fields(each)]
    assert [field.name for field in fields if not field.required] == []


def _structs(value: object) -> Iterator[msgspec.Struct]:
    """Yield every record in a document, itself included."""
    if isinstance(value, msgspec.Struct):
        yield value
        value = tuple(getattr(value, name) for name in value.__struct_fields__)
    if isinstance(value, tuple):
        for each in value:
            yield from _structs(each)


def _types(annotation: Any) -> Iterator[type[msgspec.Struct]]:
    """Yield every record type that an annotation leads to."""
    if get_origin(annotation) in {tuple, types.UnionType}:
        for each in get_args(annotation):
            yield from _types(each)
    elif isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
        for each in get_type_hints(annotation, vars(edge_config)).values():
            yield from _types(each)
