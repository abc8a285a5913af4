"""Readable generations of a model; damaged or missing ones are reported as problems instead of raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sinks.errors import GenerationBroken, GenerationMissing
from sinks.generation import NO_METADATA, GenerationMetadata
from sinks.sink import WorkerStore


@dataclass(frozen=True)
class ReadableGenerations:
    """Generations that a rebuild finds in a store.

    Args:
        live: the live generation; None also if the store cannot name it.
        problems: damage that the store reported.
    """

    live: int | None = None
    generations: Mapping[int, GenerationMetadata] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def alive(self) -> GenerationMetadata:
        """Metadata of the live generation."""
        return NO_METADATA if self.live is None else self.generations.get(self.live, NO_METADATA)


def readable_generations(store: WorkerStore) -> ReadableGenerations:
    """Read the generations of a store.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    problems: list[str] = []
    live: int | None = None
    generations: Mapping[int, GenerationMetadata] = {}
    try:
        generations = store.generations()
    except GenerationBroken as error:
        problems.append(str(error))
    try:
        live = store.live()
    except (GenerationBroken, GenerationMissing) as error:
        problems.append(str(error))
    problems += [
        f"the metadata of generation {number} is damaged" for number, one in generations.items() if one.is_unreadable
    ]
    return ReadableGenerations(live, generations, tuple(dict.fromkeys(problems)))
