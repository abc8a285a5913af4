"""A source's history, the log that a faulty connector made of it, and the expected final content of the read models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from tests.model_based.connector import TOPICS_BEFORE, Record, emit, time_of_commit, time_of_snapshot
from tests.model_based.database import Image, Row
from tests.model_based.seeded_choices import Choices
from tests.model_based.source import Source


@dataclass(frozen=True, repr=False)
class History:
    """A history as far as a read model is concerned.

    Args:
        records: the records to merge, in the order of the log, repairs included.
        range_tombstones: the truncates and sweeps, to be merged at any time.
        parked: records that never reach the read models, because a repair replaces them.
        rows: the source's final rows.
        states: the source's rows at the moments for which the log is complete.
    """

    records: tuple[Record, ...]
    range_tombstones: tuple[RangeTombstone, ...]
    parked: tuple[Record, ...]
    rows: Mapping[Row, Image]
    states: Mapping[datetime, Mapping[Row, Image]]

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def number(self, unit: Record | RangeTombstone) -> int:
        """Return the number under which a record or range tombstone is printed."""
        return (*self.records, *self.range_tombstones).index(unit)

    def _lines(self) -> Iterator[str]:
        for number, record in enumerate(self.records):
            yield f"#{number} {_describe_record(record)}"
        for number, range_tombstone in enumerate(self.range_tombstones, len(self.records)):
            yield f"#{number} {_describe_fence(range_tombstone)}"
        yield from (f"parked: {_describe_record(record)}" for record in self.parked)
        yield "in the end: " + (", ".join(f"{_name(row)} {_version(self.rows[row])}" for row in self.rows) or "nothing")


def history(program: bytes, faults: Choices) -> History:
    """Run a source through a program, and its log through faults."""
    source = Source()
    source.run(program)
    log = emit(source, faults)
    records, parked = _park(log.records, faults)
    return History(records, tuple(log.range_tombstones), parked, source.database.rows, dict(_states(source)))


def _states(source: Source) -> Iterator[tuple[datetime, Mapping[Row, Image]]]:
    """Yield the source's content at every finished snapshot, and after every commit that was streamed since."""
    for stream in source.streams:
        snapshot = stream.snapshots[-1]
        if snapshot.is_whole:
            yield time_of_snapshot(snapshot), snapshot.rows
        for index, state in enumerate(source.database.states[: stream.end_commit]):
            if index >= snapshot.first_commit:
                yield time_of_commit(index), state


def _park(records: list[Record], faults: Choices) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """Remove some of the records that a later repair replaces."""
    repairs = [record for record in records if record.is_repair]
    kept: list[Record] = []
    parked: list[Record] = []
    for record in records:
        is_made_up_for = any(_precedes(record, repair) for repair in repairs)
        (parked if is_made_up_for and faults.rarely(3) else kept).append(record)
    return tuple(kept), tuple(parked)


def _precedes(record: Record, repair: Record) -> bool:
    """Return whether a change precedes the watermark at which its row was read."""
    return record.row == repair.row and not record.is_repair and _place(record) < _place(repair)


def _place(record: Record) -> tuple[int, int, int]:
    return (record.epoch, record.lsn if record.last_commit is None else record.last_commit, record.lsn)


def _describe_record(record: Record) -> str:
    if record.is_repair:
        kind, where = "repair", "outside the log"
    else:
        kind = "snapshot" if record.is_snapshot else "streamed"
        where = f"partition {record.partition} offset {_position(record.offset)}"
    images = f"{_version(record.before)} -> {_version(record.after)}"
    place = f"epoch {record.epoch} last commit {record.last_commit} lsn {record.lsn}"
    return f"{kind} {_name(record.row)} {images}, {place}, {where}"


def _describe_fence(range_tombstone: RangeTombstone) -> str:
    place = f"epoch {range_tombstone.epoch} lsn {range_tombstone.lsn}"
    if range_tombstone.kind is TombstoneKind.SNAPSHOT_END:
        ends = ", ".join(
            f"{partition} at {_position(offset)}" for partition, offset in range_tombstone.started_at.items()
        )
        return f"sweep of {range_tombstone.scope}, {place}, begun when the partitions ended: {ends}"
    return f"truncate of {range_tombstone.scope}, {place}, last commit {range_tombstone.commit_lsn}"


def _position(offset: int) -> str:
    return f"{offset % TOPICS_BEFORE} of topics {offset // TOPICS_BEFORE}"


def _name(row: Row) -> str:
    return f"{row.table}/{row.key}"


def _version(image: Image | None) -> str:
    if image is None:
        return "none"
    return f"v{image.value}" if image.parent is None else f"v{image.value} of order {image.parent}"
