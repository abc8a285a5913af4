"""Tests that an index is searchable by its columns' types, and refuses unknown fields."""

from __future__ import annotations

from typing import Any

import pytest

from sinks.elasticsearch.mapping import BULK_LOAD_SETTINGS, IndexSettings, InvalidMapping, index_body
from sinks.shape import DocumentShape


def mapping(columns: dict[str, str], collections: dict[str, dict[str, str]] | None = None) -> dict[str, Any]:
    fields: dict[str, Any] = index_body(DocumentShape("orders", columns, collections or {}), IndexSettings())[
        "mappings"
    ]
    return fields


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("bigint", "long"),
        ("int4", "integer"),
        ("smallint", "short"),
        ("numeric(12,2)", "double"),
        ("double precision[]", "double"),
        ("character varying(20)", "text"),
        ("boolean", "boolean"),
        ("timestamp(3) with time zone", "date"),
        ("date", "date"),
        ("jsonb", "object"),
        ("bytea", "object"),
        ("uuid", "keyword"),
        ("public.mood", "keyword"),
    ],
)
def test_a_column_is_searched_by_its_type(column: str, field: str) -> None:
    assert mapping({"it": column})["properties"]["it"]["type"] == field


@pytest.mark.parametrize("column", ["mood", 'public."Mood"', "mood[]"])
def test_an_enum_is_found_by_its_label_as_text_is(column: str) -> None:
    field = mapping({"it": column})["properties"]["it"]
    assert (field["type"], field["fields"]["keyword"]["type"]) == ("keyword", "keyword")


def test_text_is_found_by_word_and_as_a_whole() -> None:
    field = mapping({"status": "text"})["properties"]["status"]
    assert (field["type"], field["fields"]["keyword"]["type"]) == ("text", "keyword")


def test_a_collection_is_asked_for_item_by_item_and_by_the_whole() -> None:
    items = mapping({"id": "bigint"}, {"items": {"sku": "text"}})["properties"]["items"]
    assert (items["type"], items["include_in_root"], items["dynamic"]) == ("nested", True, "strict")


def test_no_object_takes_fields_that_it_does_not_know() -> None:
    fields = mapping({"id": "bigint"}, {"items": {"sku": "text"}})
    assert [fields["dynamic"], fields["properties"]["readmodels"]["dynamic"]] == ["strict", "strict"]


@pytest.mark.parametrize(
    ("columns", "collections"),
    [
        ({"readmodels": "text"}, {}),
        ({"items": "text"}, {"items": {"id": "bigint"}}),
        ({"id": "bigint"}, {"readmodels": {"id": "bigint"}}),
        ({"a.b": "text"}, {}),
        ({" ": "text"}, {}),
        ({"_id": "text"}, {}),
        ({"id": "bigint"}, {"items": {"_source": "text"}}),
    ],
)
def test_a_name_that_cannot_be_a_field_is_refused(
    columns: dict[str, str], collections: dict[str, dict[str, str]]
) -> None:
    with pytest.raises(InvalidMapping):
        mapping(columns, collections)


def test_the_widest_table_fits() -> None:
    index = index_body(DocumentShape("wide", {f"c{n}": "text" for n in range(1600)}), IndexSettings())
    assert index["settings"]["index"]["mapping"]["total_fields.limit"] > 2 * 1600


def test_copies_follow_the_nodes_unless_their_number_is_given() -> None:
    assert IndexSettings().serving_settings()["auto_expand_replicas"] == "0-1"
    assert IndexSettings(replicas=2).serving_settings()["number_of_replicas"] == 2


def test_an_index_that_is_filled_is_not_searched_until_it_is_complete() -> None:
    shape, settings = DocumentShape("orders", {"id": "bigint"}), IndexSettings(shards=3, replicas=2)
    building = index_body(shape, settings, is_complete=False)["settings"]["index"]
    assert (building["number_of_shards"], building["number_of_replicas"], building["refresh_interval"]) == (3, 0, "-1")
    assert BULK_LOAD_SETTINGS.keys() <= settings.serving_settings().keys(), "every one is taken back"
