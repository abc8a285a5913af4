"""History of `tests.model_based` as Debezium and Kafka deliver it: envelopes as bytes, in partitions with gaps.

The connector writes its streamed changes in transactions. Each transaction ends with a control record in every
partition that it wrote to. A truncate is a record without a key, anywhere among the others. Sweeps and repairs are not
in the log.

Only histories with one epoch and unchanged topics are used, because a worker stops at the end of either.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Any

from connectors.decode.decoder import Decoder
from connectors.envelope import SourceTable, ValueEncoding
from pipeline.definitions import CollectionDefinition, DocumentDefinition, ModelDefinitions, TableDefinition
from sinks.batch import TopicPartition
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.ordering.register import NO_PARTITION
from tests.model_based.batches import COLUMNS, columns
from tests.model_based.connector import TOPICS_BEFORE, Record, emit
from tests.model_based.database import Image, Row, Write
from tests.model_based.scenario import FAULT_BYTES, PROGRAM_BYTES
from tests.model_based.seeded_choices import Choices
from tests.model_based.source import PARTITIONS, TABLES, Source

CONTRACT = ModelDefinitions(
    topic_prefix="cdc",
    tables={name: TableDefinition(source=f"public.{name}", key=("id",), columns=COLUMNS) for name in TABLES},
    documents={
        "orders": DocumentDefinition(
            root="orders", collections={"items": CollectionDefinition(table="items", parent=("order_id",))}
        )
    },
)
TOPIC_PARTITIONS = [(topic, partition) for topic in CONTRACT.topics for partition in range(PARTITIONS)]


@dataclass(frozen=True)
class Entry:
    """A record of the log; `told` is its change or truncate, or None for a tombstone."""

    topic_partition: TopicPartition
    offset: int
    key: bytes | None
    value: bytes | None
    told: Record | RangeTombstone | None


@dataclass(frozen=True)
class Transaction:
    """Records that become visible together, and the partitions' ends after them."""

    entries: tuple[Entry, ...]
    ends: Mapping[TopicPartition, int]


@dataclass(frozen=True)
class Story:
    """A history and its log.

    Args:
        sweeps: the sweep of each snapshot.
        repairs: rows as a second read after a watermark found them.
        rows: the source's final rows.
        ages: by row and value, the moments at which the source began to hold the value, in order.
    """

    transactions: tuple[Transaction, ...]
    sweeps: tuple[RangeTombstone, ...]
    repairs: tuple[Record, ...]
    rows: Mapping[Row, Image]
    ages: Mapping[tuple[Row, int], Sequence[int]]

    @property
    def ends(self) -> dict[TopicPartition, int]:
        """The final ends of the partitions."""
        ends = dict.fromkeys(TOPIC_PARTITIONS, 0)
        for transaction in self.transactions:
            ends.update(transaction.ends)
        return ends


def decoder() -> Decoder:
    """Return the production decoder of these envelopes."""
    tables = {
        topic: SourceTable(f"public.{name}", COLUMNS, ValueEncoding.JSON) for topic, name in CONTRACT.topics.items()
    }
    return Decoder(tables, schemas=_NO_SCHEMAS)


def story(lots: Random) -> Story:
    """Draw a history and write its log."""
    while True:
        source = Source()
        source.run(lots.randbytes(PROGRAM_BYTES))
        log = emit(source, Choices(lots.randbytes(FAULT_BYTES)))
        changes = [record for record in log.records if not record.is_repair]
        if source.streams[-1].epoch == 0 and all(record.offset < TOPICS_BEFORE for record in changes):
            break
    repairs = tuple(record._replace(partition=NO_PARTITION) for record in log.records if record.is_repair)
    truncates = [
        range_tombstone for range_tombstone in log.range_tombstones if range_tombstone.kind is TombstoneKind.TRUNCATE
    ]
    telling = _Telling(lots)
    transactions = tuple(telling.transactions(_with_truncates(changes, truncates, lots)))
    sweeps = tuple(
        telling.placed(range_tombstone)
        for range_tombstone in log.range_tombstones
        if range_tombstone.kind is TombstoneKind.SNAPSHOT_END
    )
    return Story(transactions, sweeps, repairs, source.database.rows, _ages(source))


def _with_truncates(
    changes: Sequence[Record], truncates: Sequence[RangeTombstone], lots: Random
) -> list[Record | RangeTombstone]:
    told: list[Record | RangeTombstone] = [*changes]
    for range_tombstone in truncates:
        told.insert(lots.randint(0, len(told)), range_tombstone)
    return told


