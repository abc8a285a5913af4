"""Tests of the comparison between PostgreSQL's JSON text and a read model's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.definitions import ModelDefinitions, TableDefinition
from pipeline.stores.read_model import ModelKind
from pipeline.verify.comparison_set import ComparisonSet, documents, tables
from pipeline.verify.difference import Difference, DifferenceKind, differences
from tests.unit.sinks.ships import CONTRACT

(SHIPS,) = documents(CONTRACT)
ROWS = {subject.name: subject for subject in tables(CONTRACT)}

Found = list[tuple[DifferenceKind, str | None, str | None]]


def ship(**changes: Any) -> dict[str, Any]:
    return {
        "flag": "PA",
        "number": 7,
        "name": "Æolus",
        "crew": {"mate": 1.10, "cook": None},
        "seen_at": "2026-01-02T03:04:05.000006Z",
        "holds": [hold(1, "a"), hold(1, "b:c"), hold(2, "a")],
        **changes,
    }


def hold(number: int, slot: str, **changes: Any) -> dict[str, Any]:
    return {"number": number, "slot": slot, "flag": "PA", "ship": 7, "tons": "1.500", **changes}


def found(held: dict[str, Any] | None, shown: Any, subject: ComparisonSet = SHIPS) -> Found:
    texts = [None if one is None else one if isinstance(one, str) else json.dumps(one) for one in (held, shown)]
    return [(one.kind, one.part, one.column) for one in differences(subject, "PA:7", *texts)]


def test_equal_texts_are_equal() -> None:
    assert found(ship(), ship()) == []
    assert found(None, None) == []


def test_a_document_on_one_side_only_is_missing_or_phantom() -> None:
    assert found(ship(), None) == [(DifferenceKind.MISSING, None, None)]
    assert found(None, ship()) == [(DifferenceKind.PHANTOM, None, None)]


@pytest.mark.parametrize(
    "crew",
    ['{"cook": null, "mate": 1.1}', '{ "cook":null,\n"mate":1.100 }', '{"mate": 11e-1, "cook": null}'],
)
def test_json_is_compared_as_values_not_as_text(crew: str) -> None:
    text = json.dumps(ship()).replace(json.dumps(ship()["crew"]), crew)
    assert crew in text
    assert found(ship(), text) == []


@pytest.mark.parametrize(
    "crew", [{"mate": 1.10}, {"mate": "1.10", "cook": None}, {"mate": True, "cook": None}, None, []]
)
def test_another_json_value_is_different(crew: Any) -> None:
    held = ship(crew={"mate": 1, "cook": None}) if crew == {"mate": True, "cook": None} else ship()
    assert found(held, ship(crew=crew)) == [(DifferenceKind.DIFFERENT, None, "crew")]


def test_json_that_a_store_can_only_keep_as_text_is_the_same() -> None:
    assert found(ship(), ship(crew='{"cook": null, "mate": 1.1}')) == []
    assert found(ship(), ship(crew='{"cook": null}')) == [(DifferenceKind.DIFFERENT, None, "crew")]


NUMBERS = ModelDefinitions(
    topic_prefix="cdc",
    tables={
        "t": TableDefinition(source="public.t", key=("id",), columns={"id": "bigint", "n": "numeric", "m": "numeric[]"})
    },
    documents={},
)


@pytest.mark.parametrize(
    ("held", "shown", "is_same"),
    [
        ("20566.62060", "20566.6206", True),
        ("-0.50", "-0.5", True),
        ("100", "100.000", True),
        ("9", "90", False),
        ("1" + "0" * 5_000, "1" + "0" * 5_000 + ".0", True),
        ("0.1000000000000000000000000000001", "0.1", False),
        ("NaN", "NaN", True),
        ("NaN", "0", False),
        ("1", 1, False),
    ],
)
def test_numbers_are_compared_as_numbers_in_arrays_too(held: Any, shown: Any, is_same: bool) -> None:
    (subject,) = tables(NUMBERS)
    one, other = ({"id": 1, "n": value, "m": [[value, None]]} for value in (held, shown))
    wrong = [] if is_same else [(DifferenceKind.DIFFERENT, None, name) for name in ("n", "m")]
    assert found(one, other, subject) == wrong


def test_digits_beyond_a_double_count() -> None:
    held = '{"flag":"PA","number":7,"name":"","crew":0.1000000000000000055,"seen_at":null,"holds":[]}'
    assert [one.column for one in differences(SHIPS, "PA:7", held, held.replace("0055", "0054"))] == ["crew"]


def test_a_differing_column_is_named_with_both_values() -> None:
    assert differences(SHIPS, "PA:7", json.dumps(ship()), json.dumps(ship(name="Aeolus"))) == [
        Difference(DifferenceKind.DIFFERENT, "ships", "PA:7", None, "name", '"Æolus"', '"Aeolus"')
    ]


def test_numbers_are_shown_as_they_are() -> None:
    [one] = differences(SHIPS, "PA:7", json.dumps(ship(crew={"mate": 1.25})), json.dumps(ship(crew=["1.25"])))
    assert (one.expected, one.shown) == ('{"mate": 1.25}', '["1.25"]')


def test_a_long_value_is_shortened() -> None:
    [one] = differences(SHIPS, "PA:7", json.dumps(ship(name="x" * 500)), json.dumps(ship(name="y")))
    assert one.expected is not None
    assert len(one.expected) == 80


def test_columns_that_only_one_side_has_are_missing_or_phantom() -> None:
    without = ship()
    del without["name"]
    assert found(ship(), without) == [(DifferenceKind.MISSING, None, "name")]
    assert found(ship(), ship(captain="K")) == [(DifferenceKind.PHANTOM, None, "captain")]


def test_a_row_whose_own_time_is_earlier_is_stale() -> None:
    older = ship(name="Eolus", seen_at="2026-01-02T03:04:05.000005Z")
    assert found(ship(), older) == [(DifferenceKind.STALE, None, "name"), (DifferenceKind.STALE, None, "seen_at")]
    later = ship(name="Eolus", seen_at="2027-01-02T03:04:05.000005Z")
    assert found(ship(), later) == [
        (DifferenceKind.DIFFERENT, None, "name"),
        (DifferenceKind.DIFFERENT, None, "seen_at"),
    ]


def test_items_are_identified_by_their_keys_in_any_order() -> None:
    first, second, third = ship()["holds"]
    assert found(ship(), ship(holds=[third, second, first])) == []
    assert found(ship(), ship(holds=[first, third])) == [(DifferenceKind.MISSING, "holds/1:b\\:c", None)]
    assert found(ship(), ship(holds=[*ship()["holds"], hold(9, "z")])) == [(DifferenceKind.PHANTOM, "holds/9:z", None)]
    assert found(ship(), ship(holds=[first, second, {**third, "tons": "1.501"}])) == [
        (DifferenceKind.DIFFERENT, "holds/2:a", "tons")
    ]


def test_an_item_that_stands_twice_is_a_phantom_once() -> None:
    first = ship()["holds"][0]
    assert found(ship(), ship(holds=[*ship()["holds"], first])) == [(DifferenceKind.PHANTOM, "holds/1:a", None)]


@pytest.mark.parametrize("shown", ["", "{", "[]", "7", "\\x80"])
def test_json_that_is_no_object_differs_as_a_whole(shown: str) -> None:
    assert found(ship(), shown) == [(DifferenceKind.DIFFERENT, None, None)]


def test_a_collection_that_is_no_array_of_objects_is_different() -> None:
    shown: list[Any] = [None, {}, [1]]
    for holds in shown:
        assert found(ship(), ship(holds=holds)) == [(DifferenceKind.DIFFERENT, None, "holds")]


def test_a_table_distinguishes_the_json_null_from_null() -> None:
    row = {name: value for name, value in ship().items() if name != "holds"}
    cargo = ROWS["ships"]
    assert cargo.form is ModelKind.ROW
    assert found({**row, "crew": '{"a": 1.0}'}, {**row, "crew": '{"a":1}'}, cargo) == []
    assert found({**row, "crew": "null"}, {**row, "crew": None}, cargo) == [(DifferenceKind.DIFFERENT, None, "crew")]
