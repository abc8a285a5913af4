"""Statistics of snapshot rows and streamed changes of one topic, by partition."""

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
    """Rows of one snapshot in one partition: first and last offset, and row count."""

    first: int
    last: int
    count: int

    def joined(self, other: SnapshotRows) -> SnapshotRows:
        """Merge with other rows of the same snapshot."""
        return SnapshotRows(min(self.first, other.first), max(self.last, other.last), self.count + other.count)


@dataclass(frozen=True)
class StreamedStatistics:
    """Changes that were streamed into one partition.

    Args:
        first: the offset of the first change.
        least_lsn: the minimum over all changes of max(last commit's LSN, own LSN).
    """

    first: int
    least_lsn: int

    def joined(self, other: StreamedStatistics) -> StreamedStatistics:
        """Merge with other changes of the same partition."""
        return StreamedStatistics(min(self.first, other.first), min(self.least_lsn, other.least_lsn))


@dataclass
class TopicStatistics:
    """Accumulated statistics of one topic, by partition.

    Args:
        snapshots: rows of snapshots that are not incremental, by the snapshot's LSN.
    """

    records: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    value_bytes: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    snapshots: defaultdict[int, dict[int, SnapshotRows]] = field(default_factory=lambda: defaultdict(dict))
    streamed: dict[int, StreamedStatistics] = field(default_factory=dict)

    def count(self, records: RecordBatch) -> None:
        """Count records without decoding them."""
        # `length_hint` returns zero for the None of a tombstone.
        sizes = np.fromiter(map(length_hint, records.values), np.int64, len(records))
        counts = np.bincount(records.partitions)
        value_bytes = np.bincount(records.partitions, sizes)
        for partition in np.flatnonzero(counts).tolist():
            self.records[partition] += int(counts[partition])
            self.value_bytes[partition] += int(value_bytes[partition])

    def add(self, envelopes: pa.Table) -> None:
        """Add decoded envelopes."""
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
    """Return the last record of every partition for each snapshot in a batch, by LSN. Only these can end a snapshot."""
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
