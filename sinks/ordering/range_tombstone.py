"""Range tombstones: deletions of all rows of a table, by a truncate or by the end of a snapshot.

A range tombstone is merged into every register of its scope, including registers that are created later. A truncate is
a streamed deletion. Its record is on a partition of its own, so only LSNs order it. The end of a snapshot deletes all
rows that the snapshot did not emit. It loses to any row of the same snapshot and to later streamed changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sinks.ordering.register import EMPTY_REGISTER, NO_OFFSET, NO_PARTITION, Change, Register


class TombstoneKind(StrEnum):
    """Kind of a range tombstone. It determines the side of a register that the tombstone is merged into."""

    TRUNCATE = "truncate"
    SNAPSHOT_END = "sweep"


@dataclass(frozen=True, kw_only=True)
class RangeTombstone:
    """One range tombstone: a truncate or the end of a snapshot.

    Args:
        scope: the table of a row model, or the document and collection of a document model; see
            `sinks.shape.tombstone_scope`.
        commit_lsn, lsn: the sequence of a truncate; for the end of a snapshot, the snapshot's LSN in both.
        started_at: for the end of a snapshot, the first offset per partition, recorded before the snapshot began; zero
            if not named.
        committed_at: the time of the truncate's commit or of the snapshot, in the source; None if unknown. It does not
            affect the order.
    """

    scope: str
    kind: TombstoneKind
    epoch: int
    commit_lsn: int
    lsn: int
    started_at: Mapping[int, int] = field(default_factory=dict)
    committed_at: datetime | None = None

    def to_deletion(self, partition: int) -> Change:
        """Return this range tombstone as the deletion of a row in one partition."""
        return Change(self.epoch, self.commit_lsn, self.lsn, 0, self._offset(partition), partition, deleted=True)

    def _offset(self, partition: int) -> int:
        if self.kind is TombstoneKind.TRUNCATE:
            return NO_OFFSET
        if partition == NO_PARTITION:
            # A repair has no partition. The log's statement about the row must win over the repair.
            return max(self.started_at.values(), default=0) - 1
        return self.started_at.get(partition, 0) - 1

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` can read."""
        return {
            "scope": self.scope,
            "kind": self.kind.value,
            "epoch": self.epoch,
            "commit_lsn": self.commit_lsn,
            "lsn": self.lsn,
            "started_at": {str(partition): offset for partition, offset in sorted(self.started_at.items())},
            "committed_at": self.committed_at and self.committed_at.isoformat(),
        }

    @classmethod
    def from_json(cls, text: Mapping[str, Any]) -> RangeTombstone:
        """Read the output of `to_json`."""
        started_at = {int(partition): int(offset) for partition, offset in text["started_at"].items()}
        committed_at = datetime.fromisoformat(text["committed_at"]) if text.get("committed_at") else None
        return cls(
            **{**text, "kind": TombstoneKind(text["kind"]), "started_at": started_at, "committed_at": committed_at}
        )


@dataclass(frozen=True)
class RangeTombstones:
    """Highest truncate and latest snapshot end of every scope."""

    known: Mapping[tuple[str, TombstoneKind], RangeTombstone] = field(default_factory=dict)

    def __iter__(self) -> Iterator[RangeTombstone]:
        return iter(self.known.values())

    def __bool__(self) -> bool:
        return bool(self.known)

    def merge(self, range_tombstones: Iterable[RangeTombstone]) -> RangeTombstones:
        """Return the highest range tombstone of each scope and kind, out of these and the given ones."""
        known = dict(self.known)
        for range_tombstone in range_tombstones:
            place = (range_tombstone.scope, range_tombstone.kind)
            if place not in known or range_tombstone.to_deletion(0).order[:3] > known[place].to_deletion(0).order[:3]:
                known[place] = range_tombstone
        return RangeTombstones(known)

    def for_row(self, scope: str, partition: int) -> Register:
        """Return the range tombstones of a row of this scope and partition, as a register."""
        truncate = self.known.get((scope, TombstoneKind.TRUNCATE))
        sweep = self.known.get((scope, TombstoneKind.SNAPSHOT_END))
        if truncate is None and sweep is None:
            return EMPTY_REGISTER
        return Register(
            truncate.to_deletion(partition) if truncate else None, sweep.to_deletion(partition) if sweep else None
        )
