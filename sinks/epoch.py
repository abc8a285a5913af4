"""Epochs of a generation: periods in which topics, slot and source stayed the same. A detected change starts a new one.

Stores keep epochs in the generation metadata and do not interpret them.
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
    """Kinds of epochs.

    Attributes:
        FIRST: the epoch in which the generation was created.
        CONTINUED: a new log of the same history: only offsets start again.
        RESNAPSHOT: a new history, which begins with its own snapshot.
    """

    FIRST = "first"
    CONTINUED = "continued"
    RESNAPSHOT = "resnapshot"


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch of the log.

    Args:
        number: its index among the epochs of the generation, from 0.
        fingerprint: the properties that identify the epoch's log, opaque to stores.
        opened_at: the time at which it was recorded.
        reason: the detected change that started it; empty for the first.
        begins_at: its first offset, per topic partition; topic partitions not named begin in it.
        resumes_at: the offset from which the generation consumes, per topic partition; zero if not named.
        is_settled: its initial snapshot has ended, and rows that the snapshot did not contain are deleted. A continued
            epoch has the value of the epoch before it.
        snapshot_lsn: the LSN of the snapshot once the epoch is settled; zero if the snapshot had no rows, or if there
            was none.
        fences: the range tombstones of the end of its snapshot.
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
        """Return this epoch with its snapshot complete."""
        return replace(self, is_settled=True, snapshot_lsn=snapshot_lsn, fences=range_tombstones)

    def merge(self, other: Epoch) -> Epoch:
        """Merge two records of one epoch. Its start comes from this record, and it is settled if either record is."""
        known = {**other.fingerprint, **self.fingerprint}
        settled = self if self.is_settled else other
        return replace(
            self.with_snapshot_complete(settled.snapshot_lsn, settled.fences),
            fingerprint=known,
            is_settled=settled.is_settled,
        )

    def to_json(self) -> dict[str, Any]:
        """Return a dict that `parse_epoch` can read. Its values are JSON, except for times."""
        return {
            **asdict(self),
            "begins_at": offsets_to_json(self.begins_at),
            "resumes_at": offsets_to_json(self.resumes_at),
            "fences": [range_tombstone.to_json() for range_tombstone in self.fences],
        }


def upsert(epochs: tuple[Epoch, ...], epoch: Epoch) -> tuple[Epoch, ...]:
    """Return the epochs with `epoch` added or merged. An epoch that skips a number is ignored."""
    if epoch.number > len(epochs):
        return epochs
    if epoch.number == len(epochs):
        return (*epochs, epoch)
    return tuple(one.merge(epoch) if one.number == epoch.number else one for one in epochs)


def parse_epoch(plain: Mapping[str, Any]) -> Epoch:
    """Read the output of `to_json`."""
    read = {
        "kind": EpochKind(plain["kind"]),
        "opened_at": datetime.fromisoformat(plain["opened_at"]),
        "begins_at": offsets_from_json(plain["begins_at"]),
        "resumes_at": offsets_from_json(plain["resumes_at"]),
        "fences": tuple(map(RangeTombstone.from_json, plain["fences"])),
    }
    return Epoch(**{**plain, **read})
