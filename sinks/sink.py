"""What every store offers: a sink, which writes one generation of a read model, and a store, which holds them."""

from __future__ import annotations

from typing import Protocol

from sinks.batch import Batch, Progress


class Sink(Protocol):
    """One generation of one read model, in one store. Every method is safe to repeat."""

    def prepare(self) -> None:
        """Create this generation's index, keys or tables where they are missing."""

    def progress(self) -> Progress:
        """Say how far this generation has got; the store's own word is the truth."""

    def write(self, batch: Batch) -> None:
        """Join the batch durably, then move progress to the end of its span.

        Raises:
            ProgressLost: the batch begins beyond the stored progress; the source must seek back.
            StoreUnavailable: the store cannot serve now; the same batch may be written again.
            GenerationMissing: this generation is not there.
        """

    def cutover(self) -> None:
        """Show this generation to readers, in one step they cannot see half of."""


class Store(Protocol):
    """All generations of one read model, in one store."""

    def generations(self) -> tuple[int, ...]:
        """The numbers of the generations that exist, ascending."""

    def live(self) -> int | None:
        """The generation that readers see, or None where there is none yet."""

    def sink(self, generation: int) -> Sink:
        """The sink of one generation, which need not exist yet."""

    def drop(self, generation: int) -> None:
        """Remove a generation and its progress; nothing happens where it is missing."""

    def clear(self) -> None:
        """Remove every generation, also the live one, and the readers' names."""
