"""Table of cases of the ordering rule: the result for one row, whatever the order in which its changes are merged.

Every form of the rule is run against this table: Python, Arrow, and the scripts and statements of the stores. All
changes of a case are of one row in partition 0, except repairs, which have no partition; a store names the scope of the
range tombstones as its own shapes do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.ordering.register import NO_OFFSET, NO_PARTITION, REPAIR_TIEBREAK, SNAPSHOT_ROW_TIEBREAK, Change


class Side(Enum):
    """One of a register's two changes."""

    STREAMED = "streamed"
    SNAPSHOT = "snapshot"


SCOPE = "orders"
"""The scope of every range tombstone in the table."""

Sided = tuple[Side, Change]


@dataclass(frozen=True)
class Case:
    """Input and expected result.

    Args:
        name: a sentence about the row.
        changes: one or more changes, to be merged in any order, any grouping, and any number of times.
        shown: the image that readers see, or None if they see no row.
        kept: the sides that are still needed once all is merged.
        range_tombstones: to be merged before, between or after the changes.
    """

    name: str
    changes: tuple[Sided, ...]
    shown: str | None
    kept: tuple[Side, ...] = (Side.STREAMED,)
    range_tombstones: tuple[RangeTombstone, ...] = ()


BOTH = (Side.STREAMED, Side.SNAPSHOT)


def streamed(commit_lsn: int, lsn: int, offset: int, image: str | None, *, epoch: int = 0, tie: int = 0) -> Sided:
    """Return a change from the WAL, or from an incremental snapshot; without an image, a deletion."""
    partition = NO_PARTITION if tie == REPAIR_TIEBREAK else 0
    return Side.STREAMED, Change(epoch, commit_lsn, lsn, tie, offset, partition, image is None, image)


def snapshot(lsn: int, offset: int, image: str, *, epoch: int = 0) -> Sided:
    """Return a snapshot row."""
    return Side.SNAPSHOT, Change(epoch, lsn, lsn, SNAPSHOT_ROW_TIEBREAK, offset, 0, False, image)


def truncate(commit_lsn: int, lsn: int) -> RangeTombstone:
    """Return a truncate of the row's table."""
    return RangeTombstone(scope=SCOPE, kind=TombstoneKind.TRUNCATE, epoch=0, commit_lsn=commit_lsn, lsn=lsn)


def sweep(lsn: int, started_at: int = 0, *, epoch: int = 0) -> RangeTombstone:
    """Return the end of a snapshot that was requested when partition 0 ended at this offset."""
    return RangeTombstone(
        scope=SCOPE, kind=TombstoneKind.SNAPSHOT_END, epoch=epoch, commit_lsn=lsn, lsn=lsn, started_at={0: started_at}
    )


STREAM = (
    Case("an insert is shown", (streamed(100, 110, 0, "a"),), "a"),
    Case("the later commit wins", (streamed(100, 110, 0, "a"), streamed(120, 130, 1, "b")), "b"),
    Case("within a transaction the later record wins", (streamed(100, 110, 0, "a"), streamed(100, 115, 1, "b")), "b"),
    Case("a deleted row is not shown", (streamed(100, 110, 0, "a"), streamed(120, 130, 1, None)), None),
    Case(
        "a row inserted again is shown",
        (streamed(100, 110, 0, "a"), streamed(120, 130, 1, None), streamed(140, 150, 2, "b")),
        "b",
    ),
    Case(
        "an insert may lie in the WAL before the delete that lets it through",
        (streamed(100, 130, 0, None), streamed(140, 120, 1, "b")),
        "b",
    ),
    Case(
        "before a stream's first commit, a change's own LSN places it",
        (streamed(110, 110, 0, "a"), streamed(115, 115, 1, "b")),
        "b",
    ),
    Case(
        "a restarted connector's older change stays behind",
        (streamed(100, 110, 0, "a"), streamed(120, 130, 1, None), streamed(100, 110, 2, "a")),
        None,
    ),
    Case(
        "LSNs that a double cannot tell apart are told apart",
        (streamed(2**53, 2**53 + 1, 0, "a"), streamed(2**53 + 1, 2**53, 1, "b")),
        "b",
    ),
    Case(
        "an incremental snapshot's row stands where its window closed",
        (streamed(100, 110, 0, "a"), streamed(120, 140, 1, "b"), streamed(145, 150, 2, "c")),
        "c",
    ),
)

