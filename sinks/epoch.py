"""The lives of the log that a generation has been fed from: each ends where the log was found to be no longer the same.

Stores keep them with the generation, and do not read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sinks.batch import TopicPartition, offsets_from_json, offsets_to_json
from sinks.ordering.range_tombstone import RangeTombstone


class EpochKind(StrEnum):
    """How an epoch came about.

    Attributes:
        FIRST: the generation was made in it.
        CONTINUED: the log is another one, of the same history: offsets begin anew, and nothing else does.
        RESNAPSHOT: the history is another one, which begins with a snapshot of its own.
    """

    FIRST = "first"
    CONTINUED = "continued"
    RESNAPSHOT = "resnapshot"


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One life of the log.

    Args:
        number: its place among those of the generation, from 0 on.
        fingerprint: by what it is known, in the words of whoever looks.
        opened_at: when it was noted.
        reason: what had been seen of the log before that; empty for the first.
        begins_at: where it begins, per shard; those that are not named begin in it.
        resumes_at: from where the generation reads on, per shard; from zero where not named.
        is_settled: whether the snapshot that it begins with has ended, and what it left is swept. One that was
            continued is as settled as the one before it.
        snapshot_lsn: that of the snapshot once it is settled; zero where it found no rows, or none was looked for.
        range_tombstones: the sweeps that settled it.
    """

    number: int
    kind: EpochKind
    fingerprint: Mapping[str, str]
    opened_at: datetime
    reason: str = ""
    begins_at: Mapping[TopicPartition, int] = field(default_factory=dict)
    resumes_at: Mapping[TopicPartition, int] = field(default_factory=dict)
    is_settled: bool = False
    snapshot_lsn: int = 0
    fences: tuple[RangeTombstone, ...] = ()

    def with_snapshot_complete(self, snapshot_lsn: int, range_tombstones: tuple[RangeTombstone, ...]) -> Epoch:
        """This epoch once its snapshot has ended."""
        return replace(self, is_settled=True, snapshot_lsn=snapshot_lsn, fences=range_tombstones)

    def merge(self, other: Epoch) -> Epoch:
        """What is known of one epoch, by two who noted it: how it began stands, and that it is settled."""
        known = {**other.fingerprint, **self.fingerprint}
        settled = self if self.is_settled else other
        return replace(
            self.with_snapshot_complete(settled.snapshot_lsn, settled.fences),
            fingerprint=known,
            is_settled=settled.is_settled,
        )

    def to_json(self) -> dict[str, Any]:
        """An object of JSON, but for times, that `parse_epoch` reads back."""
        return {
            **asdict(self),
            "begins_at": offsets_to_json(self.begins_at),
            "resumes_at": offsets_to_json(self.resumes_at),
            "fences": [range_tombstone.to_json() for range_tombstone in self.fences],
        }


def upsert(epochs: tuple[Epoch, ...], epoch: Epoch) -> tuple[Epoch, ...]:
    """These epochs and one more, or more of one that is known; one that skips a number is left out."""
    if epoch.number > len(epochs):
        return epochs
    if epoch.number == len(epochs):
        return (*epochs, epoch)
    return tuple(one.merge(epoch) if one.number == epoch.number else one for one in epochs)


def parse_epoch(plain: Mapping[str, Any]) -> Epoch:
    """Read what `to_json` wrote."""
    read = {
        "kind": EpochKind(plain["kind"]),
        "opened_at": datetime.fromisoformat(plain["opened_at"]),
        "begins_at": offsets_from_json(plain["begins_at"]),
        "resumes_at": offsets_from_json(plain["resumes_at"]),
        "fences": tuple(map(RangeTombstone.from_json, plain["fences"])),
    }
    return Epoch(**{**plain, **read})
