"""A short history of two tables as a log, with its changes as mutations of rows or of document parts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from sinks.batch import HISTORY_COLUMNS, PART_COLUMNS, Batch, Mutations, OffsetRange
from sinks.ordering.columns import ORDER_COLUMNS
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.shape import DocumentShape, RowShape, tombstone_scope
from tests.contract.store_harness import Form

Row = dict[str, Any]


@dataclass(frozen=True)
class World:
    """A root table and a child table, as both forms of read model define them."""

    root: RowShape
    child: RowShape
    document: DocumentShape
    parent: str

    def shapes(self, form: Form) -> list[RowShape] | list[DocumentShape]:
        """Return the shapes of one form of read model."""
        return [self.document] if form is Form.DOCUMENTS else [self.root, self.child]


def world(root: RowShape, child: RowShape, collection: str, parent: str) -> World:
    """Return a document model of a root's rows, with the child's rows as one collection."""
    return World(root, child, DocumentShape(root.table, root.columns, {collection: child.columns}), parent)


SHOP = world(
    RowShape("orders", ("id",), {"id": "bigint", "status": "text", "total": "numeric(12,2)"}),
    RowShape("order_items", ("id",), {"id": "bigint", "order_id": "bigint", "sku": "text"}),
    collection="items",
    parent="order_id",
)
LIBRARY = world(
    RowShape("shelves", ("code",), {"code": "text", "room": "integer"}),
    RowShape("books", ("isbn",), {"isbn": "text", "shelf": "text", "title": "text"}),
    collection="books",
    parent="shelf",
)


@dataclass(frozen=True)
class Event:
    """One change of one row and its offset in the log; a truncate has neither key nor images."""

    table: str
    op: str
    is_snapshot: bool
    commit_lsn: int
    lsn: int
    partition: int
    offset: int
    before: Row | None = None
    after: Row | None = None


@dataclass
class Log:
    """Writer of a history, event by event in the order of emission; the test chooses the LSNs."""

    world: World
    partitions: int = 2
    events: list[Event] = field(default_factory=list)
    sweeps: list[RangeTombstone] = field(default_factory=list)
    _next: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))

    def streamed(
        self, table: RowShape, at: tuple[int, int], before: Row | None = None, after: Row | None = None
    ) -> Event:
        """Append an insert, an update or a delete, given by its images, at (last commit LSN, LSN)."""
        op = "u" if before and after else "c" if after else "d"
        return self._append(Event(table.table, op, False, *at, 0, 0, before, after), after or before, table)

    def snapshot(self, table: RowShape, lsn: int, row: Row) -> Event:
        """Append a snapshot row."""
        return self._append(Event(table.table, "r", True, lsn, lsn, 0, 0, None, row), row, table)

    def truncate(self, table: RowShape, at: tuple[int, int]) -> Event:
        """Append a truncate, on a partition that is unrelated to the rows."""
        return self._append(Event(table.table, "t", False, *at, 0, 0), None, table)

    def emit_again(self, events: Iterable[Event]) -> None:
        """Append the same changes at new offsets, as a restarted connector does."""
        for event in events:
            shape = self.world.root if event.table == self.world.root.table else self.world.child
            self._append(event, event.after or event.before, shape)

    def end_of_log(self, table: RowShape) -> dict[int, int]:
        """Return the next offset of each partition of a table's topic."""
        return {partition: self._next[table.table, partition] for partition in range(self.partitions)}

    def _append(self, event: Event, row: Row | None, table: RowShape) -> Event:
        key = "" if row is None else str(row[table.key[0]])
        partition = sum(key.encode()) % self.partitions
        offset = self._next[table.table, partition]
        self._next[table.table, partition] += 1
        placed = replace(event, partition=partition, offset=offset)
        self.events.append(placed)
        return placed


