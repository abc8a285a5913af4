"""What every store offers: a sink, which writes one generation of a read model, and a store, which holds them."""

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
        """Create this generation's index, keys or tables where they are missing."""

    def progress(self) -> Progress:
        """Say how far this generation has got; the store's own word is the truth."""

    def write(self, batch: Batch) -> None:
        """Join the batch durably, then move progress to the end of its span.

        Raises:
            OffsetGap: the batch begins beyond the stored progress; the source must seek back.
            StoreUnavailable: the store cannot serve now; the same batch may be written again.
            GenerationMissing: this generation is not there.
        """

    def cutover(self) -> None:
        """Show this generation to readers, in one step they cannot see half of."""


class WorkerStore(Protocol):
    """What whoever feeds the generations of one read model asks of their store. Every method is safe to repeat."""

    def generations(self) -> Mapping[int, GenerationMetadata]:
        """The generations that exist, by ascending number, and what is kept of each."""

    def live(self) -> int | None:
        """The generation that readers see, or None where there is none yet."""

    def sink(self, generation: int) -> Sink:
        """The sink of one generation, which need not exist yet."""

    def record_epoch(self, generation: int, epoch: Epoch) -> None:
        """Note a life of the log that a generation is fed from, or more of one that is noted."""

    def mark_complete(self, generation: int, filled_per_s: float = 0.0) -> None:
        """Give a generation the settings of one that readers see, and note that it is complete, and how fast it was."""


class Store(WorkerStore, Protocol):
    """All generations of one read model, in one store."""

    def create(self, generation: int, record: GenerationMetadata) -> None:
        """Create a generation with its record, and with the settings of one that is being built.

        Nothing happens where it exists.
        """

    def mark_rejected(self, generation: int) -> None:
        """Note that a generation differs from the source."""

    def drop(self, generation: int) -> None:
        """Remove a generation and its progress; nothing happens where it is missing.

        Raises:
            GenerationInUse: readers see it.
        """

    def drop_all(self) -> None:
        """Remove every generation, also the live one, and the readers' names."""

    def size_bytes(self, generation: int) -> int:
        """About how much space a generation takes in the store."""

    def rejections(self, generation: int) -> Rejections:
        """The documents whose place a generation holds because the store refused them; readers do not find them."""
