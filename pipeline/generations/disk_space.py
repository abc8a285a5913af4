"""Space check for another generation beside the existing ones."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline import read_models
from pipeline.config import Settings
from pipeline.generations.readable import readable_generations
from pipeline.log_scan.finding import FindingReason, LogFinding
from sinks.errors import GenerationBroken, GenerationMissing

HEADROOM_FACTOR = 2
"""Factor on the size of a generation: a store needs more space while it builds one than afterwards."""


@dataclass(frozen=True)
class DiskSpace:
    """Space that a rebuild needs, and the free space.

    Args:
        needed_bytes: the size of the live generation, as an estimate for the new one; zero if there is none.
        free_bytes: on Elasticsearch's node with the most free space, in Redis's memory, or on DuckDB's disk.
    """

    model: str
    needed_bytes: int
    free_bytes: int

    def findings(self) -> list[LogFinding]:
        """Return a finding if the space is insufficient or low."""
        told = f"{self.model} needs about {_mb(self.needed_bytes)} more, and has {_mb(self.free_bytes)}"
        if self.free_bytes < self.needed_bytes:
            return [LogFinding(FindingReason.INSUFFICIENT_SPACE, told)]
        if self.free_bytes < HEADROOM_FACTOR * self.needed_bytes:
            return [LogFinding(FindingReason.LOW_SPACE, told)]
        return []


def disk_space(model: str, settings: Settings) -> DiskSpace:
    """Read the needed and the free space of a model's store.

    Raises:
        SinkError: the store does not answer.
    """
    with read_models.open_shared(model, settings) as store:
        live = readable_generations(store).live
        try:
            needed = 0 if live is None else store.size_bytes(live)
        except (GenerationMissing, GenerationBroken):
            needed = 0
    return DiskSpace(model, needed, read_models.READ_MODELS[model].free_bytes(settings))


def _mb(size: int) -> str:
    return f"{size / 2**20:,.1f} MB"