SNAPSHOTS = (
    Case("a snapshot row is shown", (snapshot(200, 0, "a"),), "a", (Side.SNAPSHOT,)),
    Case(
        "a change past the snapshot's LSN wins over its row", (snapshot(200, 0, "a"), streamed(205, 210, 1, "b")), "b"
    ),
    Case("a change at the snapshot's LSN wins over its row", (snapshot(200, 0, "a"), streamed(190, 200, 1, "b")), "b"),
    Case(
        "a change whose last commit is past the snapshot's LSN wins over its row",
        (snapshot(200, 0, "a"), streamed(210, 150, 1, "b")),
        "b",
    ),
    Case(
        "a change past the snapshot's LSN wins whatever the offsets say",
        (snapshot(200, 9, "a"), streamed(205, 210, 1, None)),
        None,
    ),
    Case(
        "a change in flight at the snapshot wins over its row, for it is emitted later",
        (snapshot(200, 0, "a"), streamed(150, 150, 1, "b")),
        "b",
        BOTH,
    ),
    Case(
        "a deletion in flight at the snapshot wins over its row",
        (snapshot(200, 0, "a"), streamed(150, 150, 1, None)),
        None,
        BOTH,
    ),
    Case(
        "a change from before a second snapshot gives way to its row",
        (streamed(100, 110, 3, "a"), snapshot(200, 7, "b")),
        "b",
        BOTH,
    ),
    Case(
        "a change from before a second snapshot gives way even where it is emitted again",
        (streamed(100, 110, 3, "a"), snapshot(200, 7, "b"), streamed(100, 110, 8, "a")),
        "b",
        BOTH,
    ),
    Case(
        "a row of a snapshot that was given up gives way to the next snapshot's",
        (snapshot(200, 0, "a"), snapshot(250, 1, "b"), snapshot(200, 2, "a")),
        "b",
        (Side.SNAPSHOT,),
    ),
    Case(
        "a snapshot row that is emitted again hides no change that was in flight",
        (snapshot(200, 0, "a"), streamed(150, 150, 1, "b"), snapshot(200, 2, "a")),
        "b",
        BOTH,
    ),
)

SWEEPS = (
    Case(
        "a row deleted unseen is swept",
        (streamed(100, 110, 3, "a"),),
        None,
        BOTH,
        (sweep(200, started_at=4),),
    ),
    Case(
        "a row that the snapshot emitted is not swept",
        (streamed(100, 110, 3, "a"), snapshot(200, 7, "b")),
        "b",
        BOTH,
        (sweep(200, started_at=4),),
    ),
    Case(
        "a row that changed past the snapshot's LSN is not swept",
        (streamed(205, 210, 8, "b"),),
        "b",
        (Side.STREAMED,),
        (sweep(200, started_at=4),),
    ),
    Case(
        "a change in flight at the snapshot is not swept",
        (streamed(150, 150, 4, "b"),),
        "b",
        BOTH,
        (sweep(200, started_at=4),),
    ),
    Case(
        "a row deleted unseen is swept even where an older change is emitted again",
        (streamed(100, 110, 3, "a"), streamed(100, 110, 8, "a")),
        None,
        BOTH,
        (sweep(200, started_at=4),),
    ),
    Case(
        "the first snapshot's sweep spares all that is streamed",
        (streamed(150, 150, 0, "b"),),
        "b",
        BOTH,
        (sweep(200),),
    ),
    Case(
        "a row of a snapshot that was given up is swept",
        (snapshot(200, 0, "a"),),
        None,
        (Side.SNAPSHOT,),
        (sweep(250),),
    ),
    Case(
        "an earlier snapshot's sweep spares a later one's row",
        (snapshot(250, 0, "a"),),
        "a",
        (Side.SNAPSHOT,),
        (sweep(200),),
    ),
    Case(
        "of two sweeps the later counts",
        (streamed(205, 210, 3, "a"),),
        None,
        BOTH,
        (sweep(200), sweep(300, started_at=4)),
    ),
)

