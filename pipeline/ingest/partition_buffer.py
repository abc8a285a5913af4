"""Buffer of polled records that were not taken yet, with the position of each topic partition."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from itertools import compress
from typing import cast

import numpy as np
from confluent_kafka import Message

from connectors.records import RecordBatch
from sinks.batch import OffsetRange, TopicPartition

# The casts are valid for records from a broker, which always have a position. `map` calls the methods from C, for all
# records at once.
topic_of = cast("Callable[[Message], str]", Message.topic)
partition_of = cast("Callable[[Message], int]", Message.partition)
offset_of = cast("Callable[[Message], int]", Message.offset)


class PartitionBuffer:
    """Buffer of one consumer. Records of topic partitions that have not begun are dropped: they were fetched before a
    seek.
    """

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._taken: dict[TopicPartition, int] = {}
        self._reached: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._taken_at = time.monotonic()

    @property
    def record_count(self) -> int:
        """Number of buffered records."""
        return len(self._messages)

    @property
    def lag(self) -> int:
        """Offsets between the taken records and the end of the log, as far as the broker has reported it."""
        return sum(
            max(reached, self._ends.get(topic_partition, 0)) - self._taken[topic_partition]
            for topic_partition, reached in self._reached.items()
        )

    @property
    def is_at_end(self) -> bool:
        """True if everything was polled that the broker has reported."""
        return all(self._ends.get(topic_partition, 0) <= reached for topic_partition, reached in self._reached.items())

    def shards(self) -> set[TopicPartition]:
        """Return the topic partitions that have begun."""
        return set(self._taken)

    def positions(self) -> dict[TopicPartition, int]:
        """Return the next offset to take of each topic partition."""
        return dict(self._taken)

    def begin(self, topic_partition: TopicPartition, offset: int) -> None:
        """Begin a topic partition at an offset. Records polled before are dropped, because they belong to another
        position.
        """
        self.drop([topic_partition])
        self._taken[topic_partition] = self._reached[topic_partition] = offset

    def drop(self, topic_partitions: Collection[TopicPartition] | Mapping[TopicPartition, int]) -> None:
        """Remove topic partitions and their records."""
        gone = set(topic_partitions)
        for topic_partition in gone:
            self._taken.pop(topic_partition, None)
            self._reached.pop(topic_partition, None)
            self._ends.pop(topic_partition, None)
        self._messages = [
            message for message in self._messages if (topic_of(message), partition_of(message)) not in gone
        ]

    def add(self, messages: list[Message], ends: Mapping[TopicPartition, int]) -> None:
        """Add polled records, and the partition ends that were reached."""
        if messages:
            topic_partitions = list(zip(map(topic_of, messages), map(partition_of, messages), strict=True))
            offsets = dict(zip(topic_partitions, map(offset_of, messages), strict=True))
            if not offsets.keys() <= self._taken.keys():
                messages = list(
                    compress(messages, [topic_partition in self._taken for topic_partition in topic_partitions])
                )
            for topic_partition, last in offsets.items():
                if topic_partition in self._taken:
                    self._reached[topic_partition] = max(self._reached[topic_partition], last + 1)
            self._messages += messages
        for topic_partition, end in ends.items():
            if topic_partition in self._taken:
                self._reached[topic_partition] = max(self._reached[topic_partition], end)

    def tell_ends(self, ends: Mapping[TopicPartition, int]) -> None:
        """Record the log ends that the broker sent with its records."""
        self._ends.update(ends)

    def has_batch(self, idle_s: float) -> bool:
        """Return whether records are buffered, or only offsets have advanced for longer than `idle_s`."""
        if self._messages:
            return True
        return self._reached != self._taken and time.monotonic() - self._taken_at > idle_s

    def take(self, limit: int) -> tuple[tuple[RecordBatch, ...], OffsetRange]:
        """Take at most `limit` records, and the offset range that they cover completely."""
        messages, self._messages = self._messages[:limit], self._messages[limit:]
        end = dict(self._reached)
        # Reversed, so that the dict keeps the first remaining offset of each partition.
        left = self._messages[::-1]
        end.update(
            zip(zip(map(topic_of, left), map(partition_of, left), strict=True), map(offset_of, left), strict=True)
        )
        moved = {
            topic_partition: offset for topic_partition, offset in end.items() if offset != self._taken[topic_partition]
        }
        span = OffsetRange({topic_partition: self._taken[topic_partition] for topic_partition in moved}, moved)
        self._taken = end
        self._taken_at = time.monotonic()
        return by_topic(messages), span


def by_topic(messages: list[Message]) -> tuple[RecordBatch, ...]:
    """Group polled messages by topic."""
    topics = list(map(topic_of, messages))
    names = list(dict.fromkeys(topics))
    if len(names) == 1:
        return (_records(names[0], messages),)
    column = np.array(topics, dtype=object)
    return tuple(_records(name, list(compress(messages, (column == name).tolist()))) for name in names)


def _records(topic: str, messages: list[Message]) -> RecordBatch:
    return RecordBatch(
        topic,
        np.fromiter(map(partition_of, messages), np.int32, len(messages)),
        np.fromiter(map(offset_of, messages), np.int64, len(messages)),
        list(map(Message.key, messages)),
        list(map(Message.value, messages)),
    )
