"""The generation that a replay fills: a new one, or the one that an interrupted replay has left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.definitions import parse_definitions
from pipeline.epochs.offset_sink import open_sink
from sinks.generation import GenerationMetadata, GenerationState
from sinks.sink import Store


@dataclass(frozen=True)
class RebuildTarget:
    """Where a replay begins.

    Args:
        generation: the one to fill.
        goes_on: whether it was begun before.
        dropped: those that cannot be gone on with.
    """

    generation: int
    is_resumed: bool = False
    dropped: tuple[int, ...] = ()

    def anew(self, generations: Mapping[int, GenerationMetadata]) -> RebuildTarget:
        """The beginning where this generation cannot be gone on with after all."""
        return RebuildTarget(max([self.generation, *generations]) + 1, dropped=(*self.dropped, self.generation))


def choose_target(
    generations: Mapping[int, GenerationMetadata], live: int | None, wanted: GenerationMetadata, *, starts_over: bool
) -> RebuildTarget:
    """Find a generation that is made of the same, and that readers have never seen; else number a new one.

    What is unfinished and made of something else, or was found to differ from the source, can never be shown and is to
    be dropped. What is complete and was kept on purpose stays, unless the replay is to start over.
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
    """Make the generation ready to be filled; nothing that it holds is lost."""
    if not where.is_resumed:
        store.create(where.generation, record)
    open_sink(store, where.generation).write(store.generations()[where.generation].initial_batch)


def _goes_on(begun: GenerationMetadata, wanted: GenerationMetadata) -> bool:
    # Where the log begins may have moved since, and does not matter once the generation has begun; nor does what was
    # found in the log then.
    return _is_same(begun.contract, wanted.contract) and bool(begun.seed_offsets) == bool(wanted.seed_offsets)


def _is_same(begun: str, wanted: str) -> bool:
    # Where the records end that lack a column was found when the generation began, and stays so.
    return begun == wanted or (
        bool(begun and wanted) and parse_definitions(begun).without_ends() == parse_definitions(wanted).without_ends()
    )
