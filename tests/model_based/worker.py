"""Workers that write a log into a read model; each may die, or resume late, between any two steps."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping

from sinks.batch import OffsetRange, TopicPartition
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from tests.model_based.connector import Log, Record
from tests.model_based.database import Row
from tests.model_based.delivery import Arrivals
from tests.model_based.emission import Connector, SnapshotEnd
from tests.model_based.seeded_choices import Choices
from tests.model_based.sink_model import Step, Target

EVERYTHING = 10_000
"""A count larger than the number of records in any log."""


class Model:
    """A read model, its current worker, and the replaced workers that still write.

    Args:
        unsure: rows with a parked record that no repair has replaced yet.
        taken: the snapshot rows that were applied.
    """

    def __init__(self, target: Target, log: Log) -> None:
        self.target = target
        self.log = log
        self.unsure: set[Row] = set()
        self.taken: set[tuple[Row, int, int]] = set()
        self.zombies: list[Worker] = []
        self.worker = Worker(self)

    def crash(self) -> None:
        """Kill the worker, and start another at the stored progress."""
        self.worker = Worker(self)

    def replace(self) -> None:
        """Start another worker; the previous one does not know yet."""
        self.zombies.append(self.worker)
        self.worker = Worker(self)

    def repair(self, record: Record) -> None:
        """Write the row that was found in the source at a watermark."""
        self._write(Arrivals([record]))

    def sweep(self, end: SnapshotEnd) -> None:
        """End a snapshot, once the model has applied all its rows."""
        progress = self.target.progress()
        if all(progress.next_offset(topic_partition) >= offset for topic_partition, offset in end.ends.items()):
            self._write(Arrivals([], end.sweeps))

    def untold(self, connector: Connector) -> set[Row]:
        """Return the rows for which the log is incomplete: parked, or from an abandoned snapshot not swept yet."""
        range_tombstones = self.target.fences().known
        swept = {
            scope: (range_tombstone.epoch, range_tombstone.lsn)
            for (scope, kind), range_tombstone in range_tombstones.items()
            if kind is TombstoneKind.SNAPSHOT_END
        }
        return self.unsure | {
            row
            for row, epoch, lsn in self.taken
            if connector.is_outdated(epoch, lsn) and swept.get(row.table, (0, 0)) <= (epoch, lsn)
        }

    def _write(self, batch: Arrivals) -> None:
        for step in self.target.steps(batch, OffsetRange({}, {})):
            step()


class Worker:
    """One consumer: it reads a batch, and writes it step by step. It begins at the model's progress."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._positions: dict[TopicPartition, int] = dict(model.target.progress().offsets)
        self._steps: deque[Step] = deque()

    def read(self, choices: Choices, *, is_parking: bool = False) -> None:
        """Read a few records of some partitions, unless a batch is pending; park the first record if `is_parking`."""
        if self._steps:
            return
        self._take({topic_partition: choices.below(6) for topic_partition in self._model.log.all_ends}, is_parking)

    def read_all(self) -> None:
        """Read all available records, unless a batch is pending."""
        if not self._steps:
            self._take(dict.fromkeys(self._model.log.all_ends, EVERYTHING))

    def act(self, choices: Choices) -> None:
        """Continue with the pending batch, or read one."""
        if self._steps:
            self.proceed()
        else:
            self.read(choices)

    def proceed(self) -> None:
        """Perform the next step of the pending batch."""
        if self._steps:
            self._steps.popleft()()

    def finish(self) -> None:
        """Write the pending batch completely."""
        while self._steps:
            self.proceed()

    def rewind(self, choices: Choices) -> None:
        """Read again from an earlier record, once the pending batch is written."""
        for topic_partition, entries in self._model.log.topic_partitions.items():
            if entries:
                offset = choices.of(entries).offset
                self._positions[topic_partition] = min(self._positions.get(topic_partition, 0), offset)

    def _take(self, counts: Mapping[TopicPartition, int], is_parking: bool = False) -> None:
        """Read the given number of records of every partition.

        If those are all, the end of the partition is reached, also past empty topics.
        """
        begin: dict[TopicPartition, int] = {}
        end: dict[TopicPartition, int] = {}
        units: list[Record | RangeTombstone] = []
        for topic_partition, count in counts.items():
            entries, position = (
                self._model.log.topic_partitions[topic_partition],
                self._positions.get(topic_partition, 0),
            )
            first = bisect_left(entries, position, key=lambda entry: entry.offset)
            reached = (
                entries[first + count].offset if first + count < len(entries) else self._model.log.end(topic_partition)
            )
            if reached > position:
                begin[topic_partition], end[topic_partition] = position, reached
                units += [entry.unit for entry in entries[first : first + count]]
        records = [unit for unit in units if isinstance(unit, Record)]
        if is_parking and records:
            self._model.unsure.add(records.pop(0).row)
        self._model.taken |= {(record.row, record.epoch, record.lsn) for record in records if record.is_snapshot}
        range_tombstones = [unit for unit in units if isinstance(unit, RangeTombstone)]
        self._positions |= end
        if end:
            self._steps.extend(self._model.target.steps(Arrivals(records, range_tombstones), OffsetRange(begin, end)))
