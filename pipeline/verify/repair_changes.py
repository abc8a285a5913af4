"""Changes of a repair, ordered at the watermark of the recheck."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from connectors.envelope import SourceTable, envelope_schema
from pipeline.definitions import ModelDefinitions
from pipeline.ingest.projection import DocumentProjection, RowProjection
from pipeline.postgres.watermark import Watermark
from pipeline.stores.read_model import ModelKind
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.readers.row_key import key_images
from sinks.batch import PART_COLUMNS, Mutations
from sinks.ordering.columns import ORDER_COLUMNS, repeat_change
from sinks.ordering.register import NO_OFFSET, NO_PARTITION, REPAIR_TIEBREAK, Change
from sinks.shape import ROOT

REPAIR_OP = "repair"
"""Value of DuckDB's history for a repair, in the column of Debezium's `op`."""


@dataclass(frozen=True)
class RepairChanges:
    """Builder of the changes of one comparison set.

    Args:
        epoch: the ordering epoch of current records.
    """

    definitions: ModelDefinitions
    epoch: int
    subject: ComparisonSet
    watermark: Watermark

    def images(self, collection: str, rows: pa.StructArray) -> Iterator[Mutations]:
        """Yield upserts of rows that PostgreSQL holds, of one collection or of the root."""
        yield from self._projected(collection, "u", before=None, after=rows)

    def deletions(self, keys: Sequence[Mapping[str, Any]]) -> Iterator[Mutations]:
        """Yield deletions of table rows that PostgreSQL lacks, by the columns of their keys."""
        yield from self._projected(ROOT, "d", before=key_images(self.subject.root.table, keys), after=None)

    def removals(self, places: Sequence[tuple[str, str]]) -> Iterator[Mutations]:
        """Yield deletions of document parts that PostgreSQL lacks, by key and part."""
        lsn = self.watermark.lsn
        deletion = Change(self.epoch, lsn, lsn, REPAIR_TIEBREAK, NO_OFFSET, NO_PARTITION, deleted=True)
        columns = {
            **repeat_change(deletion, len(places), is_snapshot=False),
            "key": pa.array([key for key, _ in places], pa.string()),
            "part": pa.array([part for _, part in places], pa.string()),
            "image": pa.nulls(len(places), pa.string()),
        }
        yield Mutations(self.subject.name, pa.table(columns).select([*ORDER_COLUMNS.names, *PART_COLUMNS.names]))

    def _projected(
        self, collection: str, op: str, before: pa.StructArray | None, after: pa.StructArray | None
    ) -> Iterator[Mutations]:
        view = self.subject.views[collection]
        table = view.table
        schema = envelope_schema(SourceTable(table.source, table.columns))
        images = {"before": before, "after": after}
        count = next(len(rows) for rows in images.values() if rows is not None)
        values = {
            "partition": NO_PARTITION,
            "offset": NO_OFFSET,
            "op": op,
            "snapshot": False,
            "commit_lsn": self.watermark.lsn,
            "lsn": self.watermark.lsn,
            "committed_at": self.watermark.set_at,
        }
        columns = {
            field: pa.repeat(pa.scalar(value, schema.field(field).type), count) for field, value in values.items()
        }
        for side, rows in images.items():
            columns[side] = pa.nulls(count, schema.field(side).type) if rows is None else rows
        envelopes = pa.table({field: columns[field] for field in schema.names}, schema=schema)
        projection = (RowProjection if self.subject.form is ModelKind.ROW else DocumentProjection)(self.definitions)
        for mutations in projection(view.name, envelopes).mutations:
            if mutations.target == self.subject.name:
                yield Mutations(mutations.target, _as_repairs(mutations.changes, self.epoch))


def _as_repairs(changes: pa.Table, epoch: int) -> pa.Table:
    given = {
        "_epoch": pa.repeat(pa.scalar(epoch, pa.int32()), changes.num_rows),
        "_tie": pa.repeat(pa.scalar(REPAIR_TIEBREAK, pa.int8()), changes.num_rows),
    }
    if "_op" in changes.column_names:
        given["_op"] = pa.repeat(REPAIR_OP, changes.num_rows)
    for name, column in given.items():
        changes = changes.set_column(changes.column_names.index(name), name, column)
    return changes
