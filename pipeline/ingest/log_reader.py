"""Reader of a part of the log, once, from its start to a fixed end. Joins no group, commits nothing."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, compress

import numpy as np
from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka import TopicPartition as KafkaTopicPartition

from connectors.errors import DependencyUnavailable
from connectors.kafka import KafkaSettings
from connectors.records import RecordBatch
from pipeline.ingest.consumer import classify_error, consumer_settings
from pipeline.ingest.partition_buffer import by_topic, offset_of, partition_of, topic_of
from sinks.batch import Offsets, TopicPartition

GROUP = "readmodels.survey"
"""Group name. The client requires one, but no member joins the group."""

RECORDS_PER_CALL = 1000
"""Records per call. This size is the fastest on a running broker: a larger call waits for records that are not there
yet.
"""
POLL_S = 0.1
CHUNK_RECORDS = 50_000
CHUNK_BYTES = 32 * 2**20
"""Size limits of a chunk: it is yielded once it has so many records, or its values so many bytes."""
STALL_TIMEOUT_S = 60.0
LOW_LATENCY_FETCH = {"fetch.wait.max.ms": 20, "fetch.queue.backoff.ms": 20}
"""Fetch settings. By default a partition's end is reported after half a second, and a full queue is refilled after one.
"""


class LogStalled(DependencyUnavailable):
    """A partition cannot be read to its end: the brokers do not send, or a transaction there was never ended."""

    remedy = (
        "Check that all brokers are up. If they are, a transaction hangs: `kafka-transactions.sh find-hanging` lists "
        "it, and `abort` ends it; an open transaction of a producer times out after `transaction.timeout.ms`."
    )


@dataclass(frozen=True)
class LogChunk:
    """Chunk of records, and the next offset of every partition after them."""

    records: tuple[RecordBatch, ...]
    reached: Offsets


def read_log(
    kafka: KafkaSettings, starts: Offsets, ends: Offsets, stall_timeout_s: float = STALL_TIMEOUT_S
) -> Iterator[LogChunk]:
    """Read every partition from its start to its end, committed records only.

    Args:
        stall_timeout_s: time without progress after which an error is raised.

    Raises:
        LogStalled: nothing arrived within `stall_timeout_s`.
        OffsetOutOfRange: the log was truncated while it was read.
        ConsumerFailed: the consumer met an error that it cannot recover from.
    """
    with closing(Consumer({**consumer_settings(kafka, GROUP, 10.0, 300.0), **LOW_LATENCY_FETCH})) as consumer:
        reading = _Reading(consumer, starts, ends, stall_timeout_s)
        while reading.behind:
            reading.poll()
            if reading.has_piece or not reading.behind:
                yield reading.take()


class _Reading:
    def __init__(self, consumer: Consumer, starts: Offsets, ends: Offsets, stall_timeout_s: float) -> None:
        self._consumer = consumer
        self._ends = ends
        self._stall_timeout_s = stall_timeout_s
        self._reached = dict(starts)
        self._records: defaultdict[str, list[RecordBatch]] = defaultdict(list)
        self._count = 0
        self._bytes = 0
        self._moved_at = time.monotonic()
        self.behind = {topic_partition for topic_partition, end in ends.items() if starts[topic_partition] < end}
        consumer.assign(
            [KafkaTopicPartition(*topic_partition, starts[topic_partition]) for topic_partition in sorted(self.behind)]
        )

    @property
    def has_piece(self) -> bool:
        return self._count >= CHUNK_RECORDS or self._bytes >= CHUNK_BYTES

    def poll(self) -> None:
        polled = self._consumer.consume(RECORDS_PER_CALL, POLL_S)
        errors = list(map(Message.error, polled))
        reached = {}
        if any(errors):
            reached = self._met(polled, errors)
            polled = [message for message, error in zip(polled, errors, strict=True) if error is None]
        if polled:
            topic_partitions = zip(map(topic_of, polled), map(partition_of, polled), strict=True)
            last = dict(zip(topic_partitions, map(offset_of, polled), strict=True))
            reached.update(
                {
                    topic_partition: max(reached.get(topic_partition, 0), offset + 1)
                    for topic_partition, offset in last.items()
                }
            )
            # Messages are converted at once, so that they are freed early: the garbage collector would scan those that
            # are kept.
            for records in by_topic(polled):
                self._records[records.topic].append(records)
            self._count += len(polled)
            self._bytes += sum(map(len, polled))
        self._move(reached)

    def take(self) -> LogChunk:
        records = [self._within(_joined(some)) for some in self._records.values()]
        self._records.clear()
        self._count = self._bytes = 0
        return LogChunk(tuple(filter(len, records)), dict(self._reached))

    def _met(self, polled: list[Message], errors: list[KafkaError | None]) -> dict[TopicPartition, int]:
        ends = {}
        for message, error in zip(polled, errors, strict=True):
            if error is None:
                continue
            topic_partition = (topic_of(message), partition_of(message))
            if error.code() == KafkaError._PARTITION_EOF:
                ends[topic_partition] = offset_of(message)
            elif failure := classify_error(error, f"{topic_partition[0]}/{topic_partition[1]}"):
                raise failure
        return ends

    def _move(self, reached: Offsets) -> None:
        for topic_partition, offset in reached.items():
            if offset > self._reached[topic_partition]:
                self._reached[topic_partition] = min(offset, self._ends[topic_partition])
                self._moved_at = time.monotonic()
        done = [
            topic_partition
            for topic_partition in reached
            if topic_partition in self.behind and self._reached[topic_partition] >= self._ends[topic_partition]
        ]
        if done:
            # Producers may write to the partition for ever.
            self._consumer.pause([KafkaTopicPartition(*topic_partition) for topic_partition in done])
            self.behind.difference_update(done)
        if self.behind and time.monotonic() - self._moved_at > self._stall_timeout_s:
            topic, partition = min(self.behind)
            place = f"{topic}/{partition} at offset {self._reached[topic, partition]}"
            raise LogStalled(f"no record arrived for {self._stall_timeout_s:g} s, first of {len(self.behind)}: {place}")

    def _within(self, records: RecordBatch) -> RecordBatch:
        """Return the records below the fixed ends."""
        ends = np.zeros(int(records.partitions.max()) + 1, np.int64)
        for (topic, partition), end in self._ends.items():
            if topic == records.topic and partition < len(ends):
                ends[partition] = end
        return filter_records(records, records.offsets < ends[records.partitions])


def _joined(some: list[RecordBatch]) -> RecordBatch:
    """Concatenate consecutive record batches of one topic."""
    return RecordBatch(
        some[0].topic,
        np.concatenate([one.partitions for one in some]),
        np.concatenate([one.offsets for one in some]),
        list(chain.from_iterable(one.keys for one in some)),
        list(chain.from_iterable(one.values for one in some)),
    )


def filter_records(records: RecordBatch, which: np.ndarray) -> RecordBatch:
    """Return the records at which a mask is true."""
    if which.all():
        return records
    chosen_ones = which.tolist()
    return RecordBatch(
        records.topic,
        records.partitions[which],
        records.offsets[which],
        list(compress(records.keys, chosen_ones)),
        list(compress(records.values, chosen_ones)),
    )
