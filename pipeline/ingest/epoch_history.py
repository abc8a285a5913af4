"""Epochs of a generation, and the translation of record offsets between log and store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sinks.batch import TopicPartition
from sinks.epoch import Epoch, EpochKind

OFFSETS_PER_EPOCH = 1 << 48
"""Stored offset range of one epoch. Stored offsets thus keep growing if the log starts again at zero."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EpochHistory:
    """History of a generation's epochs.

    A record gets an ordering epoch, which changes only with a new snapshot, and a stored offset, to which every epoch
    adds 2**48.
    """

    epochs: tuple[Epoch, ...] = ()

    @property
    def number(self) -> int:
        """Number of the current epoch."""
        return max(len(self.epochs) - 1, 0)

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Fingerprint of the current epoch; empty if no epoch is recorded."""
        return self.epochs[-1].fingerprint if self.epochs else {}

    @property
    def ordering_epoch(self) -> int:
        """Ordering epoch of the records that arrive now."""
        return self._leading(self.number)

    def order_keys(self, topic: str, partitions: Integers, offsets: Integers) -> tuple[Integers, Integers]:
        """Return the ordering epochs and the stored offsets of records of one topic."""
        numbers = np.zeros(len(offsets), np.int64)
        for epoch in self.epochs[1:]:
            begins_at = _by_partition(topic, epoch.begins_at, partitions)
            numbers[offsets >= begins_at[partitions]] = epoch.number
        leading = np.array([self._leading(number) for number in range(self.number + 1)], np.int64)
        return leading[numbers], numbers * OFFSETS_PER_EPOCH + offsets

    def only_current(self, topic: str, envelopes: pa.Table) -> pa.Table:
        """Return the envelopes of one topic that belong to the current history."""
        leading = self.ordering_epoch
        if not leading:
            return envelopes
        partitions, offsets = (envelopes[name].to_numpy().astype(np.int64) for name in ("partition", "offset"))
        return envelopes.filter(pa.array(self.order_keys(topic, partitions, offsets)[0] == leading))

    @property
    def resumes_at(self) -> Mapping[TopicPartition, int]:
        """Log offsets at which the current epoch starts reading; zero for topic partitions that are not listed."""
        return self.epochs[-1].resumes_at if self.epochs else {}

    def to_stored(self, offset: int) -> int:
        """Convert a log offset of the current epoch to a stored offset."""
        return self.number * OFFSETS_PER_EPOCH + offset

    def to_log(self, topic_partition: TopicPartition, stored: int) -> int:
        """Convert a stored offset to a log offset. An offset of an earlier epoch becomes the offset at which the
        current one resumes.
        """
        lifted = self.number * OFFSETS_PER_EPOCH
        return stored - lifted if stored >= lifted else self.resumes_at.get(topic_partition, 0)

    def all_to_log(self, stored: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Convert the stored offsets of all topic partitions to log offsets."""
        return {
            **self.resumes_at,
            **{topic_partition: self.to_log(topic_partition, offset) for topic_partition, offset in stored.items()},
        }

    @property
    def completed_snapshot_epoch(self) -> Epoch | None:
        """Epoch that started the current history; None until its snapshot is complete."""
        begun = self.snapshot_epoch
        return begun if begun is not None and begun.is_settled else None

    def is_settled(self, number: int) -> bool:
        """Return whether the history of an epoch began with a snapshot that is complete."""
        return self.epochs[self._leading(number)].is_settled

    @property
    def snapshot_epoch(self) -> Epoch | None:
        """Epoch that started the current history; None if no epoch is recorded."""
        return self.epochs[self.ordering_epoch] if self.epochs else None

    def begins_at(self) -> Mapping[TopicPartition, int]:
        """Return the log offsets at which the current history begins. Unlisted topic partitions begin in it."""
        leading = self.ordering_epoch
        return self.epochs[leading].begins_at if leading else {}

    def _leading(self, number: int) -> int:
        return max((one.number for one in self.epochs[: number + 1] if one.kind is EpochKind.RESNAPSHOT), default=0)


NO_EPOCHS = EpochHistory()


def for_rebuild(epochs: Iterable[Epoch]) -> tuple[Epoch, ...]:
    """Return the epochs for a generation that is rebuilt from another one's log: the rebuild reads all of it."""
    return tuple(replace(one, resumes_at={}) for one in epochs)


def _by_partition(topic: str, offsets: Mapping[TopicPartition, int], partitions: Integers) -> Integers:
    """Return the offsets of a topic as an array indexed by partition; zero for partitions that are not listed."""
    found = np.zeros(int(partitions.max(initial=0)) + 1, np.int64)
    for (name, partition), offset in offsets.items():
        if name == topic and partition < len(found):
            found[partition] = offset
    return found
