"""Tests of the signals for incremental snapshots, and of the notifications, as Debezium 3.6.1 writes them."""

from __future__ import annotations

import json

import pytest

from connectors.notifications import PARTIAL, Notification
from pipeline.postgres.incremental_snapshot import (
    MAX_SIGNAL_LENGTH,
    SignalTooLong,
    SnapshotFailed,
    SnapshotProgress,
    SnapshotRefused,
    SnapshotRequest,
)

ORDERS = "public.orders"


def told(kind: str, **data: str) -> Notification:
    return Notification("Incremental Snapshot", kind, data)


def scanned(status: str, rows: int) -> Notification:
    return told("TABLE_SCAN_COMPLETED", scanned_collection=ORDERS, total_rows_scanned=str(rows), status=status)


def test_a_signal_names_the_tables_and_that_nothing_is_to_block() -> None:
    assert json.loads(SnapshotRequest(tables=(ORDERS,)).data) == {"type": "incremental", "data-collections": [ORDERS]}


def test_a_condition_goes_with_each_table() -> None:
    wanted = json.loads(SnapshotRequest(tables=(ORDERS, "public.order_items"), where="id > 5").data)
    assert wanted["additional-conditions"] == [
        {"data-collection": ORDERS, "filter": "id > 5"},
        {"data-collection": "public.order_items", "filter": "id > 5"},
    ]


def test_a_condition_that_the_signal_table_cannot_hold_is_refused() -> None:
    with pytest.raises(SignalTooLong, match=f"may have {MAX_SIGNAL_LENGTH}"):
        _ = SnapshotRequest(tables=(ORDERS,), where="id > 0 OR " * 300).data


def test_progress_is_reported_in_chunks_and_then_in_rows() -> None:
    begun = SnapshotProgress().after(told("STARTED"))
    chunk = told("IN_PROGRESS", current_collection_in_progress=ORDERS, last_processed_key="1024", maximum_key="2500")
    going_on = begun.after(chunk)
    assert (going_on.chunks, going_on.table, going_on.reached, going_on.last) == (1, ORDERS, "1024", "2500")
    assert going_on.after(scanned("SUCCEEDED", 2500)).rows == {ORDERS: 2500}
    assert going_on.after(scanned("EMPTY", 0)).rows == {ORDERS: 0}


def test_a_signal_for_some_rows_has_its_own_id_and_fits_the_signal_table() -> None:
    whole, part = (SnapshotRequest(tables=(ORDERS,), where=where).new_id() for where in (None, "id > 5"))
    assert part.startswith(PARTIAL)
    assert not whole.startswith(PARTIAL)
    assert max(len(whole), len(part)) <= 42


@pytest.mark.parametrize("status", ["SKIPPED", "NO_PRIMARY_KEY", "UNKNOWN_SCHEMA", "SQL_EXCEPTION"])
def test_a_table_that_was_not_read_is_not_passed_over(status: str) -> None:
    with pytest.raises(SnapshotFailed, match=f"{ORDERS}: {status}"):
        SnapshotProgress().after(scanned(status, 0))


def test_a_query_that_postgresql_refuses_is_answered_with_the_rights_it_needs() -> None:
    assert 'GRANT SELECT ON TABLE public.orders TO "Odd role";' in SnapshotRefused(ORDERS, "Odd role").remedy
