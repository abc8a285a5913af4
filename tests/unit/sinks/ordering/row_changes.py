"""Changes of rows of any shape, in the form that a row model receives, and the resulting DuckDB contents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors.types.pg_types import parse_column_type
from sinks.batch import HISTORY_COLUMNS, Batch, Mutations, OffsetRange
from sinks.duckdb.analytics_views import NO_VIEWS, AnalyticsViews
from sinks.duckdb.store import DuckdbStore
from sinks.ordering.columns import ORDER_COLUMNS
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.ordering.register import NO_OFFSET, NO_PARTITION, REPAIR_TIEBREAK, SNAPSHOT_ROW_TIEBREAK
from sinks.shape import RowShape


@dataclass(frozen=True)
class Change:
    """One change of one row; `row` of a deletion has only the key."""

    at: tuple[int, int]
    row: dict[str, Any] = field(default_factory=dict)
    op: str = "u"
    offset: int = 0
    partition: int = 0
    epoch: int = 0


def streamed(at: tuple[int, int], offset: int = 0, **row: Any) -> Change:
    """Return a change at (last commit LSN, LSN)."""
    return Change(at, row, "u", offset)


def deleted(at: tuple[int, int], offset: int = 0, **key: Any) -> Change:
    """Return a deletion at (last commit LSN, LSN)."""
    return Change(at, key, "d", offset)


def snapshot(lsn: int, offset: int = 0, **row: Any) -> Change:
    """Return a snapshot row."""
    return Change((lsn, lsn), row, "r", offset)


def repaired(lsn: int, **row: Any) -> Change:
    """Return a row as it was found in the source at a watermark."""
    return Change((lsn, lsn), row, "repair", NO_OFFSET, NO_PARTITION)


def truncate(table: str, commit_lsn: int, lsn: int) -> RangeTombstone:
    """Return a truncate of a table."""
    return RangeTombstone(scope=table, kind=TombstoneKind.TRUNCATE, epoch=0, commit_lsn=commit_lsn, lsn=lsn)


def sweep(table: str, lsn: int, started_at: int = 0) -> RangeTombstone:
    """Return the end of a snapshot, which began when partition 0 ended at `started_at`."""
    first = {0: started_at}
    return RangeTombstone(
        scope=table, kind=TombstoneKind.SNAPSHOT_END, epoch=0, commit_lsn=lsn, lsn=lsn, started_at=first
    )


def mutations(shape: RowShape, changes: Sequence[Change]) -> Mutations:
    """Return the changes of one table, in the types that the source's decoder returns."""
    columns = [pa.field(name, parse_column_type(text).arrow) for name, text in shape.columns.items()]
    rows = [{**_place(change), **_facts(change), **change.row} for change in changes]
    return Mutations(
        shape.table, pa.Table.from_pylist(rows, schema=pa.schema([*ORDER_COLUMNS, *HISTORY_COLUMNS, *columns]))
    )


def batch(shape: RowShape, changes: Sequence[Change], range_tombstones: Sequence[RangeTombstone] = ()) -> Batch:
    """Return the changes of one table as a batch; its span begins at zero and ends after the last change."""
    end: dict[tuple[str, int], int] = {}
    for change in changes:
        topic_partition = (shape.table, change.partition)
        end[topic_partition] = max(end.get(topic_partition, 0), change.offset + 1)
    written = (mutations(shape, changes),) if changes else ()
    return Batch(written, tuple(range_tombstones), OffsetRange(dict.fromkeys(end, 0), end))


def _place(change: Change) -> dict[str, Any]:
    is_snapshot = change.op == "r"
    ties = {"r": SNAPSHOT_ROW_TIEBREAK, "repair": REPAIR_TIEBREAK}
    return {
        "_epoch": change.epoch,
        "_is_snapshot": is_snapshot,
        "_commit_lsn": change.at[0],
        "_lsn": change.at[1],
        "_tie": ties.get(change.op, 0),
        "_offset": change.offset,
        "_partition": change.partition,
        "_deleted": change.op == "d",
    }


def _facts(change: Change) -> dict[str, Any]:
    return {"_op": change.op, "_committed_at": change.at[0]}


@dataclass(frozen=True)
class Model:
    """A DuckDB store of one table whose first generation is live."""

    store: DuckdbStore
    shape: RowShape

    def write(self, *changes: Change, range_tombstones: Sequence[RangeTombstone] = ()) -> None:
        """Write one batch."""
        self.store.sink(1).write(batch(self.shape, changes, range_tombstones))

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of an answer, as readers get it."""
        return list(self.store.instance().cursor().execute(query).fetchall())

    def versions(self, columns: str) -> list[tuple[Any, ...]]:
        """Return the stored versions of the live generation, in the order of the log."""
        with self.store.connection(1) as connection:
            return list(
                connection.execute(f"SELECT {columns} FROM versions.{self.shape.table} ORDER BY _offset").fetchall()
            )

    def registers(self) -> list[tuple[Any, ...]]:
        """Return the registers of the live generation, visible or not."""
        with self.store.connection(1) as connection:
            places = "_is_snapshot, _commit_lsn, _lsn, _deleted, _shown"
            return list(
                connection.execute(f"SELECT {places} FROM registers.{self.shape.table} ORDER BY ALL").fetchall()
            )


@contextmanager
def model(directory: Path, shape: RowShape, analytics: AnalyticsViews = NO_VIEWS) -> Iterator[Model]:
    """Open a store of one table; it is empty if the directory is."""
    with closing(DuckdbStore(directory, [shape], analytics=analytics)) as store:
        sink = store.sink(1)
        sink.prepare()
        sink.cutover()
        yield Model(store, shape)
