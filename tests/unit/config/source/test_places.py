from __future__ import annotations

import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from trivet.config.source.places import places
from trivet.config.source.toml import loads

TEXT = '''\
# a comment with = and [brackets]
app = "shop:app" # another
"quoted key" = 1
'literal' = 'x'
dotted.inner.deep = true
when = 1979-05-27 07:32:00
list = [
  1, # one
  [2, "]"],
  { a = 1, b.c = [3] },
]
text = """
[not.a.table]
fake = 1 \\""" still
"""
raw = \'\'\'
[neither]
\'\'\'\'\'
inline = { x = "}", "y z" = \'{\' }

[server]
port = 80
  [ server . "odd name" ]
  v=1
[[route]]
path = "/a"
[route.more]
w = 1
[[ route ]]
path = "/b"
"esc\\u0061pe\\"d" = 2
'''


def line_of(*keys: str | int) -> int:
    return places(TEXT, "f")[keys].line


def test_keys_at_the_top_are_found_by_line() -> None:
    assert [line_of("app"), line_of("quoted key"), line_of("literal"), line_of("when")] == [
        2, 3, 4, 6,
    ]  # fmt: skip


def test_every_part_of_a_dotted_key_is_found() -> None:
    assert [line_of("dotted"), line_of("dotted", "inner", "deep")] == [5, 5]


def test_elements_of_lists_and_inline_tables_are_found() -> None:
    assert [line_of("list", 0), line_of("list", 1, 1), line_of("list", 2, "b", "c")] == [8, 9, 10]
    assert line_of("inline", "y z") == 19


def test_what_looks_like_a_key_inside_a_text_is_none() -> None:
    found = places(TEXT, "f")
    assert not {("fake",), ("not",), ("neither",)} & set(found)


def test_tables_and_what_is_in_them_are_found() -> None:
    assert [line_of("server"), line_of("server", "port")] == [21, 22]
    assert [line_of("server", "odd name"), line_of("server", "odd name", "v")] == [23, 24]


def test_tables_of_an_array_are_counted() -> None:
    assert [line_of("route", 0), line_of("route", 0, "path")] == [25, 26]
    assert line_of("route", 0, "more", "w") == 28
    assert [line_of("route", 1), line_of("route", 1, "path")] == [29, 30]


def test_escapes_in_a_quoted_key_are_undone() -> None:
    assert line_of("route", 1, 'escape"d') == 31


def test_a_place_holds_column_width_and_the_line() -> None:
    place = places(TEXT, "f")["server", "odd name", "v"]
    assert (place.column, place.width, place.text) == (3, 1, "  v=1")
    assert str(place) == "f:24:3"


def test_windows_line_ends_do_not_move_places() -> None:
    assert places("a = 1\r\nb = 2\r\n", "f")["b",].line == 2


def test_an_empty_text_has_no_places() -> None:
    assert places("", "f") == {}


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    if isinstance(value, dict):
        pairs = [*value.items()]
    elif isinstance(value, list):
        pairs = [*enumerate(value)]
    else:
        return {path}
    return {path} | {one for key, each in pairs for one in paths_of(each, (*path, key))}


def test_exactly_the_paths_of_the_decoded_text_are_found() -> None:
    assert set(places(TEXT, "f")) == paths_of(loads(TEXT)) - {()}


KEYS = st.text(string.ascii_letters + "\"\\. \t#=[]'é", max_size=5)
SCALARS = st.one_of(
    st.integers(), st.booleans(), st.text(string.printable + "é", max_size=12), st.floats(1, 9)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


def written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[ " + ",\n # ] comment\n ".join(map(written, value)) + " ]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)} = {written(v)}" for k, v in value.items()) + "}"
    return repr(value)


def quoted(text: str) -> str:
    return '"' + "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in text) + '"'


def has_list(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(has_list, value.values()))
    return isinstance(value, list)


def flat(value: Any) -> Any:
    """TOML before 1.1 allows no line end between the braces of an inline table."""
    if isinstance(value, dict):
        return {key: 0 if has_list(each) else each for key, each in value.items()}
    return [flat(each) for each in value] if isinstance(value, list) else value


@given(document=st.dictionaries(KEYS, VALUES.map(flat), max_size=4), crlf=st.booleans())
def test_any_document_gives_exactly_its_paths(*, document: dict[str, Any], crlf: bool) -> None:
    text = "".join(f"{quoted(key)} = {written(each)}\n" for key, each in document.items())
    text = text.replace("\n", "\r\n") if crlf else text
    assert set(places(text, "f")) == paths_of(loads(text)) - {()}
