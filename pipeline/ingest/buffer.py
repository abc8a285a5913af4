"""What the polling thread and the worker both touch, under one lock: records, placements, offsets to mirror, errors."""

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
"""Records that are worth a write where no more are known of: a store's costs for one write are small beside theirs."""

IDLE_S = 0.25
"""How long a move past control records waits for a record to travel with."""


@dataclass(frozen=True)
class PolledBatch:
    """Records as they were polled, by topic, and the span of the log that they are the whole content of."""

    records: tuple[RecordBatch, ...]
    span: OffsetRange

    def __len__(self) -> int:
        return sum(len(records) for records in self.records)


EMPTY_BATCH = PolledBatch((), OffsetRange({}, {}))


class RecordBuffer:
    """One side fills it, the other empties it.

    A shard that was assigned is *unplaced* until the worker has asked the store where to begin; then it is *placed*,
    and once the polling thread has sought there, it has *begun*. Only records of shards that have begun are kept.
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
        """Take what has come, waiting at most `wait_s` for it; nothing comes while `paused` is set.

        Raises:
            Exception: what `fail` was told.
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
        """Offsets between what was taken and the end of the log, as far as it is known."""
        with self._changed:
            return self._polled.lag

    def batch_done(self) -> None:
        """The batch in hand is done with."""
        with self._changed:
            self._is_batch_in_hand = False
            self._changed.notify_all()

    def linger(self, wait_s: float) -> None:
        """Let records come together for `wait_s`, until there are enough of them, or something else is to be done."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._has_enough() or bool(self._unplaced) or self._failure is not None, wait_s
            )

    def wait_batch_done(self, timeout_s: float) -> bool:
        """Wait until no batch is in hand, and say whether it came to that."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._is_batch_in_hand, timeout_s)

    def positions(self) -> dict[TopicPartition, int]:
        """The next offset of every shard that has begun and was not taken yet."""
        with self._changed:
            return self._polled.positions()

    def awaiting_offset(self) -> set[TopicPartition]:
        """The shards that wait to be told where to begin."""
        with self._changed:
            return set(self._unplaced)

    def assign_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Say where unplaced shards begin; one that was revoked meanwhile is left alone."""
        with self._changed:
            for topic_partition in offsets.keys() & self._unplaced:
                self._placed[topic_partition] = offsets[topic_partition]
            self._unplaced -= offsets.keys()

    def take_seeks(self) -> dict[TopicPartition, int]:
        """Take the shards that are to be sought, and where."""
        with self._changed:
            placed, self._placed = self._placed, {}
            return placed

    def retry_seek(self, topic_partition: TopicPartition, offset: int) -> None:
        """A seek came too early; a newer placement of the shard stands."""
        with self._changed:
            self._placed.setdefault(topic_partition, offset)

    def started(self, topic_partition: TopicPartition, offset: int) -> None:
        """The shard was sought and resumed, and is read from this offset; the group shows it before a record comes."""
        with self._changed:
            self._polled.begin(topic_partition, offset)
            self._mirrored[topic_partition] = offset

    def assigned(self, topic_partitions: Collection[TopicPartition]) -> None:
        """These shards are ours now."""
        with self._changed:
            self._unplaced.update(topic_partitions)
            self._changed.notify_all()

    def reset(self, topic_partitions: Collection[TopicPartition]) -> None:
        """The store has gone back in these shards: they are placed anew."""
        with self._changed:
            self._polled.drop(topic_partitions)
            self._unplaced.update(topic_partitions)
            self._changed.notify_all()

    def revoke(self, topic_partitions: Collection[TopicPartition]) -> None:
        """These shards are no longer ours; what was polled of them is for others."""
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
        """Records that were polled, ends of partitions that were met, and ends that came with the records."""
        with self._changed:
            self._polled.tell_ends(log_ends)
            self._polled.add(messages, ends)
            self._changed.notify_all()

    def wait_for_room(self, wait_s: float, ended: threading.Event) -> bool:
        """Wait at most `wait_s`, and not once `ended` is set, for room for more records; say whether there is."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or ended.is_set(), wait_s)
            return self._has_room()

    def _has_room(self) -> bool:
        return self._polled.record_count < self._max_records

    def _has_enough(self) -> bool:
        return not self._has_room() or (self._polled.record_count >= ENOUGH and self._polled.is_at_end)

    def queue_commit(self, ends: Mapping[TopicPartition, int]) -> None:
        """Offsets for the group to show."""
        with self._changed:
            self._mirrored.update(ends)

    def take_commits(self) -> dict[TopicPartition, int]:
        """Take the offsets that the group is to show."""
        with self._changed:
            mirrored, self._mirrored = self._mirrored, {}
            return mirrored

    def fail(self, error: Exception) -> None:
        """Let the worker's thread raise this; the first error stands."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()
