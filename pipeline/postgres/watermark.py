"""Watermarks: messages in the source's WAL that prove, once they are read from Kafka, that everything before is there
too.

A watermark is a transactional message in the WAL. The connector sends changes in commit order and within Kafka
transactions. Once a reader of committed records meets the watermark, every change committed before it is in the log.
The ends of the logs at that moment are the offsets that a read model has to reach.

The idea is the watermark of DBLog (https://arxiv.org/abs/2010.12597), which writes it to a table instead of a WAL
message.
"""

import time
import uuid
from base64 import b64encode
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from psycopg.pq import TransactionStatus

from connectors.debezium import WATERMARK_PREFIX, ConnectorConfiguration
from connectors.errors import DependencyUnavailable
from connectors.kafka import KafkaSettings, KafkaUnavailable, end_offsets
from connectors.kafka_connect import ConnectClient, ConnectError
from pipeline.config import Settings
from pipeline.postgres.database import Connection, connect
from sinks.batch import Offsets

POLL_TIMEOUT_S = 0.2
WATERMARK_TIMEOUT_S = 120.0

# The client reports these errors and reconnects by itself.
RECONNECTING = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)


class WatermarkInsideTransaction(ValueError):
    """A watermark was to be set inside an open transaction: it would appear only when that transaction commits, or
    never.
    """


class WatermarkTimeout(DependencyUnavailable):
    """A watermark did not reach Kafka in time."""

    remedy = (
        "Run `readmodels init`, which resumes the connector. If the watermark still does not arrive, `readmodels "
        "status` shows the cause."
    )


@dataclass(frozen=True)
class Watermark:
    """Position in the source's history: everything committed before it was set lies before it.

    `lsn` is the byte position of the message in the WAL, `set_at` the source's clock at that moment, and `search_from`
    the Kafka offsets from which to search for it.
    """

    mark_id: str
    lsn: int
    set_at: datetime
    search_from: Offsets


@dataclass(frozen=True)
class WatermarkReached:
    """Watermark that is in the log. A read model with the progress `end_offsets` has everything before it."""

    watermark: Watermark
    end_offsets: Offsets


def select_topics(offsets: Offsets, topics: Collection[str]) -> dict[tuple[str, int], int]:
    """Select the offsets of some topics, such as those of one generation."""
    return {topic_partition: offset for topic_partition, offset in offsets.items() if topic_partition[0] in topics}


class Watermarks:
    """Writer and reader of watermarks for one connector.

    Args:
        topics: the topics whose end offsets are returned: those of the read models. The connector may capture tables
            that
            no model describes, and their topics are not read. None for the topics of all captured tables.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        connector: ConnectorConfiguration,
        connect_url: str,
        topics: Iterable[str] | None = None,
    ) -> None:
        self._kafka = kafka
        self._admin = kafka.admin()
        self._connector = connector
        self._connect_url = connect_url
        self._topics = sorted(connector.table_topics if topics is None else set(topics))

    def set(self, connection: Connection) -> Watermark:
        """Write a watermark to the WAL, in a transaction of its own.

        Raises:
            WatermarkInsideTransaction: the connection is in a transaction.
            KafkaUnavailable: the topic of watermarks cannot be read.
        """
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            raise WatermarkInsideTransaction(f"the connection is {connection.info.transaction_status.name}")
        searched_from = end_offsets(self._admin, [self._connector.message_topic])
        mark_id = str(uuid.uuid4())
        with connection.transaction():
            found = connection.execute(
                "SELECT pg_logical_emit_message(true, %s, %s) - '0/0'::pg_lsn, clock_timestamp()",
                [WATERMARK_PREFIX, mark_id],
            ).fetchone()
        assert found is not None
        return Watermark(mark_id, int(str(found[0])), cast(datetime, found[1]), searched_from)

    def wait_for(self, watermark: Watermark, timeout_s: float) -> WatermarkReached:
        """Wait until the watermark is in Kafka. Return it with the end offsets of the topics.

        Raises:
            WatermarkTimeout: `timeout_s` passed; the message contains the connector's state.
            KafkaUnavailable: the topics cannot be read.
        """
        deadline = time.monotonic() + timeout_s
        consumer = Consumer(
            self._kafka.with_client(
                group_id=f"{WATERMARK_PREFIX}.marks",
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="error",
            )
        )
        try:
            consumer.assign([TopicPartition(*place, offset) for place, offset in watermark.search_from.items()])
            while not _holds(consumer.poll(POLL_TIMEOUT_S), watermark):
                if time.monotonic() > deadline:
                    raise WatermarkTimeout(f"no watermark in Kafka after {timeout_s:g} s; {self._connector_state()}")
        finally:
            consumer.close()
        return WatermarkReached(watermark, end_offsets(self._admin, self._topics))

    def _connector_state(self) -> str:
        client = ConnectClient(self._connect_url)
        try:
            return str(client.status(self._connector.name))
        except ConnectError as error:
            return str(error)
        finally:
            client.close()


def committed_end_offsets(settings: Settings, topics: Iterable[str]) -> Offsets:
    """Return end offsets of topics that include everything committed now.

    Raises:
        WatermarkTimeout: the watermark did not reach Kafka within `WATERMARK_TIMEOUT_S`.
        KafkaUnavailable: the topics cannot be read.
        SourceUnavailable: PostgreSQL does not answer.
    """
    watermarks = Watermarks(settings.kafka, settings.connector, settings.connect.url, topics)
    with closing(connect(settings.source.url)) as connection:
        return watermarks.wait_for(watermarks.set(connection), WATERMARK_TIMEOUT_S).end_offsets


def _holds(message: Message | None, watermark: Watermark) -> bool:
    if message is None:
        return False
    if error := message.error():
        if error.code() in RECONNECTING:
            return False
        raise KafkaUnavailable(f"cannot read the watermark topic: {error}") from KafkaException(error)
    value = message.value() or b""
    wanted = watermark.mark_id.encode()
    # The id is unique, so finding its bytes is proof. They appear unchanged in Avro, and as Base64 in JSON.
    return wanted in value or b64encode(wanted) in value
