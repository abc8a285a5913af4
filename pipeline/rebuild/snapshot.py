"""An incremental snapshot, asked for by a signal: every row once more in the log, while changes go on.

A generation that begins at the log's end before the signal holds everything once the snapshot is over: each row that
PostgreSQL holds comes by the snapshot or by a change since, and what is deleted from now on was never there. It is the
way to rebuild a model where the log's beginning is gone. It heals no gap in a generation that has rows already, since
it tells of no deletion.

Source: https://debezium.io/documentation/reference/3.6/connectors/postgresql.html#postgresql-incremental-snapshots
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.debezium import ConnectorConfiguration
from connectors.errors import SystemicError
from connectors.kafka import KafkaSettings, KafkaUnavailable, end_offsets
from pipeline.consumer import failure_of
from pipeline.replication import signal
from pipeline.source_database import connect

POLL_S = 0.5

_COMPLETED = (b"\x12COMPLETED", b'"COMPLETED"')
"""As Avro writes the word, behind its length, and as JSON does: TABLE_SCAN_COMPLETED is another."""
_FAILED = tuple(
    form for word in ("ABORTED", "STOPPED") for form in (bytes([2 * len(word)]) + word.encode(), f'"{word}"'.encode())
)


class SnapshotNotTaken(SystemicError):
    """The connector did not come to the end of a snapshot that it was asked for."""

    remedy = "Look at `readmodels status`: the connector must run. Then start the replay again; it asks once more."


def take_snapshot(
    kafka: KafkaSettings, connector: ConnectorConfiguration, url: str, tell: Callable[[float], None]
) -> None:
    """Have the connector read all captured tables once more, and return when it has.

    Args:
        url: of the source, as a role that may write into the signal table.
        tell: is called while it lasts, with the seconds that it has lasted.

    Raises:
        SnapshotNotTaken: the connector gave it up.
        KafkaUnavailable: the connector's notifications cannot be read.
    """
    with _notifications(kafka, connector) as consumer:
        snapshot_id = str(uuid4())
        wanted = {"type": "incremental", "data-collections": list(connector.tables)}
        with closing(connect(url)) as connection:
            signal(connection, connector.signal_table, snapshot_id, "execute-snapshot", json.dumps(wanted))
        began = time.monotonic()
        while True:
            tell(time.monotonic() - began)
            message = consumer.poll(POLL_S)
            if message is None:
                continue
            if error := message.error():
                if failure := failure_of(error, "the notifications"):
                    raise KafkaUnavailable(str(failure)) from KafkaException(error)
                continue
            value = message.value() or b""
            if snapshot_id.encode() not in value:
                continue
            if any(word in value for word in _COMPLETED):
                return
            if any(word in value for word in _FAILED):
                raise SnapshotNotTaken(f"the connector gave up the snapshot {snapshot_id}")


@contextmanager
def _notifications(kafka: KafkaSettings, connector: ConnectorConfiguration) -> Iterator[Consumer]:
    """What the connector notifies of from now on."""
    ends = end_offsets(kafka.admin(), [connector.notification_topic])
    consumer = Consumer(
        kafka.with_client(
            group_id="readmodels.notifications",
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="error",
        )
    )
    try:
        consumer.assign([TopicPartition(*shard, offset) for shard, offset in ends.items()])
        yield consumer
    finally:
        consumer.close()
