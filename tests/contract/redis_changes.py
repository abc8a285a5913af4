"""Batches of changes of document parts, for tests that check more detail than the contract does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pyarrow as pa

from sinks.batch import PART_COLUMNS, Batch, Mutations, OffsetRange
from sinks.ordering.columns import ORDER_COLUMNS
from sinks.ordering.range_tombstone import RangeTombstone
from sinks.ordering.register import SNAPSHOT_ROW_TIEBREAK, Change
from sinks.shape import ROOT, DocumentShape

ORDERS = DocumentShape("orders", {"id": "bigint"}, {"items": {"id": "bigint"}})
SCHEMA = pa.schema([*ORDER_COLUMNS, *PART_COLUMNS])


class PartChange(NamedTuple):
    """A change of one part of one document; its image is the part's JSON."""

    key: str
    part: str
    is_snapshot: bool
    change: Change


def streamed(key: str, lsn: int, image: str | None, part: str = ROOT) -> PartChange:
    """Return a streamed change with `lsn` as its LSN and its offset; a deletion if it has no image."""
    return PartChange(key, part, False, Change(0, lsn, lsn, 0, lsn, 0, image is None, image))


def snapshot(key: str, lsn: int, offset: int, image: str, part: str = ROOT) -> PartChange:
    """Return a snapshot row."""
    return PartChange(key, part, True, Change(0, lsn, lsn, SNAPSHOT_ROW_TIEBREAK, offset, 0, False, image))


def table(changes: Iterable[PartChange]) -> pa.Table:
    """Return the changes as a table, in the form of a document model's mutations."""
    rows = [
        {
            **{f"_{name}": value for name, value in change._asdict().items() if name != "image"},
            "_is_snapshot": is_snapshot,
            "key": key,
            "part": part,
            "image": change.image,
        }
        for key, part, is_snapshot, change in changes
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def batch(
    *changes: PartChange,
    range_tombstones: Iterable[RangeTombstone] = (),
    begin: Mapping[tuple[str, int], int] | None = None,
    end: Mapping[tuple[str, int], int] | None = None,
) -> Batch:
    """Return a batch of changes of orders."""
    mutations = (Mutations(ORDERS.name, table(changes)),) if changes else ()
    return Batch(mutations, tuple(range_tombstones), OffsetRange(begin or {}, end or {}))
