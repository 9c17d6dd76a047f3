"""The ring of incidents: bounds, and finding by id."""

import msgspec
import pytest
from trivet.supervisor.incidents.store import IncidentStore
from trivet.wire.incident import encode

from tests.unit.supervisor.incidents.made import incident, request


def test_the_oldest_goes_when_there_are_too_many() -> None:
    store = IncidentStore(most=3, most_bytes=1 << 20)
    for number in range(5):
        store.add(incident(f"id{number}"))
    assert [each.id for each in store.newest_first()] == ["id4", "id3", "id2"]
    assert store.total == 5


def test_the_oldest_goes_when_they_are_too_large() -> None:
    size = len(encode(incident("id0")))
    store = IncidentStore(most=100, most_bytes=2 * size)
    for number in range(3):
        store.add(incident(f"id{number}"))
    assert [each.id for each in store.newest_first()] == ["id2", "id1"]
    store.add(incident("id3", stack="x" * 10 * size))
    assert [each.id for each in store.newest_first()] == ["id3"]


def test_an_incident_is_found_by_each_of_its_requests() -> None:
    store = IncidentStore(most=9, most_bytes=1 << 20)
    store.add(incident("one", requests=(request("one"), request("two"))))
    store.add(incident("three", requests=(request("two"),)))
    assert [each.id for each in store.find("one")] == ["one"]
    assert [each.id for each in store.find("two")] == ["three", "one"]


@pytest.mark.parametrize(
    ("wanted", "found"), [("0193aa", ["0193aa-1"]), ("-2", ["0193ab-2"]), ("0193", []), ("", [])]
)
def test_a_part_of_an_id_is_enough_if_it_is_of_just_one(wanted: str, found: list[str]) -> None:
    store = IncidentStore(most=9, most_bytes=1 << 20)
    store.add(incident("0193aa-1"))
    store.add(incident("0193ab-2"))
    assert [each.id for each in store.find(wanted)] == found


def test_an_incident_has_no_place_for_what_is_secret() -> None:
    names = {field.name for field in msgspec.structs.fields(type(request("")))}
    assert not names & {"fields", "headers", "cookies", "content", "body", "query"}
