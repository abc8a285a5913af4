"""Lag of a read model: the records that it has not applied, and the age of the oldest one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions
from confluent_kafka import TopicPartition as KafkaTopicPartition

from connectors.kafka import REQUEST_TIMEOUT_S, KafkaSettings
from sinks.batch import TopicPartition

OLDEST_TIMEOUT_S = 3.0
"""Timeout for the search of the oldest unread records."""


@dataclass(frozen=True)
class PartitionLag:
    """Lag in one partition."""

    topic: str
    partition: int
    offset: int
    end: int
    lag_records: int


@dataclass(frozen=True)
class Lag:
    """Lag in all partitions.

    Args:
        staleness_s: age of the oldest record that is not applied; zero if there is none.
    """

    partitions: tuple[PartitionLag, ...]
    staleness_s: float

    @property
    def lag_records(self) -> int:
        """Number of offsets between the progress and the ends of the log."""
        return sum(partition.lag_records for partition in self.partitions)

    @property
    def progress(self) -> float:
        """Fraction of the log's offsets that were applied, from 0 to 1."""
        total = sum(partition.end for partition in self.partitions)
        return (total - self.lag_records) / total if total else 1.0


def read_lag(kafka: KafkaSettings, group: str, ends: Mapping[TopicPartition, int]) -> Lag:
    """Compare the progress that a consumer group mirrors with the ends of the log.

    Raises:
        KafkaException: the brokers did not answer.
    """
    committed = committed_offsets(kafka, group, ends)
    partitions = tuple(
        PartitionLag(*topic_partition, committed[topic_partition], end, max(0, end - committed[topic_partition]))
        for topic_partition, end in sorted(ends.items())
    )
    return Lag(partitions, _staleness_s(kafka, partitions))


def committed_offsets(
    kafka: KafkaSettings, group: str, ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Read the mirrored progress; zero if nothing is committed yet.

    Raises:
        KafkaException: the brokers did not answer.
    """
    # Keep a reference: a garbage-collected AdminClient never completes its futures.
    admin = kafka.admin()
    wanted = ConsumerGroupTopicPartitions(group, [KafkaTopicPartition(*topic_partition) for topic_partition in ends])
    asked = admin.list_consumer_group_offsets([wanted], request_timeout=REQUEST_TIMEOUT_S)
    places = asked[group].result().topic_partitions
    return {(place.topic, place.partition): max(0, place.offset) for place in places}


def _staleness_s(kafka: KafkaSettings, partitions: tuple[PartitionLag, ...]) -> float:
    """Find the age of the oldest unread record; commit markers at the end of a partition are not records."""
    behind = {(one.topic, one.partition): one.offset for one in partitions if one.lag_records}
    if not behind:
        return 0.0
    consumer = Consumer(
        kafka.with_client(
            group_id="readmodels.status",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            enable_partition_eof=True,
            isolation_level="read_committed",
        )
    )
    oldest_ms = time.time() * 1000
    try:
        consumer.assign([KafkaTopicPartition(*topic_partition, offset) for topic_partition, offset in behind.items()])
        deadline, open_shards = time.monotonic() + OLDEST_TIMEOUT_S, set(behind)
        while open_shards and time.monotonic() < deadline:
            for message in consumer.consume(500, 0.2):
                topic_partition = (message.topic() or "", message.partition() or 0)
                if topic_partition in open_shards and not message.error():
                    oldest_ms = min(oldest_ms, message.timestamp()[1])
                open_shards.discard(topic_partition)
    finally:
        consumer.close()
    return round(max(0.0, time.time() - oldest_ms / 1000), 3)
