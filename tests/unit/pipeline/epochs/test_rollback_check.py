"""What the records of a log tell of another history, by themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.envelope import TableColumns, envelope_schema
from connectors.records import Records
from pipeline.epochs.rollback_check import JITTER_US, Stream
from pipeline.ingest.epoch_history import Lives
from pipeline.ingest.log_mismatch import EpochEnded, Reason, Seen
from sinks.epoch import Epoch, EpochKind

TOPIC = "cdc.public.orders"
FIRST = Epoch(number=0, kind=EpochKind.FIRST, fingerprint={}, opened_at=datetime(2026, 1, 1, tzinfo=UTC))
UNSETTLED, SETTLED = Lives((FIRST,)), Lives((FIRST.settled(50, ()),))
ANEW = replace(FIRST, number=1, kind=EpochKind.RESNAPSHOT, begins_at={(TOPIC, 0): 100})


def envelopes(*rows: dict[str, Any]) -> pa.Table:
    schema = envelope_schema(TableColumns("public.orders", {"id": "bigint"}))
    known = {"partition": 0, "offset": 0, "op": "u", "snapshot": False, "commit_lsn": 1, "lsn": 1, "committed_at": 0}
    return pa.Table.from_pylist([{**known, **row} for row in rows], schema=schema)


def streamed(lsn: int, committed_us: int, offset: int = 0) -> dict[str, Any]:
    return {"commit_lsn": lsn, "lsn": lsn, "committed_at": committed_us, "offset": offset}


def records(*keys: bytes | None) -> Records:
    zeros = np.zeros(len(keys), np.int64)
    return Records(TOPIC, zeros.astype(np.int32), zeros, list(keys), [b""] * len(keys))


def reasons(stream: Stream, lives: Lives, *rows: dict[str, Any]) -> list[Reason]:
    return [seen.reason for seen in stream.seen(lives, records(b'{"id":1}', None), [envelopes(*rows)])]


def test_a_history_that_goes_on_below_its_lsn_and_after_its_time_is_another_one() -> None:
    stream = Stream()
    assert not reasons(stream, SETTLED, streamed(1000, 5), streamed(2000, 6))
    assert reasons(stream, SETTLED, streamed(900, 7 + JITTER_US)) == [Reason.LSN_BACK]


def test_what_is_emitted_once_more_is_as_old_as_its_lsn() -> None:
    stream = Stream()
    assert not reasons(stream, SETTLED, streamed(1000, 5), streamed(2000, 6))
    assert not reasons(stream, SETTLED, streamed(1000, 5))
    assert not reasons(stream, SETTLED, streamed(1900, 6 + JITTER_US))
    assert not reasons(stream, SETTLED, streamed(2100, 9 * JITTER_US))


def test_a_history_before_this_one_proves_nothing() -> None:
    stream = Stream()
    lives = Lives((FIRST, ANEW))
    assert not reasons(stream, lives, streamed(2000, 6, offset=99))
    assert not reasons(stream, lives, streamed(900, 7 + JITTER_US, offset=100))


def test_a_snapshot_after_the_one_that_has_ended_is_refused() -> None:
    row = {"snapshot": True, "op": "r", "commit_lsn": 60, "lsn": 60}
    assert reasons(Stream(), SETTLED, row) == [Reason.SECOND_SNAPSHOT]
    assert not reasons(Stream(), SETTLED, {**row, "commit_lsn": 50, "lsn": 50}), "the one that it is"
    assert not reasons(Stream(), UNSETTLED, row), "one that was begun again"


def test_the_snapshot_of_a_history_before_this_one_is_its_own_matter() -> None:
    row = {"snapshot": True, "op": "r", "commit_lsn": 60, "lsn": 60}
    lives = Lives((FIRST.settled(50, ()), ANEW.settled(10, ())))
    assert not reasons(Stream(), lives, {**row, "offset": 99})
    assert reasons(Stream(), lives, {**row, "offset": 100}) == [Reason.SECOND_SNAPSHOT]


def test_a_key_of_another_form_is_told_with_its_schema() -> None:
    [avro] = Stream().seen(SETTLED, records(b'{"id":1}', b"\0\0\0\0\7\2"), [])
    [odd] = Stream().seen(SETTLED, records(b"7"), [])
    assert (avro.reason, odd.reason) == (Reason.KEYS_CHANGED, Reason.KEYS_CHANGED)
    assert "Avro of schema 7" in avro.sentence
    assert "no JSON object" in odd.sentence


def test_an_epoch_may_be_continued_only_where_all_that_was_seen_allows_it() -> None:
    moved, gone = Seen(Reason.TOPIC_REMADE, "a"), Seen(Reason.SLOT_GONE, "b")
    assert "--continue" in EpochEnded([moved]).remedy
    assert "--continue" not in EpochEnded([moved, gone]).remedy
    assert "--resnapshot" in EpochEnded([moved, gone]).remedy
    assert str(EpochEnded([moved, gone])) == "topic made anew: a; slot gone: b"
