"""What the envelopes of one topic tell of snapshots and streaming, partition by partition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import length_hint

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.records import RecordBatch
from pipeline.ingest.log_reader import filter_records


@dataclass(frozen=True)
class SnapshotRows:
    """The rows of one snapshot in one partition: the offsets of the first and the last, and how many."""

    first: int
    last: int
    count: int

    def joined(self, other: SnapshotRows) -> SnapshotRows:
        """These and others of the same snapshot."""
        return SnapshotRows(min(self.first, other.first), max(self.last, other.last), self.count + other.count)


@dataclass(frozen=True)
class StreamedStatistics:
    """The changes that were streamed into one partition.

    Args:
        first: the offset of the first.
        least_lsn: the least, over all of them, of the higher of the last commit's LSN and their own.
    """

    first: int
    least_lsn: int

    def joined(self, other: StreamedStatistics) -> StreamedStatistics:
        """These and others."""
        return StreamedStatistics(min(self.first, other.first), min(self.least_lsn, other.least_lsn))


@dataclass
class TopicStatistics:
    """What was found so far; everything by partition.

    Args:
        snapshots: rows of snapshots that are not incremental, by the snapshot's LSN.
    """

    records: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    value_bytes: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    snapshots: defaultdict[int, dict[int, SnapshotRows]] = field(default_factory=lambda: defaultdict(dict))
    streamed: dict[int, StreamedStatistics] = field(default_factory=dict)

    def count(self, records: RecordBatch) -> None:
        """Count records, whatever they hold."""
        # Of a tombstone, which has no length, this answers zero.
        sizes = np.fromiter(map(length_hint, records.values), np.int64, len(records))
        counts = np.bincount(records.partitions)
        value_bytes = np.bincount(records.partitions, sizes)
        for partition in np.flatnonzero(counts).tolist():
            self.records[partition] += int(counts[partition])
            self.value_bytes[partition] += int(value_bytes[partition])

    def add(self, envelopes: pa.Table) -> None:
        """Take in decoded envelopes."""
        places = envelopes.select(["partition", "offset", "snapshot", "commit_lsn", "lsn"])
        is_snapshot = places["snapshot"]
        for row in _of_streamed(places.filter(pc.invert(is_snapshot))):
            partition, streamed = row["partition"], StreamedStatistics(row["offset_min"], row["lsn_min"])
            known = self.streamed.get(partition)
            self.streamed[partition] = known.joined(streamed) if known else streamed
        for row in _of_snapshots(places.filter(is_snapshot)):
            rows = SnapshotRows(row["offset_min"], row["offset_max"], row["offset_count"])
            of_partition = self.snapshots[row["partition"]]
            before = of_partition.get(row["lsn"])
            of_partition[row["lsn"]] = before.joined(rows) if before else rows


def last_snapshot_rows(envelopes: pa.Table, records: RecordBatch) -> Mapping[int, RecordBatch]:
    """Of each snapshot in a batch, by its LSN, the last record of every partition: only there can it have ended."""
    last: dict[int, list[int]] = defaultdict(list)
    snapshots = envelopes.select(["partition", "offset", "lsn"]).filter(envelopes["snapshot"])
    for row in _of_snapshots(snapshots):
        found = np.flatnonzero((records.partitions == row["partition"]) & (records.offsets == row["offset_max"]))
        last[row["lsn"]] += found.tolist()
    places = np.arange(len(records))
    return {lsn: filter_records(records, np.isin(places, rows)) for lsn, rows in last.items()}


def _of_streamed(places: pa.Table) -> list[dict[str, int]]:
    least = pc.max_element_wise(places["commit_lsn"], places["lsn"])
    named = pa.table({"partition": places["partition"], "offset": places["offset"], "lsn": least})
    found: list[dict[str, int]] = named.group_by("partition").aggregate([("offset", "min"), ("lsn", "min")]).to_pylist()
    return found


def _of_snapshots(places: pa.Table) -> list[dict[str, int]]:
    wanted = [("offset", "min"), ("offset", "max"), ("offset", "count")]
    found: list[dict[str, int]] = places.group_by(["partition", "lsn"]).aggregate(wanted).to_pylist()
    return found
