"""Tests that records of another history are recognized by their content."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.envelope import SourceTable, envelope_schema
from connectors.records import RecordBatch
from pipeline.epochs.rollback_check import COMMIT_TIME_TOLERANCE_US, RollbackDetector
from pipeline.ingest.epoch_history import EpochHistory
from pipeline.ingest.log_mismatch import EpochMismatch, LogMismatch, MismatchReason
from sinks.epoch import Epoch, EpochKind

TOPIC = "cdc.public.orders"
FIRST = Epoch(number=0, kind=EpochKind.FIRST, fingerprint={}, opened_at=datetime(2026, 1, 1, tzinfo=UTC))
UNSETTLED, SETTLED = EpochHistory((FIRST,)), EpochHistory((FIRST.with_snapshot_complete(50, ()),))
ANEW = replace(FIRST, number=1, kind=EpochKind.RESNAPSHOT, begins_at={(TOPIC, 0): 100})


def envelopes(*rows: dict[str, Any]) -> pa.Table:
    schema = envelope_schema(SourceTable("public.orders", {"id": "bigint"}))
    known = {"partition": 0, "offset": 0, "op": "u", "snapshot": False, "commit_lsn": 1, "lsn": 1, "committed_at": 0}
    return pa.Table.from_pylist([{**known, **row} for row in rows], schema=schema)


def streamed(lsn: int, committed_us: int, offset: int = 0) -> dict[str, Any]:
    return {"commit_lsn": lsn, "lsn": lsn, "committed_at": committed_us, "offset": offset}


def records(*keys: bytes | None) -> RecordBatch:
    zeros = np.zeros(len(keys), np.int64)
    return RecordBatch(TOPIC, zeros.astype(np.int32), zeros, list(keys), [b""] * len(keys))


def reasons(stream: RollbackDetector, epoch_history: EpochHistory, *rows: dict[str, Any]) -> list[MismatchReason]:
    return [seen.reason for seen in stream.mismatches(epoch_history, records(b'{"id":1}', None), [envelopes(*rows)])]


def test_a_history_that_continues_below_its_lsn_and_after_its_time_is_another_one() -> None:
    stream = RollbackDetector()
    assert not reasons(stream, SETTLED, streamed(1000, 5), streamed(2000, 6))
    assert reasons(stream, SETTLED, streamed(900, 7 + COMMIT_TIME_TOLERANCE_US)) == [MismatchReason.LSN_BACK]


def test_a_repeated_record_is_as_old_as_its_lsn() -> None:
    stream = RollbackDetector()
    assert not reasons(stream, SETTLED, streamed(1000, 5), streamed(2000, 6))
    assert not reasons(stream, SETTLED, streamed(1000, 5))
    assert not reasons(stream, SETTLED, streamed(1900, 6 + COMMIT_TIME_TOLERANCE_US))
    assert not reasons(stream, SETTLED, streamed(2100, 9 * COMMIT_TIME_TOLERANCE_US))


def test_a_history_before_this_one_proves_nothing() -> None:
    stream = RollbackDetector()
    epoch_history = EpochHistory((FIRST, ANEW))
    assert not reasons(stream, epoch_history, streamed(2000, 6, offset=99))
    assert not reasons(stream, epoch_history, streamed(900, 7 + COMMIT_TIME_TOLERANCE_US, offset=100))


def test_a_snapshot_after_the_one_that_has_ended_is_refused() -> None:
    row = {"snapshot": True, "op": "r", "commit_lsn": 60, "lsn": 60}
    assert reasons(RollbackDetector(), SETTLED, row) == [MismatchReason.SECOND_SNAPSHOT]
    assert not reasons(RollbackDetector(), SETTLED, {**row, "commit_lsn": 50, "lsn": 50}), "the one that it is"
    assert not reasons(RollbackDetector(), UNSETTLED, row), "one that was begun again"


def test_the_snapshot_of_a_history_before_this_one_is_its_own_matter() -> None:
    row = {"snapshot": True, "op": "r", "commit_lsn": 60, "lsn": 60}
    epoch_history = EpochHistory((FIRST.with_snapshot_complete(50, ()), ANEW.with_snapshot_complete(10, ())))
    assert not reasons(RollbackDetector(), epoch_history, {**row, "offset": 99})
    assert reasons(RollbackDetector(), epoch_history, {**row, "offset": 100}) == [MismatchReason.SECOND_SNAPSHOT]


def test_a_key_of_another_form_is_reported_with_its_schema() -> None:
    [avro] = RollbackDetector().mismatches(SETTLED, records(b'{"id":1}', b"\0\0\0\0\7\2"), [])
    [odd] = RollbackDetector().mismatches(SETTLED, records(b"7"), [])
    assert (avro.reason, odd.reason) == (MismatchReason.KEYS_CHANGED, MismatchReason.KEYS_CHANGED)
    assert "Avro of schema 7" in avro.sentence
    assert "no JSON object" in odd.sentence


def test_an_epoch_may_be_continued_only_where_all_that_was_seen_allows_it() -> None:
    moved, gone = LogMismatch(MismatchReason.TOPIC_REMADE, "a"), LogMismatch(MismatchReason.SLOT_GONE, "b")
    assert "--continue" in EpochMismatch([moved]).remedy
    assert "--continue" not in EpochMismatch([moved, gone]).remedy
    assert "--resnapshot" in EpochMismatch([moved, gone]).remedy
    assert str(EpochMismatch([moved, gone])) == "topic recreated: a; slot gone: b"
