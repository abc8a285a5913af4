"""Tests of the projection from envelopes to mutations."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from connectors.envelope import SourceTable, envelope_schema
from pipeline.definitions import CollectionDefinition, DocumentDefinition, ModelDefinitions, TableDefinition
from pipeline.ingest.projection import DocumentProjection, RowProjection

CONTRACT = ModelDefinitions(
    topic_prefix="cdc",
    tables={
        "orders": TableDefinition(
            source="public.orders", key=("id",), columns={"id": "bigint", "total": "numeric(12,2)"}
        ),
        "items": TableDefinition(source="public.items", key=("id",), columns={"id": "bigint", "order_id": "bigint"}),
    },
    documents={
        "orders": DocumentDefinition(
            root="orders", collections={"items": CollectionDefinition(table="items", parent=("order_id",))}
        )
    },
)


def envelopes(table: str, *rows: dict[str, Any]) -> pa.Table:
    shape = CONTRACT.tables[table]
    known = {"partition": 2, "snapshot": False, "commit_lsn": 10, "committed_at": 0, "before": None, "after": None}
    filled = [{**known, "offset": at, "lsn": 11 + at, **row} for at, row in enumerate(rows)]
    return pa.Table.from_pylist(filled, schema=envelope_schema(SourceTable(shape.source, shape.columns)))


def test_a_moved_item_leaves_one_document_and_enters_another() -> None:
    moved = envelopes("items", {"op": "u", "before": {"id": 5, "order_id": 77}, "after": {"id": 5, "order_id": 78}})
    (mutations,) = DocumentProjection(CONTRACT)("items", moved).mutations
    rows = {row["key"]: row for row in mutations.changes.to_pylist()}
    assert rows["77"]["_deleted"] is True
    assert rows["77"]["image"] is None
    assert json.loads(rows["78"]["image"]) == {"id": 5, "order_id": 78}
    assert rows["77"]["part"] == rows["78"]["part"]


def test_an_item_that_moves_twice_in_a_batch_leaves_both_former_documents() -> None:
    moves = envelopes(
        "items",
        {"op": "u", "before": {"id": 5, "order_id": 77}, "after": {"id": 5, "order_id": 78}},
        {"op": "u", "before": {"id": 5, "order_id": 78}, "after": {"id": 5, "order_id": 79}},
    )
    (mutations,) = DocumentProjection(CONTRACT)("items", moves).mutations
    deleted = {row["key"]: row["_deleted"] for row in mutations.changes.to_pylist()}
    assert deleted == {"77": True, "78": True, "79": False}


def test_an_item_without_an_order_is_in_no_document() -> None:
    orphan = envelopes("items", {"op": "c", "after": {"id": 5, "order_id": None}})
    assert DocumentProjection(CONTRACT)("items", orphan).mutations == ()
    (rows,) = RowProjection(CONTRACT)("items", orphan).mutations
    assert rows.changes.num_rows == 1


def test_an_item_whose_order_becomes_null_leaves_its_document() -> None:
    left = envelopes("items", {"op": "u", "before": {"id": 5, "order_id": 77}, "after": {"id": 5, "order_id": None}})
    (mutations,) = DocumentProjection(CONTRACT)("items", left).mutations
    assert [(row["key"], row["_deleted"]) for row in mutations.changes.to_pylist()] == [("77", True)]


def test_parts_sort_as_their_keys_do() -> None:
    keys = [-(2**63), -5, 0, 9, 10, 2**63 - 1]
    items = envelopes("items", *({"op": "c", "after": {"id": key, "order_id": 1}} for key in keys))
    (mutations,) = DocumentProjection(CONTRACT)("items", items).mutations
    parts = mutations.changes["part"].to_pylist()
    assert parts == sorted(parts)


def test_a_deleted_row_keeps_only_its_key() -> None:
    gone = envelopes("orders", {"op": "d", "before": {"id": 1, "total": "9.99"}})
    (mutations,) = RowProjection(CONTRACT)("orders", gone).mutations
    (row,) = mutations.changes.to_pylist()
    assert (row["id"], row["total"], row["_deleted"], row["_op"]) == (1, None, True, "d")


def test_a_truncate_is_a_range_tombstone_of_every_scope_of_its_table() -> None:
    truncated = envelopes("items", {"op": "t"}, {"op": "c", "after": {"id": 1, "order_id": 2}})
    documents = DocumentProjection(CONTRACT)("items", truncated)
    rows = RowProjection(CONTRACT)("items", truncated)
    assert [
        (range_tombstone.scope, range_tombstone.commit_lsn, range_tombstone.lsn)
        for range_tombstone in documents.range_tombstones
    ] == [("orders/items", 10, 11)]
    assert [range_tombstone.scope for range_tombstone in rows.range_tombstones] == ["items"]
    assert rows.mutations[0].changes.num_rows == 1


def test_a_snapshot_row_is_placed_by_the_snapshot() -> None:
    read = envelopes(
        "orders", {"op": "r", "snapshot": True, "after": {"id": 1, "total": "1.00"}, "commit_lsn": 50, "lsn": 50}
    )
    (mutations,) = DocumentProjection(CONTRACT)("orders", read).mutations
    (row,) = mutations.changes.to_pylist()
    assert (row["_is_snapshot"], row["_commit_lsn"], row["_lsn"], row["_tie"]) == (True, 50, 50, 1)
