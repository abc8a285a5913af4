"""Detection of records that belong to another history than those before them, from the records alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.records import RecordBatch
from pipeline.ingest.epoch_history import EpochHistory
from pipeline.ingest.log_mismatch import LogMismatch, MismatchReason
from sinks.epoch import Epoch

COMMIT_TIME_TOLERANCE_US = 10_000_000
"""Maximum difference by which the times of two commits may contradict their LSNs: each time is taken before its commit
is logged.
"""

_PLACES = ["partition", "offset", "snapshot", "commit_lsn", "lsn", "committed_at"]
"""Columns that are checked. Images are left out because they are large, and a filter copies what it keeps."""


class RollbackDetector:
    """Detector of a restored source. Checks the records of a generation's log, batch by batch.

    It remembers the highest commit LSN and the latest commit time. If records have a lower LSN and a later time, the
    source was restored and its history is another one. Records repeated by a restarted connector or a late producer are
    as old as their LSN.
    """

    def __init__(self) -> None:
        self._commit_lsn = -1
        self._committed_us = -1

    def mismatches(
        self, epoch_history: EpochHistory, records: RecordBatch, envelopes: Iterable[pa.Table]
    ) -> Iterator[LogMismatch]:
        """Yield the mismatches of records that follow those checked before."""
        yield from _keys(records)
        for table in envelopes:
            of_now = epoch_history.only_current(records.topic, table.select(_PLACES))
            is_snapshot = of_now["snapshot"]
            yield from self._snapshots(
                epoch_history.completed_snapshot_epoch, records.topic, of_now.filter(is_snapshot)
            )
            yield from self._streamed(records.topic, of_now.filter(pc.invert(is_snapshot)))

    def _snapshots(self, settled: Epoch | None, topic: str, rows: pa.Table) -> Iterator[LogMismatch]:
        if settled is None or not rows.num_rows:
            return
        row = int(np.argmax(rows["lsn"].to_numpy()))
        lsn = rows["lsn"][row].as_py()
        if lsn > settled.snapshot_lsn:
            yield LogMismatch(MismatchReason.SECOND_SNAPSHOT, _second(_place(topic, rows, row), lsn, settled))

    def _streamed(self, topic: str, rows: pa.Table) -> Iterator[LogMismatch]:
        if not rows.num_rows:
            return
        lsns = rows["commit_lsn"].to_numpy()
        times = pc.fill_null(rows["committed_at"].cast(pa.int64()), 0).to_numpy()
        is_back = (lsns < self._commit_lsn) & (times > self._committed_us + COMMIT_TIME_TOLERANCE_US)
        if is_back.any():
            row = int(np.argmax(is_back))
            later = f"a later commit than those that {topic} had up to {self._commit_lsn}"
            yield LogMismatch(
                MismatchReason.LSN_BACK, f"{_place(topic, rows, row)} is at LSN {lsns[row]}, with {later}"
            )
            return
        self._commit_lsn = max(self._commit_lsn, int(lsns.max()))
        self._committed_us = max(self._committed_us, int(times.max()))


def _keys(records: RecordBatch) -> Iterator[LogMismatch]:
    begins = set(map(itemgetter(0), filter(None, records.keys)))
    if begins - {ord("{")}:
        row, odd = next((row, key) for row, key in enumerate(records.keys) if key and key[0] != ord("{"))
        named = (
            f"Avro of schema {int.from_bytes(odd[1:5], 'big')}" if odd[0] == 0 and len(odd) > 4 else "no JSON object"
        )
        sentence = f"{records.place(row)} has a key that is {named}: the bytes of a key decide its partition"
        yield LogMismatch(MismatchReason.KEYS_CHANGED, sentence)


def _place(topic: str, rows: pa.Table, row: int) -> str:
    return f"{topic}/{rows['partition'][row]} offset {rows['offset'][row]}"


def _second(place: str, lsn: int, settled: Epoch) -> str:
    ended = f"the one at LSN {settled.snapshot_lsn}" if settled.snapshot_lsn else "its first one"
    return f"{place} is of a snapshot at LSN {lsn}, and this epoch's snapshot, {ended}, had ended"
