"""Batches built as in production: records become envelopes, and the projections turn those into mutations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.envelope import SourceTable, envelope_schema
from pipeline.definitions import CollectionDefinition, DocumentDefinition, ModelDefinitions, TableDefinition
from pipeline.ingest.epoch_history import EpochHistory, Integers
from pipeline.ingest.projection import DocumentProjection, ProjectionResult, RowProjection
from sinks.batch import Batch, Mutations, OffsetRange
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from tests.model_based.batches import COLUMNS, part_batch, row_batch
from tests.model_based.connector import Record
from tests.model_based.database import Image, Row
from tests.model_based.delivery import Arrivals
from tests.model_based.source import TABLES

CONTRACT = ModelDefinitions(
    topic_prefix="cdc",
    tables={table: TableDefinition(source=f"public.{table}", key=("id",), columns=COLUMNS) for table in TABLES},
    documents={
        "orders": DocumentDefinition(
            root="orders", collections={"items": CollectionDefinition(table="items", parent=("order_id",))}
        )
    },
)
SCHEMAS = {name: envelope_schema(SourceTable(table.source, table.columns)) for name, table in CONTRACT.tables.items()}


@dataclass(frozen=True)
class Placed(EpochHistory):
    """One epoch of a log whose offsets grow from epoch to epoch."""

    leads: int = 0

    def order_keys(self, topic: str, partitions: Integers, offsets: Integers) -> tuple[Integers, Integers]:  # noqa: ARG002 - as production has it
        return np.full(len(offsets), self.leads), offsets


def projected_rows(batch: Arrivals, span: OffsetRange) -> Batch:
    """Return the batch for a row model."""
    rest = row_batch(_untold_by_the_log(batch))
    return _joined(
        [RowProjection(CONTRACT, Placed(leads=epoch))(*told) for epoch, *told in _envelopes(batch)], rest, span
    )


def projected_parts(batch: Arrivals, span: OffsetRange) -> Batch:
    """Return the batch for a document model."""
    rest = part_batch(_untold_by_the_log(batch))
    return _joined(
        [DocumentProjection(CONTRACT, Placed(leads=epoch))(*told) for epoch, *told in _envelopes(batch)], rest, span
    )


def _untold_by_the_log(batch: Arrivals) -> Arrivals:
    """Return the repairs and sweeps, which do not come from the log."""
    repairs = [record for record in batch.records if record.is_repair]
    return Arrivals(
        repairs,
        [
            range_tombstone
            for range_tombstone in batch.range_tombstones
            if range_tombstone.kind is TombstoneKind.SNAPSHOT_END
        ],
    )


def _joined(projected: Iterable[ProjectionResult], rest: Batch, span: OffsetRange) -> Batch:
    tables: dict[str, list[pa.Table]] = defaultdict(list)
    told = (ProjectionResult(rest.mutations, rest.range_tombstones), *projected)
    for mutations in chain.from_iterable(one.mutations for one in told):
        tables[mutations.target].append(mutations.changes)
    whole = tuple(Mutations(target, pa.concat_tables(changes)) for target, changes in tables.items())
    return Batch(whole, tuple(chain.from_iterable(one.range_tombstones for one in told)), span)


def _envelopes(batch: Arrivals) -> Iterable[tuple[int, str, pa.Table]]:
    """Yield epoch, table and envelopes, because a projection is for one epoch."""
    told: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for record in batch.records:
        if not record.is_repair:
            told[record.epoch, record.row.table].append(_of_record(record))
    for range_tombstone in batch.range_tombstones:
        if range_tombstone.kind is TombstoneKind.TRUNCATE:
            told[range_tombstone.epoch, range_tombstone.scope].append(_of_truncate(range_tombstone))
    for (epoch, table), rows in told.items():
        yield epoch, table, pa.Table.from_pylist(rows, schema=SCHEMAS[table])


def _of_record(record: Record) -> dict[str, Any]:
    return {
        "partition": record.partition,
        "offset": record.offset,
        "op": "r" if record.is_snapshot else "d" if record.after is None else "u",
        "snapshot": record.is_snapshot,
        "commit_lsn": record.lsn if record.last_commit is None else record.last_commit,
        "lsn": record.lsn,
        "committed_at": record.committed_at,
        "before": _image(record.row, record.before),
        "after": _image(record.row, record.after),
    }


def _of_truncate(range_tombstone: RangeTombstone) -> dict[str, Any]:
    return {
        "partition": 0,
        "offset": 0,
        "op": "t",
        "snapshot": False,
        "commit_lsn": range_tombstone.commit_lsn,
        "lsn": range_tombstone.lsn,
        "committed_at": range_tombstone.committed_at,
    }


def _image(row: Row, known: Image | None) -> dict[str, int | None] | None:
    return None if known is None else {"id": row.key, "order_id": known.parent, "value": known.value}
