"""Arrivals as a batch for a sink: Arrow tables of mutations, of rows or of document parts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pyarrow as pa

from sinks.batch import HISTORY_COLUMNS, PART_COLUMNS, Batch, Mutations
from sinks.ordering.columns import ORDER_COLUMNS
from sinks.shape import ROOT, DocumentShape, RowShape, tombstone_scope
from tests.model_based.database import Image, Row
from tests.model_based.delivery import Arrivals
from tests.model_based.projection import Name, Sided, part_changes, row_changes
from tests.model_based.source import TABLES

COLUMNS = {"id": "bigint", "order_id": "bigint", "value": "bigint"}
ROW_SHAPES = tuple(RowShape(table, ("id",), COLUMNS) for table in TABLES)
DOCUMENT = DocumentShape("orders", COLUMNS, {"items": COLUMNS})

FIRST_PART = 2**63
"""Added to a child's key in the name of its part, so that names sort as numbers do."""

ROW_SCHEMA = pa.schema([*ORDER_COLUMNS, *HISTORY_COLUMNS, *(pa.field(name, pa.int64()) for name in COLUMNS)])
PART_SCHEMA = pa.schema([*ORDER_COLUMNS, *PART_COLUMNS])


def row_batch(batch: Arrivals) -> Batch:
    """Return the batch for a row model."""
    changes = list(row_changes(batch.records))
    tables = {table: [change for change in changes if change.name.row.table == table] for table in TABLES}
    mutations = tuple(Mutations(table, row_table(of_table)) for table, of_table in tables.items() if of_table)
    return Batch(mutations, tuple(batch.range_tombstones))


def part_batch(batch: Arrivals) -> Batch:
    """Return the batch for a document model."""
    changes = list(part_changes(batch.records))
    mutations = (Mutations(DOCUMENT.target, part_table(changes)),) if changes else ()
    return Batch(
        mutations,
        tuple(
            replace(range_tombstone, scope=_scope(range_tombstone.scope)) for range_tombstone in batch.range_tombstones
        ),
    )


def row_table(changes: Iterable[Sided]) -> pa.Table:
    """Return a table with changes of rows of one database table."""
    rows = [{**_place(told), **_facts(told), **columns(told.name.row, told.change.image)} for told in changes]
    return pa.Table.from_pylist(rows, schema=ROW_SCHEMA)


def part_table(changes: Iterable[Sided]) -> pa.Table:
    """Return a table with changes of document parts."""
    rows = [
        {**_place(told), "key": str(told.name.order), "part": part(told.name), "image": image(told)} for told in changes
    ]
    return pa.Table.from_pylist(rows, schema=PART_SCHEMA)


def part(name: Name) -> str:
    """Return the name of the document part for a row."""
    return ROOT if name.row.table == "orders" else f"{name.row.table}/{name.row.key + FIRST_PART:020}"


def columns(row: Row, known: object) -> dict[str, int | None]:
    """Return a row's columns; only the key for a deletion."""
    if isinstance(known, Image):
        return {"id": row.key, "order_id": known.parent, "value": known.value}
    return {"id": row.key}


def image(told: Sided) -> str | None:
    """Return a part's image as a JSON object."""
    return None if told.change.deleted else json.dumps(columns(told.name.row, told.change.image))


def _place(told: Sided) -> dict[str, Any]:
    place = {f"_{name}": value for name, value in told.change._asdict().items() if name != "image"}
    return {**place, "_is_snapshot": told.is_snapshot}


def _facts(told: Sided) -> dict[str, Any]:
    kind = "r" if told.is_snapshot else "d" if told.change.deleted else "u"
    return {"_op": kind, "_committed_at": told.committed_at}


def _scope(table: str) -> str:
    return tombstone_scope(DOCUMENT.name, ROOT if table == "orders" else table)
