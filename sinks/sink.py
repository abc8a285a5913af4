"""Interfaces of every store: a sink, which writes one generation of a read model, and a store of all generations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sinks.batch import Batch, Progress
from sinks.epoch import Epoch
from sinks.generation import GenerationMetadata
from sinks.rejection import Rejections


class Sink(Protocol):
    """One generation of one read model, in one store. Every method is safe to repeat."""

    def prepare(self) -> None:
        """Create this generation's index, keys or tables if they are missing."""

    def progress(self) -> Progress:
        """Return the progress of this generation, as the store itself has it."""

    def write(self, batch: Batch) -> None:
        """Apply the batch durably, then advance progress to the end of its span.

        Raises:
            OffsetGap: the batch begins after the stored progress; the consumer must seek back.
            StoreUnavailable: the store cannot serve now; the same batch may be written again.
            GenerationMissing: this generation does not exist.
        """

    def cutover(self) -> None:
        """Make this generation live in one atomic step for readers."""


class WorkerStore(Protocol):
    """The part of a store that workers use. Every method is safe to repeat."""

    def generations(self) -> Mapping[int, GenerationMetadata]:
        """Return the existing generations and their metadata, in ascending order."""

    def live(self) -> int | None:
        """Return the generation that readers see, or None if there is none yet."""

    def sink(self, generation: int) -> Sink:
        """Return the sink of one generation, which may not exist yet."""

    def record_epoch(self, generation: int, epoch: Epoch) -> None:
        """Record an epoch of a generation, or update one."""

    def mark_complete(self, generation: int, filled_per_s: float = 0.0) -> None:
        """Record that a generation is complete and how fast it was filled, and apply the settings for readers."""


class Store(WorkerStore, Protocol):
    """All generations of one read model, in one store."""

    def create(self, generation: int, record: GenerationMetadata) -> None:
        """Create a generation with its metadata and with the settings for a build.

        Nothing happens if it exists.
        """

    def mark_rejected(self, generation: int) -> None:
        """Record that a generation differs from the source."""

    def drop(self, generation: int) -> None:
        """Remove a generation and its progress. Nothing happens if it is missing.

        Raises:
            GenerationInUse: it is live.
        """

    def drop_all(self) -> None:
        """Remove every generation, including the live one, and the readers' names."""

    def size_bytes(self, generation: int) -> int:
        """Return the approximate size of a generation in the store."""

    def rejections(self, generation: int) -> Rejections:
        """Return the rejected documents of a generation, which readers do not find."""