TRUNCATES = (
    Case("a truncate deletes", (streamed(100, 110, 3, "a"),), None, (Side.STREAMED,), (truncate(120, 130),)),
    Case(
        "a row inserted after a truncate is shown",
        (streamed(140, 150, 0, "b"),),
        "b",
        range_tombstones=(truncate(120, 130),),
    ),
    Case(
        "a row inserted by the transaction that truncated is shown",
        (streamed(120, 135, 0, "b"),),
        "b",
        range_tombstones=(truncate(120, 130),),
    ),
    Case(
        "a truncate past a snapshot deletes its row",
        (snapshot(200, 0, "a"),),
        None,
        range_tombstones=(truncate(210, 220),),
    ),
    Case("a truncate before a snapshot spares its row", (snapshot(200, 0, "a"),), "a", BOTH, (truncate(120, 130),)),
    Case(
        "of two truncates the later counts",
        (streamed(140, 150, 0, "a"),),
        None,
        (Side.STREAMED,),
        (truncate(120, 130), truncate(160, 170)),
    ),
    Case(
        "a swept row stays deleted under a truncate",
        (streamed(100, 110, 3, "a"),),
        None,
        BOTH,
        (truncate(120, 130), sweep(200, started_at=4)),
    ),
)

REPAIRS = (
    Case(
        "a repair stands at its mark",
        (streamed(100, 110, 0, "a"), streamed(120, 130, NO_OFFSET, "b", tie=REPAIR_TIEBREAK)),
        "b",
    ),
    Case(
        "a repair wins over what the log has at the same place",
        (streamed(120, 130, 0, "a"), streamed(120, 130, NO_OFFSET, "b", tie=REPAIR_TIEBREAK)),
        "b",
    ),
    Case(
        "a change committed after a repair's mark wins over it",
        (streamed(120, 130, NO_OFFSET, "b", tie=REPAIR_TIEBREAK), streamed(140, 125, 1, "c")),
        "c",
    ),
    Case(
        "a repair may delete",
        (snapshot(90, 0, "a"), streamed(120, 130, NO_OFFSET, None, tie=REPAIR_TIEBREAK)),
        None,
    ),
    Case(
        "a snapshot after a repair's mark wins over it",
        (streamed(120, 130, NO_OFFSET, "b", tie=REPAIR_TIEBREAK), snapshot(200, 5, "c")),
        "c",
        BOTH,
    ),
    Case(
        "a row that was repaired before it was deleted unseen is swept",
        (streamed(50, 50, NO_OFFSET, "a", tie=REPAIR_TIEBREAK), streamed(55, 60, 3, "b")),
        None,
        BOTH,
        (sweep(100, started_at=4),),
    ),
    Case(
        "a change in flight at a snapshot is not swept where its row was repaired before",
        (streamed(50, 50, NO_OFFSET, "a", tie=REPAIR_TIEBREAK), streamed(55, 60, 4, "b")),
        "b",
        BOTH,
        (sweep(100, started_at=4),),
    ),
)

EPOCHS = (
    Case(
        "a later epoch wins over higher LSNs and offsets",
        (streamed(900, 910, 9, "a"), streamed(100, 110, 0, "b", epoch=1)),
        "b",
    ),
    Case(
        "a later epoch's snapshot row wins over what an earlier one streamed",
        (streamed(900, 910, 9, "a"), snapshot(100, 0, "b", epoch=1)),
        "b",
        (Side.SNAPSHOT,),
    ),
    Case(
        "an earlier epoch's snapshot row gives way to what a later one streamed",
        (snapshot(900, 9, "a"), streamed(100, 100, 0, "b", epoch=1)),
        "b",
    ),
    Case(
        "a later epoch's sweep deletes what only an earlier one knew",
        (streamed(900, 910, 9, "a"),),
        None,
        (Side.SNAPSHOT,),
        (sweep(100, epoch=1),),
    ),
    Case(
        "where the log went on elsewhere, its offsets are higher",
        (snapshot(200, 900, "a"), streamed(150, 150, (1 << 48) + 3, "b")),
        "b",
        BOTH,
    ),
)

CASES = STREAM + SNAPSHOTS + SWEEPS + TRUNCATES + REPAIRS + EPOCHS
