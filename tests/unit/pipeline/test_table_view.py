"""Tests of the columns that a document shows, as declared, in the stores' shapes and in the projection."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from connectors.envelope import SourceTable, envelope_schema
from pipeline.definitions import (
    CollectionDefinition,
    DocumentDefinition,
    IndexDefinition,
    KeyDefinition,
    ModelDefinitions,
    TableDefinition,
    parse_definitions,
)
from pipeline.ingest.projection import DocumentProjection
from pipeline.invalid_definitions import InvalidDefinitions
from sinks.shape import DocumentShape

TABLES = {
    "orders": TableDefinition(
        source="public.orders", key=("id",), columns={"id": "bigint", "status": "text", "secret": "text"}
    ),
    "lines": TableDefinition(
        source="public.lines",
        key=("order_id", "line"),
        columns={"order_id": "bigint", "line": "integer", "sku": "text", "gift_to": "bigint"},
    ),
}
LINES = CollectionDefinition(table="lines", parent=("order_id",), exclude=("order_id", "gift_to"), rename={"sku": "ä"})
DOCUMENT = DocumentDefinition(
    root="orders", exclude=("secret",), rename={"status": "state"}, collections={"lines": LINES}
)


def definitions(document: DocumentDefinition = DOCUMENT) -> ModelDefinitions:
    return ModelDefinitions(topic_prefix="cdc", tables=TABLES, documents={"sales": document})


def projected(table: str, *rows: dict[str, Any], made_of: ModelDefinitions | None = None) -> list[dict[str, Any]]:
    source = SourceTable(TABLES[table].source, TABLES[table].columns)
    known = {"partition": 0, "snapshot": False, "commit_lsn": 10, "committed_at": 0, "before": None, "after": None}
    envelopes = pa.Table.from_pylist(
        [{**known, "offset": at, "lsn": 11 + at, **row} for at, row in enumerate(rows)], schema=envelope_schema(source)
    )
    found = DocumentProjection(made_of or definitions())(table, envelopes).mutations
    return [row for mutations in found for row in mutations.changes.to_pylist()]


def test_a_store_knows_only_the_fields_that_are_shown() -> None:
    assert definitions().document_shapes() == [
        DocumentShape("sales", {"id": "bigint", "state": "text"}, {"lines": {"line": "integer", "ä": "text"}})
    ]


def test_a_document_holds_only_the_fields_that_are_shown() -> None:
    [root] = projected("orders", {"op": "c", "after": {"id": 1, "status": "new", "secret": "4711"}})
    [line] = projected("lines", {"op": "c", "after": {"order_id": 1, "line": 2, "sku": "A", "gift_to": None}})
    assert json.loads(root["image"]) == {"id": 1, "state": "new"}
    assert json.loads(line["image"]) == {"line": 2, "ä": "A"}


def test_a_row_moves_between_documents_by_a_column_that_is_not_shown() -> None:
    before = {"order_id": 1, "line": 2, "sku": "A", "gift_to": None}
    moved = projected("lines", {"op": "u", "before": before, "after": {**before, "order_id": 3}})
    assert {row["key"]: row["_deleted"] for row in moved} == {"1": True, "3": False}


def test_one_table_fills_several_collections_of_several_documents() -> None:
    gifts = replace(LINES, parent=("gift_to",), exclude=())
    both = replace(DOCUMENT, collections={"lines": LINES, "gifts": gifts})
    made_of = ModelDefinitions(topic_prefix="cdc", tables=TABLES, documents={"sales": both, "plain": DOCUMENT})
    found = projected(
        "lines", {"op": "c", "after": {"order_id": 1, "line": 2, "sku": "A", "gift_to": 5}}, made_of=made_of
    )
    assert [(row["key"], row["part"].partition("/")[0]) for row in found] == [
        ("1", "lines"),
        ("5", "gifts"),
        ("1", "lines"),
    ]


def test_definitions_survive_their_text_and_those_of_earlier_versions_are_read() -> None:
    assert parse_definitions(definitions().to_json()) == definitions()
    plain = json.loads(ModelDefinitions(topic_prefix="cdc", tables=TABLES, documents={}).to_json())
    collections = {"lines": {"table": "lines", "parent": ["order_id"]}}
    earlier = json.dumps({**plain, "documents": {"sales": {"root": "orders", "collections": collections}}})
    lines = CollectionDefinition(table="lines", parent=("order_id",))
    assert parse_definitions(earlier) == definitions(DocumentDefinition(root="orders", collections={"lines": lines}))


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (replace(DOCUMENT, include=("id",)), "document sales: give `include` or `exclude`, not both"),
        (replace(DOCUMENT, exclude=("secrets",)), "document sales: orders has no column secrets"),
        (replace(DOCUMENT, exclude=("id",)), "document sales: id must be shown"),
        (replace(DOCUMENT, rename={"secret": "s"}), "document sales: secret is renamed and not shown"),
        (replace(DOCUMENT, rename={"status": "id"}), "two columns would be the field id"),
        (replace(DOCUMENT, rename={"status": ""}), "a field has no name"),
        (replace(DOCUMENT, rename={"status": "lines"}), "lines cannot be the name of a collection"),
        (replace(DOCUMENT, rename={"status": "readmodels"}), "readmodels is ours"),
        (replace(DOCUMENT, collections={"lines": replace(LINES, exclude=("line",), rename={})}), "line must be shown"),
        (
            replace(DOCUMENT, collections={"lines": replace(LINES, references=("status",))}),
            r"sales.lines: `parent` must refer to the key of orders, \['id'\]",
        ),
    ],
)
def test_a_selection_that_readers_or_verify_cannot_use_is_refused(document: DocumentDefinition, complaint: str) -> None:
    with pytest.raises(InvalidDefinitions, match=complaint):
        definitions(document)


def test_a_row_that_stops_to_match_is_a_deletion_of_its_version_and_one_that_begins_is_an_image() -> None:
    lines = replace(LINES, where="sku <> 'hidden'")
    made_of = definitions(replace(DOCUMENT, where="status is not null", collections={"lines": lines}))
    row = {"order_id": 1, "line": 2, "gift_to": None}
    shown, hidden = {**row, "sku": "A"}, {**row, "sku": "hidden"}
    for before, after, is_deleted in (
        (shown, hidden, True),
        (hidden, shown, False),
        (shown, {**row, "sku": None}, True),
    ):
        [found] = projected("lines", {"op": "u", "before": before, "after": after}, made_of=made_of)
        assert (found["_deleted"], found["image"] is None, found["_lsn"]) == (is_deleted, is_deleted, 11)
    moved = projected("lines", {"op": "u", "before": shown, "after": {**hidden, "order_id": 3}}, made_of=made_of)
    assert {row["key"]: row["_deleted"] for row in moved} == {"1": True, "3": True}
    order = {"id": 1, "status": None, "secret": None}
    [root] = projected("orders", {"op": "r", "snapshot": True, "after": order}, made_of=made_of)
    assert (root["_deleted"], root["_is_snapshot"], root["image"]) == (True, True, None)


def test_a_filter_that_cannot_be_parsed_names_its_document_and_position() -> None:
    with pytest.raises(InvalidDefinitions, match="document sales: `where` at character 1: expected a column"):
        definitions(replace(DOCUMENT, where="gone is null"))


def test_a_document_declares_its_index_and_keys() -> None:
    declared = replace(
        DOCUMENT,
        elasticsearch=IndexDefinition(settings={"number_of_shards": 2}),
        redis=KeyDefinition(key_prefix="shop:"),
    )
    [shape] = definitions(declared).document_shapes()
    assert (shape.index, shape.prefix) == ({"settings": {"number_of_shards": 2}}, "shop:")
    assert parse_definitions(definitions(declared).to_json()) == definitions(declared)
    assert definitions().document_shapes()[0].prefix == "sales:"


@pytest.mark.parametrize("prefix", ["a*", "{a}:", "read", "readmodels:", "other:s", "other:"])
def test_a_key_prefix_that_finds_the_keys_of_others_is_refused(prefix: str) -> None:
    documents = {
        "sales": replace(DOCUMENT, redis=KeyDefinition(key_prefix=prefix)),
        "other": replace(DOCUMENT, redis=KeyDefinition(key_prefix="other:sales:")),
    }
    with pytest.raises(InvalidDefinitions, match=r"document (sales|other)"):
        ModelDefinitions(topic_prefix="cdc", tables=TABLES, documents=documents)
