"""The log from offset zero, read with the production decoder."""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka import TopicPartition as KafkaTopicPartition

from pipeline import read_models
from pipeline.config import Settings
from pipeline.ingest.partition_buffer import by_topic, offset_of, partition_of, topic_of
from sinks.batch import TopicPartition
from tests.chaos.fold import Fold

POLL_S = 0.5
READ_WITHIN_S = 120.0
CHUNK = 2_000


class Log:
    """All records in the topics of the definitions, up to the last read position."""

    def __init__(self, settings: Settings) -> None:
        self.fold = Fold()
        self._settings = settings
        self._decoder = read_models.decoder(settings)
        self._position: dict[TopicPartition, int] = {}

    def read_to(self, ends: Mapping[TopicPartition, int]) -> None:
        """Read from the last position, initially offset zero, to `ends`."""
        consumer = Consumer(
            self._settings.kafka.with_client(
                group_id="chaos.log",
                isolation_level="read_committed",
                enable_auto_commit=False,
                enable_partition_eof=True,
            )
        )
        try:
            consumer.assign(
                [
                    KafkaTopicPartition(*topic_partition, self._position.get(topic_partition, 0))
                    for topic_partition in ends
                ]
            )
            deadline = time.monotonic() + READ_WITHIN_S
            while any(self._position.get(topic_partition, 0) < end for topic_partition, end in ends.items()):
                self._take(consumer.consume(CHUNK, POLL_S))
                assert time.monotonic() < deadline, f"the log was not read to {ends}, but to {self._position}"
        finally:
            consumer.close()

    def _take(self, messages: list[Message]) -> None:
        arrived = []
        for message in messages:
            error = message.error()
            if error is None:
                arrived.append(message)
                self._position[topic_of(message), partition_of(message)] = offset_of(message) + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                # Use the consumer's position: only it passes the control records that end a transaction.
                self._position[topic_of(message), partition_of(message)] = offset_of(message)
        for records in by_topic(arrived) if arrived else ():
            decoded = self._decoder.decode(records)
            assert not decoded.rejected, decoded.rejected
            for envelopes in decoded.envelopes:
                for change in envelopes.to_pylist():
                    self.fold.add(self._settings.definitions.topics[records.topic], change)
