"""Register of a row, the ordering rule of all read models: the newest streamed change and the newest snapshot row.

Neither the source's LSN nor the log's offset orders the versions of a row. A snapshot reads rows of transactions that
are streamed later, a restarted connector emits changes again, and an insert may be in the WAL before the delete that
makes it possible. So a register has two sides, each with its own order: streamed changes and snapshot rows. Merging
takes the maximum of each side, so it is commutative, associative and idempotent. Changes may be repeated, reordered,
batched, and merged by several workers in any grouping. In terms of the literature, each side is a last-writer-wins
register, and the whole is a state-based CRDT.

Source: https://inria.hal.science/inria-00555588 (Shapiro et al., A comprehensive study of Convergent and Commutative
Replicated Data Types)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

REPAIR_TIEBREAK = 1
"""Tie-break of a repair, above that of the log's own changes at the same sequence."""

SNAPSHOT_ROW_TIEBREAK = 1
"""Tie-break of a row that a snapshot emitted, above that of the range tombstone at the snapshot's end."""

REWRITE_TIEBREAK = 1
"""Tie-break of an image whose key may have changed, above that of the deletion at the same LSN."""

NO_PARTITION = 2**31 - 1
"""Partition of a change that is in no log, such as a repair."""

NO_OFFSET = -1
"""Offset of a change without a comparable offset, such as a truncate. It is below every offset."""


class Change(NamedTuple):
    """One version of one row, with its order within one side of a register.

    A streamed change has the order (last commit LSN, LSN); a snapshot row has the snapshot's LSN in both. `epoch` leads
    every comparison. `offset` counts within `partition`. `image` is the store's form of the row, opaque to the ordering
    rule; it is None for a deletion.
    """

    epoch: int
    commit_lsn: int
    lsn: int
    tie: int
    offset: int
    partition: int
    deleted: bool
    image: object = None

    @property
    def order(self) -> tuple[int, int, int, int, int]:
        """The order of the change. If a change was emitted twice, the first emission is higher."""
        return (self.epoch, self.commit_lsn, self.lsn, self.tie, -self.offset)


class Register(NamedTuple):
    """Newest streamed change and newest snapshot row of one row. Either may be missing."""

    streamed: Change | None = None
    snapshot: Change | None = None

    @property
    def visible(self) -> Change | None:
        """The version that readers see, or None if nothing is known of the row."""
        if self.streamed is None or self.snapshot is None:
            return self.streamed or self.snapshot
        return self.streamed if wins_over(self.streamed, self.snapshot) else self.snapshot

    @property
    def is_alive(self) -> bool:
        """True if readers see the row."""
        shown = self.visible
        return shown is not None and not shown.deleted


EMPTY_REGISTER = Register()


def merge_registers(*registers: Register) -> Register:
    """Return the newest change of each side, without changes that have lost for good.

    A snapshot row that was outlived once stays outlived. Changes before a commit are streamed before any change that
    has it as its last commit. So of two streamed changes of a row, the newer never proves less.
    """
    streamed = newest(register.streamed for register in registers)
    snapshot = newest(register.snapshot for register in registers)
    if streamed is not None and snapshot is not None:
        if supersedes(streamed, snapshot):
            return Register(streamed, None)
        if streamed.epoch < snapshot.epoch:
            return Register(None, snapshot)
    return Register(streamed, snapshot)


def newest(changes: Iterable[Change | None]) -> Change | None:
    """Return the highest change in its side's order, or None if there is none."""
    known = (change for change in changes if change is not None)
    return max(known, key=lambda change: change.order, default=None)


def supersedes(streamed: Change, snapshot: Change) -> bool:
    """Return whether the streamed change provably committed at or after the snapshot's LSN."""
    if streamed.epoch != snapshot.epoch:
        return streamed.epoch > snapshot.epoch
    return max(streamed.commit_lsn, streamed.lsn) >= snapshot.lsn


def wins_over(streamed: Change, snapshot: Change) -> bool:
    """Return whether readers see the streamed change: by LSN, or by order of emission if LSNs prove nothing."""
    if streamed.epoch != snapshot.epoch:
        return streamed.epoch > snapshot.epoch
    return supersedes(streamed, snapshot) or streamed.offset > snapshot.offset
