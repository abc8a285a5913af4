"""What the connector emits of a source, and what becomes of it on the way: restarts, zombies, given-up snapshots."""

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
"""What one more change of topics adds to an offset, so that offsets go on growing."""


def time_of_commit(index: int) -> datetime:
    """When a commit was made: they are a second apart."""
    return MIDNIGHT + timedelta(seconds=index)


def time_of_snapshot(snapshot: Snapshot) -> datetime:
    """When a snapshot was taken: half a second before the first commit that comes after it."""
    return time_of_commit(snapshot.first_commit) - timedelta(seconds=0.5)


class Record(NamedTuple):
    """A change to one row as the log holds it, or a repair, which has no offset.

    `last_commit` is the end LSN of the last commit before this one in the stream, None where there was none. The
    images of a snapshot row and of a repair are the row as it was read; `before` is then unknown. `committed_at` is the
    time of the commit, or of the snapshot.
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
        """Whether it was written by a repair, and not by the connector."""
        return not self.is_snapshot and self.tie == REPAIR_TIEBREAK


class Move(NamedTuple):
    """The log goes on in new topics, with so many partitions."""

    partitions: int


Unit = Record | RangeTombstone | Move


class Entry(NamedTuple):
    """What lies at one offset of a partition."""

    offset: int
    unit: Record | RangeTombstone


class Log:
    """The topics: what was appended, and where each partition ends.

    `topic_partitions` is what can be read of each partition of each table's topic; a truncate has no key, and may lie
    in any of them. `records` and `range_tombstones` are all of it in the order of emission, the repairs among them.
    """

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.range_tombstones: list[RangeTombstone] = []
        self.topic_partitions: dict[TopicPartition, list[Entry]] = defaultdict(list)
        self._partitions = PARTITIONS
        self._moves = 0
        self._ends: Counter[TopicPartition] = Counter()

    def append(self, unit: Unit) -> None:
        """Write a change where its key belongs."""
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
        """Per partition of a topic, the next offset."""
        return {partition: self.end((table, partition)) for partition in range(self._partitions)}

    def end(self, topic_partition: TopicPartition) -> int:
        """The next offset of one partition."""
        return self._moves * TOPICS_BEFORE + self._ends[topic_partition]

    @property
    def all_ends(self) -> dict[TopicPartition, int]:
        """The next offset of every partition."""
        return {(table, partition): end for table in TABLES for partition, end in self.ends(table).items()}

    def _place(self, unit: Record | RangeTombstone, topic_partition: TopicPartition) -> None:
        self.topic_partitions[topic_partition].append(Entry(self.end(topic_partition), unit))
        self._ends[topic_partition] += 1


def emit(source: Source, faults: Choices) -> Log:
    """Write what every stream of a source gives into one log."""
    log = Log()
    emitted: list[Unit] = []
    epoch = 0
    for stream in source.streams:
        if stream.epoch != epoch:
            # Opening an epoch fences the producers of the one before.
            emitted, epoch = [], stream.epoch
        ends = {table: log.ends(table) for table in TABLES}
        units = _with_zombies(emitted, _life(stream, source.database.commits, faults), faults)
        for unit in units:
            log.append(unit)
        log.range_tombstones += sweeps(stream, ends)
        emitted += units
    return log


def sweeps(stream: Stream, started_at: Mapping[str, Mapping[int, int]]) -> list[RangeTombstone]:
    """What ends the stream's snapshot; `started_at` are the ends of the topics, recorded before it began."""
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
    """Rows of given-up snapshots, of which some come late and some never; the finished one; the changes since."""
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
    """What a snapshot emits."""
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
    """What one commit is in a stream, which knows of the commit before it unless it begins here."""
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
            # A repair stands at its mark, whatever was committed before.
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
    """A connector that restarts emits the last few changes again."""
    position = furthest = 0
    while position < len(units):
        if position >= furthest or not isinstance(units[position], Move):
            yield units[position]
        position += 1
        furthest = max(furthest, position)
        if faults.rarely(16):
            position = max(0, position - 1 - faults.below(8))


def _with_zombies(before: list[Unit], units: list[Unit], faults: Choices) -> list[Unit]:
    """A producer that was given up for dead writes a batch once more, later; also one of an earlier stream."""
    told = [*before, *units]
    for _ in range(faults.below(4) if told else 0):
        start = faults.below(len(told))
        end = start + 1 + faults.below(4)
        earliest = max(end, len(before))
        landing = min(len(told), earliest + faults.below(len(told) - min(earliest, len(told)) + 1))
        told[landing:landing] = [unit for unit in told[start:end] if not isinstance(unit, Move)]
    return told[len(before) :]
