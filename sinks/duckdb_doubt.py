"""Which changes are new beyond doubt, so that they need not be compared with what the table holds.

Per partition a generation remembers the highest streamed change and the latest snapshot that it has taken in. Every
register of the partition lies at or below them; what is above both, and above the table's fences and repairs, wins
every join. A repair itself is always in doubt: it lies in no partition, and the row's next change may be there already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sinks.fence import FenceKind, Fences
from sinks.register import NOWHERE

Order = tuple[int, int, int, int]
"""Epoch, commit LSN, LSN and tie-break."""

_LOWEST: Order = (-1, -1, -1, -1)
_Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class HighWater:
    """The highest change of each side that a partition of a table has seen."""

    streamed: Order = _LOWEST
    snapshot: Order = _LOWEST


@dataclass(frozen=True)
class HighWaters:
    """The high water of every partition of one table."""

    marks: Mapping[int, HighWater] = field(default_factory=dict)

    def raised_by(self, changes: pa.Table) -> HighWaters:
        """These marks, raised by changes."""
        marks = dict(self.marks)
        orders, partitions = _orders(changes), changes["_partition"].to_numpy()
        is_snapshot = changes["_is_snapshot"].to_numpy()
        for partition in np.unique(partitions).tolist():
            mark = marks.get(partition, HighWater())
            mine = partitions == partition
            marks[partition] = HighWater(
                max(mark.streamed, _highest(orders, mine & ~is_snapshot)),
                max(mark.snapshot, _highest(orders, mine & is_snapshot)),
            )
        return HighWaters(marks)

    def are_all_below(self, changes: pa.Table, fences: Fences, scope: str) -> bool:
        """Whether every change is streamed, and beats whatever its register may hold."""
        if changes["_is_snapshot"].to_numpy().any():
            return False
        orders, partitions = _orders(changes), changes["_partition"].to_numpy()
        repaired = self.marks.get(NOWHERE, HighWater()).streamed
        for partition in np.unique(partitions).tolist():
            if partition == NOWHERE:
                return False
            mine = partitions == partition
            mark = self.marks.get(partition, HighWater())
            truncate, sweep = (fences.known.get((scope, kind)) for kind in (FenceKind.TRUNCATE, FenceKind.SWEEP))
            streamed, snapshot = max(mark.streamed, repaired), mark.snapshot
            if truncate is not None:
                streamed = max(streamed, (truncate.epoch, truncate.commit_lsn, truncate.lsn, 0))
            if sweep is not None:
                snapshot = max(snapshot, (sweep.epoch, sweep.commit_lsn, sweep.lsn, 0))
            of_partition = [column[mine] for column in orders]
            if not (_above(of_partition, streamed) & _outlive(of_partition, snapshot)).all():
                return False
        return True


def _orders(changes: pa.Table) -> list[_Numbers]:
    return [changes[name].to_numpy().astype(np.int64) for name in ("_epoch", "_commit_lsn", "_lsn", "_tie")]


def _highest(orders: list[_Numbers], rows: npt.NDArray[np.bool_]) -> Order:
    if not rows.any():
        return _LOWEST
    epoch, commit_lsn, lsn, tie = (column[rows] for column in orders)
    last = np.lexsort((tie, lsn, commit_lsn, epoch))[-1]
    return (int(epoch[last]), int(commit_lsn[last]), int(lsn[last]), int(tie[last]))


def _above(orders: list[_Numbers], mark: Order) -> npt.NDArray[np.bool_]:
    above = np.zeros(len(orders[0]), dtype=bool)
    for column, limit in zip(reversed(orders), reversed(mark), strict=True):
        above = (column > limit) | ((column == limit) & above)
    return above


def _outlive(orders: list[_Numbers], snapshot: Order) -> npt.NDArray[np.bool_]:
    epoch, commit_lsn, lsn, _ = orders
    proved = np.maximum(commit_lsn, lsn) >= snapshot[2]
    outlives: npt.NDArray[np.bool_] = (epoch > snapshot[0]) | ((epoch == snapshot[0]) & proved)
    return outlives
