"""What the connector has told of its snapshots, read from Kafka."""

from __future__ import annotations

from collections.abc import Iterator

import structlog
from confluent_kafka.admin import AdminClient

from connectors import topics
from connectors.envelope import Format
from connectors.errors import BadRecord, UnknownSchema
from connectors.kafka import earliest_offsets, end_offsets
from connectors.notifications import InitialSnapshot, initial_snapshot, read_notification
from connectors.schema_lookup import Schemas
from pipeline.config import Settings, ValueFormat
from pipeline.ingest.log_reader import Offsets, pieces

log = structlog.get_logger()

NOWHERE: Offsets = {}
"""A history that begins where its topics do."""


def told_of_snapshots(
    settings: Settings, admin: AdminClient, schemas: Schemas, begins_at: Offsets = NOWHERE
) -> InitialSnapshot | None:
    """What the connector tells of its snapshots; None unless all of its notifications are still there.

    Args:
        begins_at: where the history begins of which it is asked, in the topic of notifications.
    """
    name = settings.connector.settings.get("notification.sink.topic.name", "")
    if not topics.describe(admin, [name]):
        return None
    starts = earliest_offsets(admin, [name])
    if list(starts.values()) != [0]:
        # What was told first is gone; or there are several partitions, and no order.
        return None
    starts = {shard: begins_at.get(shard, 0) for shard in starts}
    form = Format.JSON if settings.envelopes.format is ValueFormat.JSON else Format.AVRO
    try:
        return initial_snapshot(
            read_notification(value, form, schemas) for value in _values(settings, starts, end_offsets(admin, [name]))
        )
    except (BadRecord, UnknownSchema) as error:
        log.info("notifications not read", topic=name, reason=str(error))
        return None


def _values(settings: Settings, starts: Offsets, ends: Offsets) -> Iterator[bytes]:
    for piece in pieces(settings.kafka, starts, ends):
        for records in piece.records:
            yield from (value for value in records.values if value)
