"""State shared by the polling thread and the worker under one lock: records, seeks, offsets to commit, errors."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from confluent_kafka import Message

from connectors.records import RecordBatch
from pipeline.ingest.partition_buffer import PartitionBuffer
from sinks.batch import OffsetRange, TopicPartition

ENOUGH = 1_000
"""Records that justify a write while the partitions are read to their end: the fixed cost of a write is small beside
theirs.
"""

IDLE_S = 0.25
"""Time that an advance past control records waits for a record to travel with."""


@dataclass(frozen=True)
class PolledBatch:
    """Polled records, grouped by topic, and the offset range that they cover completely."""

    records: tuple[RecordBatch, ...]
    span: OffsetRange

    def __len__(self) -> int:
        return sum(len(records) for records in self.records)


EMPTY_BATCH = PolledBatch((), OffsetRange({}, {}))


class RecordBuffer:
    """Buffer that the polling thread fills and the worker empties.

    A newly assigned topic partition is *unplaced* until the worker has read its offset from the store. Then it is
    *placed*. Once the polling thread has sought to that offset, it has *begun*. Only records of begun topic partitions
    are kept.
    """

    def __init__(self, max_records: int) -> None:
        self._max_records = max_records
        self._changed = threading.Condition()
        self._polled = PartitionBuffer()
        self._unplaced: set[TopicPartition] = set()
        self._placed: dict[TopicPartition, int] = {}
        self._mirrored: dict[TopicPartition, int] = {}
        self._is_batch_in_hand = False
        self._failure: Exception | None = None

    def take(self, wait_s: float, paused: threading.Event) -> PolledBatch:
        """Take the buffered records, waiting at most `wait_s` for them. The batch is empty while `paused` is set.

        Raises:
            Exception: the error that was passed to `fail`.
        """
        with self._changed:
            if paused.is_set() or not self._polled.has_batch(IDLE_S):
                self._changed.wait(wait_s)
            if self._failure is not None:
                raise self._failure
            if paused.is_set() or not self._polled.has_batch(IDLE_S):
                return EMPTY_BATCH
            self._is_batch_in_hand = True
            batch = PolledBatch(*self._polled.take(self._max_records))
            self._changed.notify_all()
            return batch

    def lag(self) -> int:
        """Return the number of offsets between the taken records and the known end of the log."""
        with self._changed:
            return self._polled.lag

    def batch_done(self) -> None:
        """Mark the current batch as processed."""
        with self._changed:
            self._is_batch_in_hand = False
            self._changed.notify_all()

    def linger(self, wait_s: float) -> None:
        """Wait up to `wait_s` for more records. Return early if enough are buffered, or if an assignment or an error is
        pending.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._has_enough() or bool(self._unplaced) or self._failure is not None, wait_s
            )

    def wait_batch_done(self, timeout_s: float) -> bool:
        """Wait until no batch is being processed. Return whether that happened in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._is_batch_in_hand, timeout_s)

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset to take of every topic partition that has begun."""
        with self._changed:
            return self._polled.positions()

    def awaiting_offset(self) -> set[TopicPartition]:
        """Return the topic partitions that wait for their start offset."""
        with self._changed:
            return set(self._unplaced)

    def assign_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Set the start offsets of unplaced topic partitions. One that was revoked meanwhile is skipped."""
        with self._changed:
            for topic_partition in offsets.keys() & self._unplaced:
                self._placed[topic_partition] = offsets[topic_partition]
            self._unplaced -= offsets.keys()

    def take_seeks(self) -> dict[TopicPartition, int]:
        """Take the pending seeks: topic partitions and offsets."""
        with self._changed:
            placed, self._placed = self._placed, {}
            return placed

    def retry_seek(self, topic_partition: TopicPartition, offset: int) -> None:
        """Queue a failed seek again, unless a newer one is pending."""
        with self._changed:
            self._placed.setdefault(topic_partition, offset)

    def started(self, topic_partition: TopicPartition, offset: int) -> None:
        """Record that a topic partition was sought and resumed at this offset. The group commits it before a record
        arrives.
        """
        with self._changed:
            self._polled.begin(topic_partition, offset)
            self._mirrored[topic_partition] = offset

    def assigned(self, topic_partitions: Collection[TopicPartition]) -> None:
        """Add newly assigned topic partitions."""
        with self._changed:
            self._unplaced.update(topic_partitions)
            self._changed.notify_all()

    def reset(self, topic_partitions: Collection[TopicPartition]) -> None:
        """Discard records of these topic partitions and seek again, because the store was rolled back there."""
        with self._changed:
            self._polled.drop(topic_partitions)
            self._unplaced.update(topic_partitions)
            self._changed.notify_all()

    def revoke(self, topic_partitions: Collection[TopicPartition]) -> None:
        """Remove revoked topic partitions and their records; the next owner reads those records."""
        with self._changed:
            self._polled.drop(topic_partitions)
            self._unplaced.difference_update(topic_partitions)
            for topic_partition in topic_partitions:
                self._placed.pop(topic_partition, None)

    def add(
        self,
        messages: list[Message],
        ends: Mapping[TopicPartition, int],
        log_ends: Mapping[TopicPartition, int] = MappingProxyType({}),
    ) -> None:
        """Add polled records, partition ends that were reached, and log ends that arrived with the records."""
        with self._changed:
            self._polled.tell_ends(log_ends)
            self._polled.add(messages, ends)
            self._changed.notify_all()

    def wait_for_room(self, wait_s: float, ended: threading.Event) -> bool:
        """Wait at most `wait_s`, or until `ended` is set, for room for more records. Return whether there is room."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or ended.is_set(), wait_s)
            return self._has_room()

    def _has_room(self) -> bool:
        return self._polled.record_count < self._max_records

    def _has_enough(self) -> bool:
        return not self._has_room() or (self._polled.record_count >= ENOUGH and self._polled.is_at_end)

    def queue_commit(self, ends: Mapping[TopicPartition, int]) -> None:
        """Queue offsets for the group to commit."""
        with self._changed:
            self._mirrored.update(ends)

    def take_commits(self) -> dict[TopicPartition, int]:
        """Take the offsets that the group is to commit."""
        with self._changed:
            mirrored, self._mirrored = self._mirrored, {}
            return mirrored

    def fail(self, error: Exception) -> None:
        """Raise this error in the worker's thread. Only the first error is kept."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()
