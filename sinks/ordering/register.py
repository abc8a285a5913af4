"""The rule of order: what a read model keeps of one row, and how two such records of it are joined.

A source's LSN does not order the versions of a row, and neither does a log's offset: a snapshot reads rows of
transactions that are still to be streamed, a restarted connector emits changes again, and an insert may be written to
the WAL before the delete that lets it through. What does order them is a pair. A register holds the newest *streamed*
change and the newest *snapshot* row, each joined by an order of its own. Joining takes two maxima; it is therefore
commutative, associative and idempotent, and changes may be repeated, reordered, batched and merged by several workers
in any grouping.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

REPAIR_TIEBREAK = 1
"""The tie-break of a repair, above that of the log's own changes at the same sequence."""

SNAPSHOT_ROW_TIEBREAK = 1
"""The tie-break of a row that a snapshot emitted, above that of the sweep that ends the snapshot."""

REWRITE_TIEBREAK = 1
"""The tie-break of an image whose key may have been another before, above that of the deletion of the same LSN."""

NO_PARTITION = 2**31 - 1
"""The partition of a change that lies in no log, such as a repair."""

NO_OFFSET = -1
"""The offset of a change that no offset can be compared with, such as a truncate: below every offset."""


class Change(NamedTuple):
    """One version of one row, and its place in the order of its side of a register.

    A streamed change stands at (last commit LSN, LSN); a snapshot row has the snapshot's LSN in both places. `epoch` is
    the life of the source's history and leads every comparison. `partition` says which log `offset` counts in.
    `image` is what a store keeps of the row, opaque to the rule; it is None for a deletion.
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
        """The change's place: of one change emitted twice, the first emission is the higher."""
        return (self.epoch, self.commit_lsn, self.lsn, self.tie, -self.offset)


class Register(NamedTuple):
    """The newest streamed change and the newest snapshot row of one row; either may be missing."""

    streamed: Change | None = None
    snapshot: Change | None = None

    @property
    def visible(self) -> Change | None:
        """The version that readers see, or None where nothing is known of the row."""
        if self.streamed is None or self.snapshot is None:
            return self.streamed or self.snapshot
        return self.streamed if wins_over(self.streamed, self.snapshot) else self.snapshot

    @property
    def is_alive(self) -> bool:
        """True where readers see the row."""
        shown = self.visible
        return shown is not None and not shown.deleted


EMPTY_REGISTER = Register()


def merge_registers(*registers: Register) -> Register:
    """Take the newest of each side, without what the result has decided against for good.

    A snapshot row that was outlived once stays so: what lies before a commit is streamed before what has seen it as the
    last commit, so that of two streamed changes of a row the newer never proves less.
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
    """The highest change in its side's order, or None where there is none."""
    known = (change for change in changes if change is not None)
    return max(known, key=lambda change: change.order, default=None)


def supersedes(streamed: Change, snapshot: Change) -> bool:
    """Whether the streamed change is proved to have been committed at or after the snapshot's LSN."""
    if streamed.epoch != snapshot.epoch:
        return streamed.epoch > snapshot.epoch
    return max(streamed.commit_lsn, streamed.lsn) >= snapshot.lsn


def wins_over(streamed: Change, snapshot: Change) -> bool:
    """Whether readers see the streamed change: by LSN, or, where neither side proves it, by order of emission."""
    if streamed.epoch != snapshot.epoch:
        return streamed.epoch > snapshot.epoch
    return supersedes(streamed, snapshot) or streamed.offset > snapshot.offset
