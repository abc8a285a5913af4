"""Log in Kafka: separate topics, filled once in the way the connector fills its topics."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import orjson
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from bench.envelopes import Change, Envelopes
from bench.history import History
from connectors import topics
from connectors.kafka import end_offsets
from connectors.topics import TopicSpec
from pipeline.config import Settings
from sinks.batch import TopicPartition

CHANGES_PER_TRANSACTION = 2048
"""Maximum that the connector writes in one transaction with its default `max.batch.size`."""

_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Log:
    """Content of the topics.

    Args:
        ends: per partition, the offset after its last record, control records included.
        record_count: number of records, tombstones included.
        value_bytes: the size of all values.
    """

    topics: tuple[str, ...]
    ends: Mapping[TopicPartition, int]
    record_count: int
    value_bytes: int


@contextmanager
def written(settings: Settings, told: History | Iterable[History], envelopes: Mapping[str, Envelopes]) -> Iterator[Log]:
    """Write one history, or several in sequence, to new topics, which are deleted at the end."""
    names = {table: topic for topic, table in settings.definitions.topics.items()}
    wanted = [
        TopicSpec(name, settings.topics.partitions, settings.topics.replication_factor, settings.topics.kafka_config)
        for name in names.values()
    ]
    admin = settings.kafka.admin()
    topics.create_missing(admin, wanted)
    try:
        registry = SchemaRegistryClient({"url": settings.schema_registry.url})
        ids = {
            table: registry.register_schema(f"{topic}-value", Schema(orjson.dumps(envelopes[table].schema).decode()))
            for table, topic in names.items()
        }
        producer = Producer(
            settings.kafka.with_client(
                transactional_id=f"bench-{uuid.uuid4()}",
                # Connect's partitioner: https://cwiki.apache.org/confluence/x/EgZ4AQ
                partitioner="murmur2_random",
                compression_type="lz4",
                linger_ms=5,
            )
        )
        producer.init_transactions(_TIMEOUT_S)
        value_bytes = record_count = 0
        for history in [told] if isinstance(told, History) else told:
            record_count += history.record_count
            changes = iter(history.changes)
            while some := list(islice(changes, CHANGES_PER_TRANSACTION)):
                producer.begin_transaction()
                for change in some:
                    value_bytes += _produce(producer, names[change.table], change, envelopes, ids)
                producer.commit_transaction(_TIMEOUT_S)
        ends = end_offsets(admin, names.values())
        yield Log(tuple(names.values()), ends, record_count, value_bytes)
    finally:
        topics.delete(admin, names.values())


def _produce(
    producer: Producer, topic: str, change: Change, envelopes: Mapping[str, Envelopes], ids: Mapping[str, int]
) -> int:
    value = envelopes[change.table].value(change, ids[change.table])
    producer.produce(topic, value, change.key)
    if change.after is None:
        producer.produce(topic, None, change.key)
    producer.poll(0)
    return len(value)
