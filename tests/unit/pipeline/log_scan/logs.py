"""Scanned logs of two topics, as tests of the assessment and of the cases of snapshots need them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from connectors.notifications import SnapshotStatus
from pipeline.log_scan.scan import LogScan, PartitionLog
from pipeline.log_scan.statistics import SnapshotRows, StreamedStatistics
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind

ORDERS, ITEMS = "cdc.public.orders", "cdc.public.order_items"
SCOPES = ["orders", "order_items"]
ABORTED, LAST = 1000, 2000
READ_SOME = {"public.orders": 4, "public.order_items": 2}
READ_NONE = {"public.orders": 0, "public.order_items": 0}


def rows(first: int, last: int) -> SnapshotRows:
    return SnapshotRows(first, last, last - first + 1)


def surveyed(orders: PartitionLog, items: PartitionLog, ended: set[int], told: SnapshotStatus | None = None) -> LogScan:
    return LogScan(partitions={(ORDERS, 0): orders, (ITEMS, 0): items}, ended_snapshots=frozenset(ended), told=told)


def sweep(scope: str, lsn: int, started_at: Mapping[int, int] | None = None) -> RangeTombstone:
    return RangeTombstone(
        scope=scope,
        kind=TombstoneKind.SNAPSHOT_END,
        epoch=0,
        commit_lsn=lsn,
        lsn=lsn,
        started_at=dict(started_at or {}),
    )


def with_orders(scan: LogScan, **changes: object) -> LogScan:
    orders = replace(scan.partitions[ORDERS, 0], **changes)  # type: ignore[arg-type]
    return replace(scan, partitions={**scan.partitions, (ORDERS, 0): orders})


STREAMED = StreamedStatistics(first=8, least_lsn=3000)
WHOLE = surveyed(
    PartitionLog(earliest=0, end=10, records=9, snapshots={LAST: rows(0, 3)}, streamed=STREAMED),
    PartitionLog(earliest=0, end=4, records=3, snapshots={LAST: rows(0, 1)}),
    ended={LAST},
)
RESTARTED = surveyed(
    PartitionLog(earliest=0, end=10, snapshots={ABORTED: rows(0, 3), LAST: rows(4, 6)}, streamed=STREAMED),
    PartitionLog(earliest=0, end=4, snapshots={LAST: rows(0, 1)}),
    ended={LAST},
)
AGAIN = surveyed(
    PartitionLog(
        earliest=0,
        end=20,
        snapshots={ABORTED: rows(0, 3), LAST: rows(9, 12)},
        streamed=StreamedStatistics(5, ABORTED + 1),
    ),
    PartitionLog(earliest=0, end=4, snapshots={ABORTED: rows(0, 1)}),
    ended={ABORTED, LAST},
)


UNPLACED = replace(
    RESTARTED,
    partitions={
        **RESTARTED.partitions,
        (ITEMS, 0): PartitionLog(
            earliest=0, end=9, snapshots={ABORTED: rows(0, 1)}, streamed=StreamedStatistics(3, LAST - 10)
        ),
    },
)
"""A change below the last snapshot's LSN, in a partition without a snapshot row: earlier, or in flight."""


RUNNING = surveyed(
    PartitionLog(earliest=0, end=10, snapshots={LAST: rows(0, 3)}), PartitionLog(earliest=0, end=0), set()
)
