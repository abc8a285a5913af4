"""Status of the connector's snapshots, read from its notifications in Kafka."""

from __future__ import annotations

from collections.abc import Iterator

import structlog
from confluent_kafka.admin import AdminClient

from connectors import topics
from connectors.envelope import ValueEncoding
from connectors.errors import UnknownSchema, UnreadableRecord
from connectors.kafka import earliest_offsets, end_offsets
from connectors.notifications import SnapshotStatus, read_notification, snapshot_status
from connectors.schema_lookup import SchemaLookup
from pipeline.config import Settings, ValueFormat
from pipeline.ingest.log_reader import read_log
from sinks.batch import Offsets

log = structlog.get_logger()

FROM_START: Offsets = {}
"""Start offsets of a history that begins where its topics do."""


def read_snapshot_status(
    settings: Settings, admin: AdminClient, schemas: SchemaLookup, begins_at: Offsets = FROM_START
) -> SnapshotStatus | None:
    """Read the connector's snapshot status; None unless all of its notifications still exist.

    Args:
        begins_at: offset in the topic of notifications at which the history in question begins.
    """
    name = settings.connector.settings.get("notification.sink.topic.name", "")
    if not topics.describe(admin, [name]):
        return None
    starts = earliest_offsets(admin, [name])
    if list(starts.values()) != [0]:
        # The first notifications are gone, or there are several partitions and therefore no order.
        return None
    starts = {topic_partition: begins_at.get(topic_partition, 0) for topic_partition in starts}
    form = ValueEncoding.JSON if settings.envelopes.format is ValueFormat.JSON else ValueEncoding.AVRO
    try:
        return snapshot_status(
            read_notification(value, form, schemas) for value in _values(settings, starts, end_offsets(admin, [name]))
        )
    except (UnreadableRecord, UnknownSchema) as error:
        log.info("reading notifications failed", topic=name, reason=str(error))
        return None


def _values(settings: Settings, starts: Offsets, ends: Offsets) -> Iterator[bytes]:
    for piece in read_log(settings.kafka, starts, ends):
        for records in piece.records:
            yield from (value for value in records.values if value)