def _ages(source: Source) -> dict[tuple[Row, int], list[int]]:
    writes = [event for commit in source.database.commits for event in commit.events if isinstance(event, Write)]
    ages: defaultdict[tuple[Row, int], list[int]] = defaultdict(list)
    for age, write in enumerate(writes):
        if write.after is not None:
            ages[write.row, write.after.value].append(age)
    return dict(ages)


class _Telling:
    """A mapping of records to offsets among control records, from the offsets in a log without them."""

    def __init__(self, lots: Random) -> None:
        self._lots = lots
        self._next: Counter[TopicPartition] = Counter()
        self._places: defaultdict[TopicPartition, dict[int, int]] = defaultdict(dict)

    def transactions(self, told: Sequence[Record | RangeTombstone]) -> Iterator[Transaction]:
        """Cut the records into transactions."""
        begin = 0
        while begin < len(told):
            end = begin + self._lots.choice((1, 1, 2, 4, 8))
            entries = [entry for one in told[begin:end] for entry in self._entries(one)]
            # A control record ends each of them, and an aborted transaction may have left more before it.
            for topic_partition in {entry.topic_partition for entry in entries}:
                self._next[topic_partition] += self._lots.choice((1, 1, 3))
            yield Transaction(
                tuple(entries), {entry.topic_partition: self._next[entry.topic_partition] for entry in entries}
            )
            begin = end

    def placed(self, sweep: RangeTombstone) -> RangeTombstone:
        """Return the sweep with the start offsets of its snapshot in the log with control records."""
        topic = CONTRACT.topic(sweep.scope)
        begun = {
            partition: 1 + max((new for old, new in self._places[topic, partition].items() if old < offset), default=-1)
            for partition, offset in sweep.started_at.items()
        }
        return replace(sweep, started_at=begun)

    def _entries(self, told: Record | RangeTombstone) -> Iterator[Entry]:
        if isinstance(told, RangeTombstone):
            topic_partition = (CONTRACT.topic(told.scope), self._lots.randrange(PARTITIONS))
            yield Entry(
                topic_partition, self._place(topic_partition), None, _value("t", told.scope, told, None, None), told
            )
            return
        topic_partition = (CONTRACT.topic(told.row.table), told.partition)
        key = json.dumps({"id": told.row.key}).encode()
        self._places[topic_partition][told.offset] = self._next[topic_partition]
        placed = told._replace(offset=self._place(topic_partition))
        op, snapshot = _kind(told)
        value = _value(op, told.row.table, told, told.before, told.after, snapshot)
        yield Entry(topic_partition, placed.offset, key, value, placed)
        if op == "d":
            yield Entry(topic_partition, self._place(topic_partition), key, None, None)

    def _place(self, topic_partition: TopicPartition) -> int:
        offset = self._next[topic_partition]
        self._next[topic_partition] += 1
        return offset


def _kind(record: Record) -> tuple[str, str]:
    """Return Debezium's `op` and `snapshot`."""
    if record.is_snapshot:
        return "r", "true"
    if record.before is None:
        # A row of an incremental snapshot has no `before`, and neither has an insert: nothing depends on the
        # difference.
        return "c", "false"
    return ("d" if record.after is None else "u"), "false"


def _value(
    op: str,
    table: str,
    told: Record | RangeTombstone,
    before: Image | None,
    after: Image | None,
    snapshot: str = "false",
) -> bytes:
    if isinstance(told, RangeTombstone):
        last_commit: int | None = told.commit_lsn
        images: dict[str, Any] = {"before": None, "after": None}
    else:
        last_commit = told.last_commit
        images = {"before": before and columns(told.row, before), "after": after and columns(told.row, after)}
    sequence = json.dumps([last_commit and str(last_commit), str(told.lsn)], separators=(",", ":"))
    place = {"sequence": sequence, "lsn": told.lsn}
    source = {"schema": "public", "table": table, "snapshot": snapshot, "ts_us": _us(told.committed_at), **place}
    return json.dumps({"op": op, **images, "source": source}).encode()


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1_000_000)


class _NoSchemas:
    """Placeholder for the registry; JSON needs none."""

    def schema(self, schema_id: int) -> Any:
        raise AssertionError(f"nobody needs schema {schema_id}")


_NO_SCHEMAS = _NoSchemas()
