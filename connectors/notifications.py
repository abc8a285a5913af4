"""Notifications of the connector's snapshots: the tables that were read, and the end of a snapshot.

An interrupted attempt ends without a notification; the next attempt only reports its own start. If a worker dies after
the last row of a snapshot, the snapshot is complete, but its end is never reported: the next start reports SKIPPED. An
attempt that failed before its first row is also followed by SKIPPED: the notification of its start stored an offset,
which the connector takes for the offset of a completed snapshot. So SKIPPED proves nothing, and only the tables that
were read count.

Source: https://debezium.io/documentation/reference/3.6/configuration/notification.html
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import fastavro
import msgspec

from connectors.avro.schema import strip_logical_types
from connectors.avro.wire_format import HEADER_BYTES, parse_frames
from connectors.envelope import ValueEncoding
from connectors.errors import UnreadableRecord
from connectors.schema_lookup import SchemaLookup

INITIAL_SNAPSHOT = "Initial Snapshot"
INCREMENTAL_SNAPSHOT = "Incremental Snapshot"
PARTIAL = "where-"
"""Id prefix of a signal that requests some rows of a table, because no notification contains the condition."""

READ = ("SUCCEEDED", "EMPTY")
"""Scan statuses of a table that was read completely.

Source: https://debezium.io/documentation/reference/3.6/configuration/notification.html
"""


class Notification(msgspec.Struct, frozen=True):
    """One notification: its subject, its event, additional data, and the id of the signal that requested it."""

    aggregate_type: str
    type: str
    additional_data: dict[str, str] = {}
    id: str = ""

    @property
    def table_read(self) -> str | None:
        """The table, as `schema.table`, whose scan this notification completes; None for any other notification."""
        is_read = self.type == "TABLE_SCAN_COMPLETED" and self.additional_data.get("status") in READ
        return self.additional_data.get("scanned_collection") if is_read else None


@dataclass(frozen=True)
class SnapshotStatus:
    """Status of the last attempt at an initial snapshot, and of the attempts before it.

    Args:
        has_ended: it reads no further, and changes are streamed; `lacks` returns the tables that it did not read.
        is_first: no attempt before it ended, so that nothing can have been streamed before.
        rows: the number of rows read per table, by `schema.table`; complete once it has ended.
        attempts: the number of attempts, including this one.
        filled: the tables that later incremental snapshots have read with all of their rows.
        failed_at: the table that an attempt could not read, and the status of its scan; empty if not reported.
    """

    has_ended: bool = False
    is_first: bool = True
    rows: Mapping[str, int] = field(default_factory=dict)
    attempts: int = 1
    filled: frozenset[str] = frozenset()
    failed_at: str = ""

    def lacks(self, tables: Iterable[str]) -> tuple[str, ...]:
        """Return the tables, each as `schema.table`, that no snapshot has read completely."""
        return tuple(table for table in tables if table not in self.rows and table not in self.filled)


def read_notification(value: bytes, form: ValueEncoding, schemas: SchemaLookup) -> Notification:
    """Decode one value of the notification topic.

    Raises:
        UnreadableRecord: it is not a notification.
        DependencyUnavailable: the schema registry does not answer, or does not know the schema.
    """
    try:
        if form is ValueEncoding.JSON:
            return msgspec.json.decode(value, type=Notification)
        return msgspec.convert(_read_avro(value, schemas), Notification)
    except msgspec.MsgspecError as error:
        raise UnreadableRecord(f"not a notification: {error}") from error


def snapshot_status(notifications: Iterable[Notification]) -> SnapshotStatus | None:
    """Fold notifications in order; None if there is no initial snapshot among them."""
    known = None
    for one in notifications:
        if one.aggregate_type == INITIAL_SNAPSHOT and one.type == "STARTED":
            is_first = known is None or (known.is_first and not known.has_ended)
            failed_at = known.failed_at if known and not known.has_ended else ""
            attempts = known.attempts + 1 if known else 1
            known = SnapshotStatus(is_first=is_first, attempts=attempts, failed_at=failed_at)
        elif known is not None and one.aggregate_type == INITIAL_SNAPSHOT:
            known = _further(known, one)
        elif known is not None and one.aggregate_type == INCREMENTAL_SNAPSHOT:
            whole = {one.table_read} if one.table_read and not one.id.startswith(PARTIAL) else set()
            known = replace(known, filled=known.filled | whole)
    return known


def _further(known: SnapshotStatus, one: Notification) -> SnapshotStatus:
    if one.type in ("COMPLETED", "SKIPPED"):
        return replace(known, has_ended=True)
    if one.table_read:
        rows = int(one.additional_data.get("total_rows_scanned", "0"))
        return replace(known, rows={**known.rows, one.table_read: rows})
    if one.type == "TABLE_SCAN_COMPLETED":
        told = one.additional_data
        return replace(known, failed_at=f"{told.get('scanned_collection')}: {told.get('status')}")
    return known


def _read_avro(value: bytes, schemas: SchemaLookup) -> object:
    faults = parse_frames([value]).faults
    if faults:
        raise UnreadableRecord(faults[0])
    schema = fastavro.parse_schema(strip_logical_types(schemas.schema(int.from_bytes(value[1:HEADER_BYTES], "big"))))
    try:
        return fastavro.schemaless_reader(io.BytesIO(value[HEADER_BYTES:]), schema, None)
    except Exception as error:  # fastavro raises any exception, depending on the bytes
        raise UnreadableRecord(f"the body does not follow its schema: {type(error).__name__}") from error