def batch(
    events: Sequence[Event], world: World, form: Form, range_tombstones: Iterable[RangeTombstone] = (), begin: int = 0
) -> Batch:
    """Return the events as one batch for a store of this form; its span begins at `begin` in every topic partition."""
    changes = [event for event in events if event.op != "t"]
    truncates = [
        RangeTombstone(scope=name, kind=TombstoneKind.TRUNCATE, epoch=0, commit_lsn=event.commit_lsn, lsn=event.lsn)
        for event in events
        if event.op == "t"
        for name in [scope_of(world, form, event.table)]
    ]
    end: dict[tuple[str, int], int] = {}
    for event in events:
        topic_partition = (event.table, event.partition)
        end[topic_partition] = max(end.get(topic_partition, 0), event.offset + 1)
    mutations = _parts(changes, world) if form is Form.DOCUMENTS else _rows(changes, world)
    return Batch(tuple(mutations), (*range_tombstones, *truncates), OffsetRange(dict.fromkeys(end, begin), end))


def scope_of(world: World, form: Form, table: str) -> str:
    """Return the scope of a table's range tombstones."""
    if form is Form.ROWS:
        return table
    (collection,) = world.document.collections
    return tombstone_scope(world.document.name, "" if table == world.root.table else collection)


def _place(event: Event, deleted: bool) -> dict[str, Any]:
    return {
        "_epoch": 0,
        "_is_snapshot": event.is_snapshot,
        "_commit_lsn": event.commit_lsn,
        "_lsn": event.lsn,
        "_tie": int(event.is_snapshot),
        "_offset": event.offset,
        "_partition": event.partition,
        "_deleted": deleted,
    }


def _rows(events: Sequence[Event], world: World) -> Iterable[Mutations]:
    for shape in (world.root, world.child):
        rows = [
            {
                **_place(event, deleted=event.after is None),
                "_op": event.op,
                "_committed_at": event.commit_lsn,
                **(event.after or {column: (event.before or {})[column] for column in shape.key}),
            }
            for event in events
            if event.table == shape.table
        ]
        arrow = {"bigint": pa.int64(), "integer": pa.int32()}
        columns = [pa.field(name, arrow.get(kind, pa.string())) for name, kind in shape.columns.items()]
        schema = pa.schema([*ORDER_COLUMNS, *HISTORY_COLUMNS, *columns])
        if rows:
            yield Mutations(shape.table, pa.Table.from_pylist(rows, schema=schema))


def _parts(events: Sequence[Event], world: World) -> Iterable[Mutations]:
    (collection,) = world.document.collections
    rows = []
    for event in events:
        is_root = event.table == world.root.table
        owner = world.root.key[0] if is_root else world.parent
        owned = {str(row[owner]): row for row in (event.before, event.after) if row is not None}
        for key, row in owned.items():
            part = "" if is_root else f"{collection}/{_sortable(row[world.child.key[0]])}"
            image = json.dumps(event.after) if event.after and str(event.after[owner]) == key else None
            rows.append({**_place(event, deleted=image is None), "key": key, "part": part, "image": image})
    if rows:
        yield Mutations(
            world.document.name, pa.Table.from_pylist(rows, schema=pa.schema([*ORDER_COLUMNS, *PART_COLUMNS]))
        )


def _sortable(key: object) -> str:
    return f"{key:020d}" if isinstance(key, int) else str(key)


def expected(rows: Mapping[str, Sequence[Row]], world: World, form: Form) -> dict[str, dict[str, Any]]:
    """Return what readers see if the source holds these rows."""
    if form is Form.ROWS:
        return {
            shape.table: {str(row[shape.key[0]]): row for row in rows.get(shape.table, ())}
            for shape in (world.root, world.child)
        }
    (collection,) = world.document.collections
    children = sorted(rows.get(world.child.table, ()), key=lambda row: _sortable(row[world.child.key[0]]))
    documents = {}
    for row in rows.get(world.root.table, ()):
        key = row[world.root.key[0]]
        documents[str(key)] = {**row, collection: [child for child in children if child[world.parent] == key]}
    return {world.document.name: documents}
