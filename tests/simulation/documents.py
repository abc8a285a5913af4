"""Common part of the two document models: the order and its items, their range tombstones and repairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from pipeline.ingest.projection import DocumentProjection, Projection
from sinks.batch import Batch, Mutations
from sinks.ordering.range_tombstone import RangeTombstone
from sinks.shape import ROOT, Shape, tombstone_scope
from tests.model_based.batches import part_table
from tests.model_based.connector import Record
from tests.model_based.database import Row
from tests.model_based.projection import DOCUMENTS, Name, part_changes
from tests.simulation.invariant_checker import part_of
from tests.simulation.log import CONTRACT

SHAPES = CONTRACT.document_shapes()
(SHAPE,) = SHAPES


class Documents:
    """Simulated side of a document model."""

    processes = 2
    form = DOCUMENTS
    projection: Projection = DocumentProjection(CONTRACT)
    shapes: Sequence[Shape] = SHAPES

    def sweep(self, range_tombstone: RangeTombstone) -> RangeTombstone:
        return replace(
            range_tombstone,
            scope=tombstone_scope(SHAPE.name, ROOT if range_tombstone.scope == "orders" else range_tombstone.scope),
        )

    def repair(self, record: Record) -> Batch:
        changes = list(part_changes([record]))
        table = part_table(changes)
        parts = pa.array([part_of(change.name) for change in changes])
        place = table.column_names.index("part")
        return Batch((Mutations(SHAPE.target, table.set_column(place, table.schema.field("part"), parts)),))


def visible_in(document: Mapping[str, Any]) -> dict[Name, int]:
    """Return the values that readers see in one document."""
    order = document["id"]
    items = {Name(Row("items", item["id"]), order): item["value"] for item in document["items"]}
    return {Name(Row("orders", order), order): document["value"], **items}
