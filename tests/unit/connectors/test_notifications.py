"""Tests of the connector's notifications of its first snapshot, as Debezium 3.6.1 writes them."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest
from orjson import dumps

from connectors.envelope import ValueEncoding
from connectors.errors import UnknownSchema, UnreadableRecord
from connectors.notifications import Notification, SnapshotStatus, read_notification, snapshot_status
from connectors.schema_lookup import NegativeCache
from tests.unit.connectors.decode.change_records import MemorySchemas

NO_SCHEMAS = MemorySchemas({})
BEGUN: dict[str, Any] = {
    "id": "ca591800-1604-44ab-beec-e27bcbe27ed0",
    "type": "STARTED",
    "aggregate_type": "Initial Snapshot",
    "additional_data": {"connector_name": "orders"},
    "timestamp": 1795763455150,
}
SCHEMA = {
    "type": "record",
    "name": "Value",
    "namespace": "io.debezium.notification",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "type", "type": "string"},
        {"name": "aggregate_type", "type": "string"},
        {"name": "additional_data", "type": {"type": "map", "values": "string"}},
        {"name": "timestamp", "type": "long"},
    ],
}


def told(*steps: str | tuple[str, int]) -> SnapshotStatus | None:
    """Return the status that follows from notifications, given as types, or as a table with its number of rows."""
    return snapshot_status(
        Notification("Initial Snapshot", step)
        if isinstance(step, str)
        else Notification(
            "Initial Snapshot",
            "TABLE_SCAN_COMPLETED",
            {"scanned_collection": step[0], "total_rows_scanned": str(step[1]), "status": "SUCCEEDED"},
        )
        for step in steps
    )


def test_a_snapshot_from_its_beginning_to_its_end() -> None:
    steps = ("STARTED", "IN_PROGRESS", ("public.orders", 4000), "IN_PROGRESS", ("public.order_items", 0), "COMPLETED")
    assert told(*steps) == SnapshotStatus(True, True, {"public.orders": 4000, "public.order_items": 0})


def test_an_attempt_that_was_interrupted_leaves_nothing_but_its_beginning() -> None:
    assert told("STARTED", "IN_PROGRESS", ("public.orders", 9), "STARTED") == SnapshotStatus(attempts=2)
    assert told("STARTED", "STARTED", ("public.orders", 3), "COMPLETED") == SnapshotStatus(
        True, True, {"public.orders": 3}, attempts=2
    )


def test_a_snapshot_after_a_completed_one_is_not_the_first() -> None:
    assert told("STARTED", "COMPLETED", "STARTED") == SnapshotStatus(is_first=False, attempts=2)
    assert told("STARTED", "COMPLETED", "STARTED", "STARTED", "COMPLETED") == SnapshotStatus(
        True, is_first=False, attempts=3
    )


def test_without_notifications_the_state_of_the_first_snapshot_is_unknown() -> None:
    assert snapshot_status([Notification("Incremental Snapshot", "STARTED")]) is None
    assert told("COMPLETED") is None


def scanned(table: str, status: str = "SUCCEEDED", signal: str = "ca59", kind: str = "Incremental") -> Notification:
    data = {"scanned_collection": table, "total_rows_scanned": "1", "status": status}
    return Notification(f"{kind} Snapshot", "TABLE_SCAN_COMPLETED", data, signal)


BEGAN, SKIPPED, DONE = (Notification("Initial Snapshot", kind) for kind in ("STARTED", "SKIPPED", "COMPLETED"))
WHOLE = [BEGAN, scanned("a", kind="Initial"), scanned("b", "EMPTY", kind="Initial")]
LACKS: dict[str, tuple[list[Notification], bool, set[str]]] = {
    "an attempt that goes on": ([BEGAN], False, {"a", "b"}),
    "an attempt that failed before its first row, and is taken for done": ([BEGAN, SKIPPED], True, {"a", "b"}),
    "an attempt that failed in its second table": ([BEGAN, scanned("a", kind="Initial"), BEGAN], False, {"a", "b"}),
    "a snapshot that was told to have ended": ([*WHOLE, DONE], True, set()),
    "its restarts": ([*WHOLE, DONE, SKIPPED, SKIPPED], True, set()),
    "one whose worker died after the last row": ([*WHOLE, SKIPPED], True, set()),
    "one that has read everything, and may have lost its last row": (WHOLE, False, set()),
    "a table that was captured later": ([*WHOLE[:2], DONE, SKIPPED], True, {"b"}),
    "that table once an incremental snapshot has read it": ([*WHOLE[:2], DONE, scanned("b")], True, set()),
    "some rows of it": ([*WHOLE[:2], DONE, scanned("b", signal="where-ca59")], True, {"b"}),
    "that table where PostgreSQL refused": ([*WHOLE[:2], DONE, scanned("b", "SQL_EXCEPTION")], True, {"b"}),
    "all tables after a failure": ([BEGAN, SKIPPED, scanned("a"), scanned("b")], True, set()),
    "a new attempt, which reads all of them again": ([*WHOLE, DONE, BEGAN, SKIPPED], True, {"a", "b"}),
}


@pytest.mark.parametrize("case", LACKS)
def test_tables_that_no_snapshot_has_read_are_known(case: str) -> None:
    notifications, has_ended, lacking = LACKS[case]
    known = snapshot_status(notifications)
    assert known is not None
    assert (known.has_ended, set(known.lacks(("a", "b")))) == (has_ended, lacking)


def test_the_table_that_an_attempt_could_not_read_is_named_until_one_has_ended() -> None:
    failed = [BEGAN, scanned("a", "SQL_EXCEPTION", kind="Initial"), BEGAN]
    again, over = snapshot_status(failed), snapshot_status([*failed, *WHOLE[1:], DONE, BEGAN])
    assert again is not None
    assert over is not None
    assert (again.failed_at, over.failed_at) == ("a: SQL_EXCEPTION", "")


def test_json_and_avro_decode_to_the_same_notification() -> None:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(SCHEMA), BEGUN)
    value = b"\0" + (7).to_bytes(4, "big") + body.getvalue()
    expected = Notification("Initial Snapshot", "STARTED", {"connector_name": "orders"}, BEGUN["id"])
    assert read_notification(dumps(BEGUN), ValueEncoding.JSON, NO_SCHEMAS) == expected
    assert read_notification(value, ValueEncoding.AVRO, MemorySchemas({7: SCHEMA})) == expected


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (b"{", ValueEncoding.JSON),
        (b"{}", ValueEncoding.JSON),
        (b"{}", ValueEncoding.AVRO),
        (b"\0\0\0\0\7", ValueEncoding.AVRO),
        (b"\0\0\0\0\7\xff\xff", ValueEncoding.AVRO),
    ],
)
def test_something_else_is_a_bad_record(value: bytes, form: ValueEncoding) -> None:
    with pytest.raises(UnreadableRecord):
        read_notification(value, form, MemorySchemas({7: SCHEMA}))


def test_a_schema_that_is_not_known_is_asked_for_once() -> None:
    registry = MemorySchemas({7: SCHEMA})
    schemas = NegativeCache(registry)
    for _ in range(2):
        with pytest.raises(UnknownSchema):
            schemas.schema(8)
    assert (registry.asked, set(schemas.unknown)) == ([8], {8})
    assert schemas.schema(7) == SCHEMA
