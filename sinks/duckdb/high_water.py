"""High-water marks that show when a batch can be appended without merging.

A generation stores, per partition, the highest streamed change and the latest snapshot row that it has applied. No
register of the partition is above them. A change that is above both, and above the table's range tombstones and
repairs, wins every merge. A repair must always be merged: it belongs to no partition, and the row's next change may be
stored already.

A row keeps its partition only while its topic keeps the same partition count. After a row moves to another partition,
its older changes may still be waiting in the previous one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sinks.ordering.columns import Integers, version_arrays
from sinks.ordering.range_tombstone import RangeTombstones, TombstoneKind
from sinks.ordering.register import NO_PARTITION

Order = tuple[int, int, int, int]
"""Epoch, commit LSN, LSN and tie-break."""

_LOWEST: Order = (-1, -1, -1, -1)


class WriteMode(Enum):
    """Write modes that the high-water marks allow."""

    MERGE = "a register may hold what beats them"
    APPEND_IF_KEYS_STAYED = "they beat what registers of their own partitions hold"
    APPEND = "they beat what any register holds"


@dataclass(frozen=True)
class HighWaterMark:
    """Highest change of each side that was applied from one partition of a table."""

    streamed: Order = _LOWEST
    snapshot: Order = _LOWEST

    def max_with(self, other: HighWaterMark) -> HighWaterMark:
        """Return the maximum of each side."""
        return HighWaterMark(max(self.streamed, other.streamed), max(self.snapshot, other.snapshot))


@dataclass(frozen=True)
class HighWaterMarks:
    """High-water marks of all partitions of one table."""

    high_waters: Mapping[int, HighWaterMark] = field(default_factory=dict)

    def advance(self, changes: pa.Table) -> HighWaterMarks:
        """Return these high-water marks, raised to include `changes`."""
        high_waters = dict(self.high_waters)
        orders, partitions = version_arrays(changes), changes["_partition"].to_numpy()
        is_snapshot = changes["_is_snapshot"].to_numpy()
        for partition in np.unique(partitions).tolist():
            mine = partitions == partition
            raised = HighWaterMark(_highest(orders, mine & ~is_snapshot), _highest(orders, mine & is_snapshot))
            high_waters[partition] = self._of(partition).max_with(raised)
        return HighWaterMarks(high_waters)

    def classify(self, changes: pa.Table, range_tombstones: RangeTombstones, scope: str) -> WriteMode:
        """Return how changes of one table can be written. `MERGE` if any change is a snapshot row or a repair."""
        partitions = changes["_partition"].to_numpy()
        if changes["_is_snapshot"].to_numpy().any() or (partitions == NO_PARTITION).any():
            return WriteMode.MERGE
        orders, floor = version_arrays(changes), self._of(NO_PARTITION).max_with(_fenced(range_tombstones, scope))
        for partition in np.unique(partitions).tolist():
            mine = [column[partitions == partition] for column in orders]
            if not _beat(mine, floor.max_with(self._of(partition))):
                return WriteMode.MERGE
        highest = reduce(HighWaterMark.max_with, self.high_waters.values(), floor)
        return WriteMode.APPEND if _beat(orders, highest) else WriteMode.APPEND_IF_KEYS_STAYED

    def _of(self, partition: int) -> HighWaterMark:
        return self.high_waters.get(partition, HighWaterMark())


def _fenced(range_tombstones: RangeTombstones, scope: str) -> HighWaterMark:
    truncate, sweep = (
        range_tombstones.known.get((scope, kind)) for kind in (TombstoneKind.TRUNCATE, TombstoneKind.SNAPSHOT_END)
    )
    return HighWaterMark(
        truncate.to_deletion(NO_PARTITION).order[:4] if truncate else _LOWEST,
        sweep.to_deletion(NO_PARTITION).order[:4] if sweep else _LOWEST,
    )


def _beat(orders: list[Integers], high_water: HighWaterMark) -> bool:
    return bool((_above(orders, high_water.streamed) & _outlive(orders, high_water.snapshot)).all())


def _highest(orders: list[Integers], rows: npt.NDArray[np.bool_]) -> Order:
    if not rows.any():
        return _LOWEST
    mine = [column[rows] for column in orders]
    last = np.lexsort(mine[::-1])[-1]
    epoch, commit_lsn, lsn, tie = (int(column[last]) for column in mine)
    return (epoch, commit_lsn, lsn, tie)


def _above(orders: list[Integers], high_water: Order) -> npt.NDArray[np.bool_]:
    above = np.zeros(len(orders[0]), dtype=bool)
    for column, limit in zip(reversed(orders), reversed(high_water), strict=True):
        above = (column > limit) | ((column == limit) & above)
    return above


def _outlive(orders: list[Integers], snapshot: Order) -> npt.NDArray[np.bool_]:
    epoch, commit_lsn, lsn, _ = orders
    proved = np.maximum(commit_lsn, lsn) >= snapshot[2]
    outlives: npt.NDArray[np.bool_] = (epoch > snapshot[0]) | ((epoch == snapshot[0]) & proved)
    return outlives
