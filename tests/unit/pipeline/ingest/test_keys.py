"""Tests of document keys of several columns, and of types whose equal values have several texts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from connectors.envelope import SourceTable, envelope_schema
from pipeline.definitions import CollectionDefinition, DocumentDefinition, ModelDefinitions, TableDefinition
from pipeline.ingest.key_text import UnfitKey, columns_of, integer_of, key_text, key_type, part_text
from pipeline.ingest.projection import DocumentProjection


def contract(root: str, child: str) -> ModelDefinitions:
    """Return definitions of a root and a child whose keys have these types."""
    return ModelDefinitions(
        topic_prefix="cdc",
        tables={
            "roots": TableDefinition(source="public.roots", key=("id",), columns={"id": root}),
            "items": TableDefinition(source="public.items", key=("id",), columns={"id": "bigint", "root": child}),
        },
        documents={
            "roots": DocumentDefinition(
                root="roots", collections={"items": CollectionDefinition(table="items", parent=("root",))}
            )
        },
    )


def keys(described: ModelDefinitions, table: str, row: dict[str, Any]) -> list[str]:
    """Return the documents that the insertion of a row changes."""
    place = {"partition": 0, "offset": 0, "op": "c", "snapshot": False, "commit_lsn": 10, "lsn": 11, "committed_at": 0}
    shape = described.tables[table]
    schema = envelope_schema(SourceTable(shape.source, shape.columns))
    inserted = pa.Table.from_pylist([{**place, "before": None, "after": row}], schema=schema)
    (mutations,) = DocumentProjection(described)(table, inserted).mutations
    found: list[str] = mutations.changes["key"].to_pylist()
    return found


@pytest.mark.parametrize(
    ("types", "root", "child"),
    [
        (("numeric", "numeric"), "1.0", "1.00"),
        (("numeric(10,2)", "numeric(12,4)"), "1.50", "1.5000"),
        (("bigint", "numeric(10,2)"), 7, "7.00"),
        (("integer", "bigint"), -(2**31), -(2**31)),
        (("character(5)", "character(8)"), "ab   ", "ab      "),
        (("character(5)", "text"), "ab   ", "ab"),
    ],
)
def test_a_child_finds_its_document_however_its_key_is_written(
    types: tuple[str, str], root: object, child: object
) -> None:
    described = contract(*types)
    assert keys(described, "roots", {"id": root}) == keys(described, "items", {"id": 1, "root": child})


@pytest.mark.parametrize("table", ["roots", "items"])
def test_a_key_that_is_updated_to_an_equal_one_stays_alive(table: str) -> None:
    described = replace_key(contract("numeric", "numeric"))
    rows = {
        "roots": ({"id": "1.0"}, {"id": "1.00"}),
        "items": ({"id": "5.0", "root": "1"}, {"id": "5.00", "root": "1"}),
    }
    old, new = rows[table]
    place = {"partition": 0, "snapshot": False, "commit_lsn": 10, "lsn": 11, "committed_at": 0}
    shape = described.tables[table]
    changes = [
        {**place, "offset": 7, "op": "d", "before": old, "after": None},
        {**place, "offset": 8, "op": "c", "before": None, "after": new},
    ]
    schema = envelope_schema(SourceTable(shape.source, shape.columns))
    for order in (changes, changes[::-1]):
        (mutations,) = DocumentProjection(described)(table, pa.Table.from_pylist(order, schema=schema)).mutations
        [row] = mutations.changes.to_pylist()
        assert (row["key"], row["_deleted"]) == ("1", False)


def replace_key(described: ModelDefinitions) -> ModelDefinitions:
    """Return the definitions with items whose own key is a numeric, too."""
    items = replace(described.tables["items"], columns={"id": "numeric", "root": "numeric"})
    return replace(described, tables={**described.tables, "items": items})


def texts(*columns: list[Any]) -> list[pa.ChunkedArray]:
    return [pa.chunked_array([pa.array(column)]) for column in columns]


STRANGE = ["", " ", "a", "a ", " a", ":", "a:", "\\", "\\:", "a\\", "\\ ", "a b", "a\nb", "::"]


@pytest.mark.parametrize("write", [key_text, part_text])
def test_keys_of_two_texts_are_never_confused(write: Any) -> None:
    pairs = [(one, other) for one in STRANGE for other in STRANGE]
    written = write(texts(*map(list, zip(*pairs, strict=True))), ["text", "character varying(9)"]).to_pylist()
    assert len(set(written)) == len(pairs)


def test_a_key_is_taken_apart_into_what_it_was_made_of() -> None:
    pairs = [(one, other) for one in STRANGE for other in STRANGE]
    written = key_text(texts(*map(list, zip(*pairs, strict=True))), ["text", "text"]).to_pylist()
    assert [tuple(columns_of(text, 2)) for text in written] == pairs
    assert columns_of("a:b\\", 1) == ["a:b\\"]
    for wrong in ("a", "a:b:c", "a\\:b", ""):
        with pytest.raises(UnfitKey):
            columns_of(wrong, 2)


def test_the_parts_of_keys_with_one_text_are_what_they_were() -> None:
    assert part_text(texts([3], ["x y\\"]), ["bigint", "text"]).to_pylist() == ["09223372036854775811 x y\\"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        *((text, None) for text in ("", "-", "-0", "007", "+1", "1.0", " 1", "٣", "9" * 40)),
    ],
)
def test_an_integer_is_read_exactly_as_it_is_written(text: str, number: int | None) -> None:
    assert integer_of(text) == number


@pytest.mark.parametrize(
    "text",
    ["real", "float8", "money", "interval", "time with time zone", "jsonb", "citext", "text[]", "numeric(9,2)[]"],
)
def test_a_type_whose_equal_values_differ_in_text_is_no_key(text: str) -> None:
    with pytest.raises(UnfitKey):
        key_type(text)
