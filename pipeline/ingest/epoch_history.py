"""Where a record of the log stands among the epochs of a generation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sinks.batch import TopicPartition
from sinks.epoch import Epoch, EpochKind

OFFSETS_PER_EPOCH = 1 << 48
"""What each epoch adds to an offset, so that offsets go on growing where the log begins anew."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EpochHistory:
    """The epochs of a generation, read together.

    Two things are told of a record: the epoch that leads its order, which only a history with a snapshot of its own
    changes; and its offset as it is stored, which every epoch lifts.
    """

    epochs: tuple[Epoch, ...] = ()

    @property
    def number(self) -> int:
        """The number of the epoch that is now."""
        return max(len(self.epochs) - 1, 0)

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """By what the log is known that is now; nothing where no epoch was noted."""
        return self.epochs[-1].fingerprint if self.epochs else {}

    @property
    def ordering_epoch(self) -> int:
        """The epoch that leads the order of what comes now."""
        return self._leading(self.number)

    def order_keys(self, topic: str, partitions: Integers, offsets: Integers) -> tuple[Integers, Integers]:
        """Of records of one topic: the leading epochs, and the offsets as they are stored."""
        numbers = np.zeros(len(offsets), np.int64)
        for epoch in self.epochs[1:]:
            begins_at = _by_partition(topic, epoch.begins_at, partitions)
            numbers[offsets >= begins_at[partitions]] = epoch.number
        leading = np.array([self._leading(number) for number in range(self.number + 1)], np.int64)
        return leading[numbers], numbers * OFFSETS_PER_EPOCH + offsets

    def only_current(self, topic: str, envelopes: pa.Table) -> pa.Table:
        """Those envelopes of one topic that belong to the history that is now."""
        leading = self.ordering_epoch
        if not leading:
            return envelopes
        partitions, offsets = (envelopes[name].to_numpy().astype(np.int64) for name in ("partition", "offset"))
        return envelopes.filter(pa.array(self.order_keys(topic, partitions, offsets)[0] == leading))

    @property
    def resumes_at(self) -> Mapping[TopicPartition, int]:
        """From where the log is read in the epoch that is now; from zero where a shard is not named."""
        return self.epochs[-1].resumes_at if self.epochs else {}

    def to_stored(self, offset: int) -> int:
        """How far a shard has been taken in, as it is stored."""
        return self.number * OFFSETS_PER_EPOCH + offset

    def to_log(self, topic_partition: TopicPartition, stored: int) -> int:
        """The offset in the log that belongs to a stored one: where the epoch resumes, if it lies before that."""
        lifted = self.number * OFFSETS_PER_EPOCH
        return stored - lifted if stored >= lifted else self.resumes_at.get(topic_partition, 0)

    def all_to_log(self, stored: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """The same of a whole progress."""
        return {
            **self.resumes_at,
            **{topic_partition: self.to_log(topic_partition, offset) for topic_partition, offset in stored.items()},
        }

    @property
    def completed_snapshot_epoch(self) -> Epoch | None:
        """The epoch that the history that is now began with, once its snapshot has ended."""
        begun = self.snapshot_epoch
        return begun if begun is not None and begun.is_settled else None

    def is_settled(self, number: int) -> bool:
        """Whether the history that an epoch belongs to began with a snapshot that has ended."""
        return self.epochs[self._leading(number)].is_settled

    @property
    def snapshot_epoch(self) -> Epoch | None:
        """The epoch that the history that is now began with; None where none was noted."""
        return self.epochs[self.ordering_epoch] if self.epochs else None

    def begins_at(self) -> Mapping[TopicPartition, int]:
        """Where the history that is now begins in the log; those shards that are not named begin in it."""
        leading = self.ordering_epoch
        return self.epochs[leading].begins_at if leading else {}

    def _leading(self, number: int) -> int:
        return max((one.number for one in self.epochs[: number + 1] if one.kind is EpochKind.RESNAPSHOT), default=0)


NO_EPOCHS = EpochHistory()


def for_rebuild(epochs: Iterable[Epoch]) -> tuple[Epoch, ...]:
    """The epochs of a generation that is built from the log that another one is fed from: it reads all of it."""
    return tuple(replace(one, resumes_at={}) for one in epochs)


def _by_partition(topic: str, offsets: Mapping[TopicPartition, int], partitions: Integers) -> Integers:
    """The offsets of a topic's partitions, by their numbers; zero where not named."""
    found = np.zeros(int(partitions.max(initial=0)) + 1, np.int64)
    for (name, partition), offset in offsets.items():
        if name == topic and partition < len(found):
            found[partition] = offset
    return found
