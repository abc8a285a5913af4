"""Target of a replay: a new generation, or the one that an interrupted replay left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.definitions import parse_definitions
from pipeline.epochs.offset_sink import open_sink
from sinks.generation import GenerationMetadata, GenerationState
from sinks.sink import Store


@dataclass(frozen=True)
class RebuildTarget:
    """Target generation of a replay.

    Args:
        generation: the one to fill.
        is_resumed: whether an earlier replay created it.
        dropped: generations that cannot be resumed and are dropped.
    """

    generation: int
    is_resumed: bool = False
    dropped: tuple[int, ...] = ()

    def anew(self, generations: Mapping[int, GenerationMetadata]) -> RebuildTarget:
        """Return a new target, for the case that this generation cannot be resumed after all."""
        return RebuildTarget(max([self.generation, *generations]) + 1, dropped=(*self.dropped, self.generation))


def choose_target(
    generations: Mapping[int, GenerationMetadata], live: int | None, wanted: GenerationMetadata, *, starts_over: bool
) -> RebuildTarget:
    """Choose an unfinished or complete generation with the same definitions that was never live; else a new number.

    An unfinished generation with other definitions, or a rejected one, can never go live and is dropped. A complete
    generation was kept on purpose and stays, unless the replay is to start over.
    """
    states = {number: record.state(is_live=False) for number, record in generations.items() if number != live}
    begun = [number for number, state in states.items() if state in (GenerationState.BUILDING, GenerationState.READY)]
    same = [number for number in begun if _goes_on(generations[number], wanted) and not starts_over]
    chosen = max(same, default=None)
    dropped = [
        number
        for number, state in states.items()
        if number != chosen
        and (state in (GenerationState.BUILDING, GenerationState.REJECTED) or (starts_over and number in begun))
    ]
    if chosen is not None:
        return RebuildTarget(chosen, is_resumed=True, dropped=tuple(dropped))
    return RebuildTarget(max([*generations, live or 0]) + 1, dropped=tuple(dropped))


def seed(store: Store, where: RebuildTarget, record: GenerationMetadata) -> None:
    """Create the generation if it is new, and write its initial batch. Existing data is kept."""
    if not where.is_resumed:
        store.create(where.generation, record)
    open_sink(store, where.generation).write(store.generations()[where.generation].initial_batch)


def _goes_on(begun: GenerationMetadata, wanted: GenerationMetadata) -> bool:
    # Ignore the start offsets and findings of the log: they may have changed since the generation was created, and
    # matter only then.
    return _is_same(begun.contract, wanted.contract) and bool(begun.seed_offsets) == bool(wanted.seed_offsets)


def _is_same(begun: str, wanted: str) -> bool:
    # Ignore the end offsets of records that lack a column: they were determined when the generation was created.
    return begun == wanted or (
        bool(begun and wanted) and parse_definitions(begun).without_ends() == parse_definitions(wanted).without_ends()
    )
