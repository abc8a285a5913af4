"""Records that the connector emits from a source, with faults: restarts, zombies, abandoned snapshots."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sinks.batch import TopicPartition
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.ordering.register import NO_OFFSET, NO_PARTITION, REPAIR_TIEBREAK, SNAPSHOT_ROW_TIEBREAK
from tests.model_based.database import RECORD_BYTES, Commit, Event, Image, Mark, Row, Truncate, WindowClosed, Write
from tests.model_based.seeded_choices import Choices
from tests.model_based.source import PARTITIONS, TABLES, Snapshot, Source, Stream

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)

TOPICS_BEFORE = 1 << 48
"""Added to the offset by each change of topics, so that offsets keep growing."""


def time_of_commit(index: int) -> datetime:
    """Return the time of a commit; commits are one second apart."""
    return MIDNIGHT + timedelta(seconds=index)


def time_of_snapshot(snapshot: Snapshot) -> datetime:
    """Return the time of a snapshot: half a second before the first commit after it."""
    return time_of_commit(snapshot.first_commit) - timedelta(seconds=0.5)


class Record(NamedTuple):
    """A change of one row as it is in the log, or a repair, which has no offset.

    `last_commit` is the end LSN of the previous commit in the stream, None if there was none. The images of a snapshot
    row and of a repair are the row as it was read; `before` is then unknown. `committed_at` is the time of the commit
    or
    of the snapshot.
    """

    row: Row
    before: Image | None
    after: Image | None
    is_snapshot: bool
    epoch: int
    last_commit: int | None
    lsn: int
    committed_at: datetime
    tie: int = 0
    partition: int = 0
    offset: int = NO_OFFSET

    @property
    def is_repair(self) -> bool:
        """True if a repair, not the connector, wrote the record."""
        return not self.is_snapshot and self.tie == REPAIR_TIEBREAK


class Move(NamedTuple):
    """A change to new topics with the given number of partitions."""

    partitions: int


Unit = Record | RangeTombstone | Move


class Entry(NamedTuple):
    """The content of one offset of a partition."""

    offset: int
    unit: Record | RangeTombstone


class Log:
    """The topics: the records appended so far, and the end of each partition.

    `topic_partitions` holds the readable records of each partition of each table's topic. A truncate has no key, and
    may
    be in any partition. `records` and `range_tombstones` are all of them in the order of emission, repairs included.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.range_tombstones: list[RangeTombstone] = []
        self.topic_partitions: dict[TopicPartition, list[Entry]] = defaultdict(list)
        self._partitions = PARTITIONS
        self._moves = 0
        self._ends: Counter[TopicPartition] = Counter()

    def append(self, unit: Unit) -> None:
        """Append a change to the partition of its key."""
        match unit:
            case Move():
                self._moves, self._partitions = self._moves + 1, unit.partitions
                self._ends.clear()
            case RangeTombstone():
                self.range_tombstones.append(unit)
                self._place(unit, (unit.scope, unit.lsn // RECORD_BYTES % self._partitions))
            case Record() if unit.is_repair:
                self.records.append(unit)
            case Record():
                topic_partition = (unit.row.table, unit.row.key % self._partitions)
                placed = unit._replace(partition=topic_partition[1], offset=self.end(topic_partition))
                self.records.append(placed)
                self._place(placed, topic_partition)

    def ends(self, table: str) -> dict[int, int]:
        """Return the next offset of each partition of a table's topic."""
        return {partition: self.end((table, partition)) for partition in range(self._partitions)}

    def end(self, topic_partition: TopicPartition) -> int:
        """Return the next offset of one partition."""
        return self._moves * TOPICS_BEFORE + self._ends[topic_partition]

    @property
    def all_ends(self) -> dict[TopicPartition, int]:
        """The next offset of every partition."""
        return {(table, partition): end for table in TABLES for partition, end in self.ends(table).items()}

    def _place(self, unit: Record | RangeTombstone, topic_partition: TopicPartition) -> None:
        self.topic_partitions[topic_partition].append(Entry(self.end(topic_partition), unit))
        self._ends[topic_partition] += 1


def emit(source: Source, faults: Choices) -> Log:
    """Write the records of every stream of a source into one log."""
    log = Log()
    emitted: list[Unit] = []
    epoch = 0
    for stream in source.streams:
        if stream.epoch != epoch:
            # Opening an epoch fences the producers of the previous one.
            emitted, epoch = [], stream.epoch
        ends = {table: log.ends(table) for table in TABLES}
        units = _with_zombies(emitted, _life(stream, source.database.commits, faults), faults)
        for unit in units:
            log.append(unit)
        log.range_tombstones += sweeps(stream, ends)
        emitted += units
    return log


def sweeps(stream: Stream, started_at: Mapping[str, Mapping[int, int]]) -> list[RangeTombstone]:
    """Return the sweeps that end the stream's snapshot; `started_at` are the topics' ends, recorded before it began."""
    lsn, committed_at = stream.snapshots[-1].lsn, time_of_snapshot(stream.snapshots[-1])
    return [
        RangeTombstone(
            scope=table,
            kind=TombstoneKind.SNAPSHOT_END,
            epoch=stream.epoch,
            commit_lsn=lsn,
            lsn=lsn,
            started_at=started_at[table],
            committed_at=committed_at,
        )
        for table in TABLES
    ]


def _life(stream: Stream, commits: Sequence[Commit], faults: Choices) -> list[Unit]:
    """Return the units of one epoch: rows of abandoned snapshots, the finished snapshot, and the changes since.

    Some rows of an abandoned snapshot come late, some never.
    """
    given_up = [row for snapshot in stream.snapshots[:-1] for row in snapshot_rows(snapshot, stream.epoch)]
    fates = [faults.below(3) for _ in given_up]
    units: list[Unit] = [row for row, fate in zip(given_up, fates, strict=True) if fate == 0]
    begun = len(units)
    units += snapshot_rows(stream.snapshots[-1], stream.epoch)
    units += _with_restarts(list(_streamed(stream, commits)), faults)
    for row, fate in zip(given_up, fates, strict=True):
        if fate == 1:
            units.insert(begun + faults.below(len(units) - begun + 1), row)
    return units


def snapshot_rows(snapshot: Snapshot, epoch: int) -> list[Record]:
    """Return the records that a snapshot emits."""
    return [
        Record(
            row, None, image, True, epoch, snapshot.lsn, snapshot.lsn, time_of_snapshot(snapshot), SNAPSHOT_ROW_TIEBREAK
        )
        for row, image in snapshot.rows.items()
    ]


def _streamed(stream: Stream, commits: Sequence[Commit]) -> Iterator[Unit]:
    first = stream.snapshots[-1].first_commit
    for index in range(first, len(commits) if stream.end_commit is None else stream.end_commit):
        if index in stream.moves:
            yield Move(stream.moves[index])
        yield from changes_of_commit(stream, commits, index)


def changes_of_commit(stream: Stream, commits: Sequence[Commit], index: int) -> Iterator[Record | RangeTombstone]:
    """Yield the records of one commit in a stream, which knows the previous commit unless the stream begins here."""
    is_first = index == stream.snapshots[-1].first_commit
    last_commit = None if is_first else commits[index - 1].end_lsn
    for event in commits[index].events:
        yield from _changes(event, stream.epoch, last_commit, time_of_commit(index))


def _changes(event: Event, epoch: int, last_commit: int | None, at: datetime) -> Iterator[Record | RangeTombstone]:
    match event:
        case Write(lsn, row, before, after):
            yield Record(row, before, after, False, epoch, last_commit, lsn, at)
        case WindowClosed(lsn, rows):
            for row, image in rows.items():
                yield Record(row, None, image, False, epoch, last_commit, lsn, at)
        case Mark(lsn, row, image):
            # A repair has the LSN of its watermark, whatever was committed before.
            yield Record(row, None, image, False, epoch, lsn, lsn, at, REPAIR_TIEBREAK, NO_PARTITION)
        case Truncate(lsn, table):
            commit_lsn = lsn if last_commit is None else last_commit
            yield RangeTombstone(
                scope=table,
                kind=TombstoneKind.TRUNCATE,
                epoch=epoch,
                commit_lsn=commit_lsn,
                lsn=lsn,
                committed_at=at,
            )


def _with_restarts(units: Sequence[Unit], faults: Choices) -> Iterator[Unit]:
    """Repeat the last few changes, as a connector does after a restart."""
    position = furthest = 0
    while position < len(units):
        if position >= furthest or not isinstance(units[position], Move):
            yield units[position]
        position += 1
        furthest = max(furthest, position)
        if faults.rarely(16):
            position = max(0, position - 1 - faults.below(8))


def _with_zombies(before: list[Unit], units: list[Unit], faults: Choices) -> list[Unit]:
    """Insert late duplicates of a batch from a fenced producer, possibly of an earlier stream."""
    told = [*before, *units]
    for _ in range(faults.below(4) if told else 0):
        start = faults.below(len(told))
        end = start + 1 + faults.below(4)
        earliest = max(end, len(before))
        landing = min(len(told), earliest + faults.below(len(told) - min(earliest, len(told)) + 1))
        told[landing:landing] = [unit for unit in told[start:end] if not isinstance(unit, Move)]
    return told[len(before) :]
