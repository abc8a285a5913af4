"""Separate connector for the recording on a running stack: database, slot, topics; its schemas stay in the registry."""

import base64
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from psycopg.conninfo import make_conninfo

from connectors.debezium import default_configuration
from connectors.kafka import end_offsets
from connectors.kafka_connect import ConnectClient
from pipeline.postgres.replication import create_role
from pipeline.service_addresses import SourceSettings
from stack.endpoints import Endpoints
from tests.golden.recording import Record

PREFIX = "golden"
ROLE = "debezium"
TIMEOUT_S = 60.0

_ABSENT = ("heartbeat.", "signal.", "notification.", "message.prefix.")
"""Settings that concern the rest of the pipeline."""


class Recorder:
    """The tools for a recording on one stack."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._admin = AdminClient({"bootstrap.servers": endpoints.kafka})

    @property
    def url(self) -> str:
        """The URL of the recording's database, with a role that has all rights in it."""
        return make_conninfo(self._endpoints.postgres_admin, dbname=PREFIX)

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield an empty database, and the role with which the connector reads it."""
        ends = self._endpoints
        create_role(
            SourceSettings(
                url=ends.postgres,
                admin_url=ends.postgres_admin,
                replication_password=ends.replication_password,
                replication_role=ROLE,
            )
        )
        with psycopg.connect(ends.postgres_admin, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {PREFIX}")
            admin.execute(f"CREATE DATABASE {PREFIX}")
            try:
                with psycopg.connect(self.url, autocommit=True) as connection:
                    yield connection
            finally:
                admin.execute(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
                    [PREFIX],
                )
                admin.execute(f"DROP DATABASE {PREFIX}")

    @contextmanager
    def topics(self, names: Iterable[str]) -> Iterator[None]:
        """Create empty topics of one partition."""
        wanted = [NewTopic(name, num_partitions=1, replication_factor=1) for name in names]
        for created in self._admin.create_topics(wanted).values():
            created.result()
        try:
            yield
        finally:
            for deleted in self._admin.delete_topics([topic.topic for topic in wanted]).values():
                deleted.result()

    @contextmanager
    def connector(self, settings: Mapping[str, str]) -> Iterator[None]:
        """Run the shipped connector with other settings."""
        shipped = default_configuration().settings
        kept = {key: value for key, value in shipped.items() if not key.startswith(_ABSENT)}
        own = {"topic.prefix": PREFIX, "database.dbname": PREFIX, "slot.name": PREFIX, "publication.name": PREFIX}
        with closing(ConnectClient(self._endpoints.connect)) as connect:
            connect.put_config(PREFIX, {**kept, **own, **settings})
            try:
                connect.wait_until_running(PREFIX, TIMEOUT_S)
                yield
            finally:
                connect.stop(PREFIX)
                connect.wait_until_stopped(PREFIX, TIMEOUT_S)
                connect.forget_offsets(PREFIX)
                connect.delete(PREFIX)

    def read(self, topic: str, count: int) -> list[Record]:
        """Read a topic from its start until it has given `count` values that are not null.

        Raises:
            TimeoutError: fewer came.
        """
        records: list[Record] = []
        with self._consumer(topic) as consumer:
            while sum(record.value is not None for record in records) < count:
                message = consumer.poll(TIMEOUT_S)
                if message is None:
                    raise TimeoutError(f"{len(records)} of {count} records came in {topic}")
                if not message.error():
                    records.append(Record.of(message))
        return records

    def read_all(self, topics: Sequence[str]) -> list[Record]:
        """Read topics from their starts to their ends, one after the other.

        Raises:
            TimeoutError: an end was not reached.
        """
        ends = end_offsets(self._admin, topics)
        records: list[Record] = []
        for topic in topics:
            with self._consumer(topic) as consumer:
                while True:
                    message = consumer.poll(TIMEOUT_S)
                    if message is None:
                        raise TimeoutError(f"the end of {topic} was not reached")
                    if not message.error():
                        records.append(Record.of(message))
                    elif (message.offset() or 0) >= ends[topic, 0]:
                        break
        return records

    def schemas(self, values: Iterable[bytes | None]) -> dict[str, Any]:
        """Return the Avro schemas that values refer to, by id."""
        registry = SchemaRegistryClient({"url": self._endpoints.schema_registry})
        ids = {int.from_bytes(value[1:5], "big") for value in values if value and value[:1] == b"\0"}
        return {str(key): json.loads(registry.get_schema(key).schema_str or "null") for key in sorted(ids)}

    @contextmanager
    def _consumer(self, topic: str) -> Iterator[Consumer]:
        consumer = Consumer(
            {
                "bootstrap.servers": self._endpoints.kafka,
                "group.id": f"{PREFIX}.{uuid.uuid4()}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )
        with closing(consumer):
            consumer.assign([TopicPartition(topic, 0, 0)])
            yield consumer


def base64_of(octets: bytes) -> str:
    """Return bytes as Base64 text, for JSON."""
    return base64.b64encode(octets).decode()


def lines_of(*objects: Any) -> str:
    """Return JSON text with a line for each object."""
    return "".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) + "\n" for one in objects)
