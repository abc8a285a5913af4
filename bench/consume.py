"""Plain consumer of the log: every value is read and then discarded."""

from __future__ import annotations

import uuid
from contextlib import closing

from confluent_kafka import Consumer, Message, TopicPartition

from bench.carry import Clock, Duration
from bench.log import Log
from pipeline.config import Settings
from pipeline.ingest.consumer import BACKOFF_MS

RECORDS_PER_CALL = 1000
"""Records per call. Larger calls are slower because they wait for records that are not there yet."""


class LogShorter(RuntimeError):
    """The consumed records are fewer than the written ones."""


def consume(settings: Settings, log: Log) -> Duration:
    """Consume the whole log as one member of a group, timed from its assignment to the last record."""
    clock = Clock()

    def assigned(consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.assign([TopicPartition(place.topic, place.partition, 0) for place in places])
        clock.start()

    consumer = Consumer(
        settings.kafka.with_client(
            group_id=f"bench.consume.{uuid.uuid4()}",
            enable_auto_commit=False,
            isolation_level="read_committed",
            fetch_queue_backoff_ms=BACKOFF_MS,
        )
    )
    with closing(consumer):
        consumer.subscribe(list(log.topics), on_assign=assigned)
        count = value_bytes = 0
        while count < log.record_count:
            messages = consumer.consume(RECORDS_PER_CALL, 10.0 if count == 0 else 0.1)
            values = list(map(Message.value, messages))
            count += len(values)
            value_bytes += sum(map(len, filter(None, values)))
        clock.stop()
    if value_bytes != log.value_bytes:
        raise LogShorter(f"consumed {value_bytes:,} bytes of values, where {log.value_bytes:,} were written")
    return clock.duration
