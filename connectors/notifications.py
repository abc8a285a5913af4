"""What the connector tells of its initial snapshots, in the topic of its notifications.

An attempt that was interrupted ends without a word: the next one only tells that it began. A snapshot whose worker dies
after the last row is complete, and never tells that it ended.

Source: https://debezium.io/documentation/reference/3.6/configuration/notification.html
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import fastavro
import msgspec

from connectors.avro_schema import plain
from connectors.envelope import Format
from connectors.errors import BadRecord
from connectors.framing import HEADER_BYTES, frame
from connectors.schemas import Schemas

INITIAL_SNAPSHOT = "Initial Snapshot"


class Notification(msgspec.Struct, frozen=True):
    """One notification: what it is about, what happened, and what else is told of it."""

    aggregate_type: str
    type: str
    additional_data: dict[str, str] = {}


@dataclass(frozen=True)
class InitialSnapshot:
    """What is told of the last attempt at an initial snapshot, and of those before it.

    Args:
        has_ended: it came to its end.
        is_first: no attempt before it came to its end, so that nothing can have been streamed before.
        rows: how many rows of each table it has read, by `schema.table`; complete once it has ended.
        attempts: how many attempts were begun, this one among them.
    """

    has_ended: bool = False
    is_first: bool = True
    rows: Mapping[str, int] = field(default_factory=dict)
    attempts: int = 1


def read_notification(value: bytes, form: Format, schemas: Schemas) -> Notification:
    """Read one value of the topic.

    Raises:
        BadRecord: it is no notification.
        SystemicError: the schema registry cannot be asked, or does not know the schema.
    """
    try:
        if form is Format.JSON:
            return msgspec.json.decode(value, type=Notification)
        return msgspec.convert(_read_avro(value, schemas), Notification)
    except msgspec.MsgspecError as error:
        raise BadRecord(f"not a notification: {error}") from error


def initial_snapshot(notifications: Iterable[Notification]) -> InitialSnapshot | None:
    """Put together what notifications, in their order, tell; None where they tell of no initial snapshot."""
    known = None
    for one in notifications:
        if one.aggregate_type != INITIAL_SNAPSHOT:
            continue
        if one.type == "STARTED":
            is_first = known is None or (known.is_first and not known.has_ended)
            known = InitialSnapshot(is_first=is_first, attempts=known.attempts + 1 if known else 1)
        elif known is not None and one.type == "COMPLETED":
            known = replace(known, has_ended=True)
        elif known is not None and one.type == "TABLE_SCAN_COMPLETED":
            told = one.additional_data
            read = {told.get("scanned_collection", ""): int(told.get("total_rows_scanned", "0"))}
            known = replace(known, rows={**known.rows, **read})
    return known


def _read_avro(value: bytes, schemas: Schemas) -> object:
    faults = frame([value]).faults
    if faults:
        raise BadRecord(faults[0])
    schema = fastavro.parse_schema(plain(schemas.schema(int.from_bytes(value[1:HEADER_BYTES], "big"))))
    try:
        return fastavro.schemaless_reader(io.BytesIO(value[HEADER_BYTES:]), schema, None)
    except Exception as error:  # fastavro raises whatever the bytes happen to lead it into
        raise BadRecord(f"the body does not follow its schema: {type(error).__name__}") from error
