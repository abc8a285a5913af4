"""Changes to all rows of a table at once: a truncate, and the sweep that ends a snapshot.

A fence is joined into every register of its scope, also into those that come later. A truncate is a streamed deletion;
it lies on a partition of its own, so that only LSNs place it. A sweep is what the snapshot says of every row that it
did not emit: that there is none. It loses to any row of the same snapshot, and to what was streamed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sinks.ordering.register import EMPTY_REGISTER, NO_OFFSET, NO_PARTITION, Change, Register


class TombstoneKind(StrEnum):
    """Which side of a register a fence is joined into."""

    TRUNCATE = "truncate"
    SNAPSHOT_END = "sweep"


@dataclass(frozen=True, kw_only=True)
class RangeTombstone:
    """One truncate or sweep.

    Args:
        scope: the table of a row model, or `document` and collection of a document model; see
            `sinks.shape.tombstone_scope`.
        commit_lsn, lsn: a truncate's sequence; for a sweep, the snapshot's LSN in both.
        started_at: a sweep's first offset per partition, recorded before its snapshot began; zero where not named.
        committed_at: when the source committed the truncate, or took the snapshot; None where nobody said. It orders
            nothing.
    """

    scope: str
    kind: TombstoneKind
    epoch: int
    commit_lsn: int
    lsn: int
    started_at: Mapping[int, int] = field(default_factory=dict)
    committed_at: datetime | None = None

    def to_deletion(self, partition: int) -> Change:
        """The deletion that this fence is for a row of one partition."""
        return Change(self.epoch, self.commit_lsn, self.lsn, 0, self._offset(partition), partition, deleted=True)

    def _offset(self, partition: int) -> int:
        if self.kind is TombstoneKind.TRUNCATE:
            return NO_OFFSET
        if partition == NO_PARTITION:
            # A repair does not say which partition its row is in: whatever the log says of the row knows better.
            return max(self.started_at.values(), default=0) - 1
        return self.started_at.get(partition, 0) - 1

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
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
        """Read what `to_json` wrote."""
        started_at = {int(partition): int(offset) for partition, offset in text["started_at"].items()}
        committed_at = datetime.fromisoformat(text["committed_at"]) if text.get("committed_at") else None
        return cls(
            **{**text, "kind": TombstoneKind(text["kind"]), "started_at": started_at, "committed_at": committed_at}
        )


@dataclass(frozen=True)
class RangeTombstones:
    """The highest truncate and the latest sweep of every scope."""

    known: Mapping[tuple[str, TombstoneKind], RangeTombstone] = field(default_factory=dict)

    def __iter__(self) -> Iterator[RangeTombstone]:
        return iter(self.known.values())

    def __bool__(self) -> bool:
        return bool(self.known)

    def merge(self, range_tombstones: Iterable[RangeTombstone]) -> RangeTombstones:
        """These and the given ones; of each scope and kind, the highest."""
        known = dict(self.known)
        for range_tombstone in range_tombstones:
            place = (range_tombstone.scope, range_tombstone.kind)
            if place not in known or range_tombstone.to_deletion(0).order[:3] > known[place].to_deletion(0).order[:3]:
                known[place] = range_tombstone
        return RangeTombstones(known)

    def for_row(self, scope: str, partition: int) -> Register:
        """What the fences say of a row of this scope that lies in this partition."""
        truncate = self.known.get((scope, TombstoneKind.TRUNCATE))
        sweep = self.known.get((scope, TombstoneKind.SNAPSHOT_END))
        if truncate is None and sweep is None:
            return EMPTY_REGISTER
        return Register(
            truncate.to_deletion(partition) if truncate else None, sweep.to_deletion(partition) if sweep else None
        )
