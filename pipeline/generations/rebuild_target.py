"""The generation that a replay fills: a new one, or the one that an interrupted replay has left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.definitions import contract_from
from pipeline.epochs.offset_sink import sink_of
from sinks.generation import Record, State
from sinks.sink import Store


@dataclass(frozen=True)
class Beginning:
    """Where a replay begins.

    Args:
        generation: the one to fill.
        goes_on: whether it was begun before.
        dropped: those that cannot be gone on with.
    """

    generation: int
    goes_on: bool = False
    dropped: tuple[int, ...] = ()

    def anew(self, generations: Mapping[int, Record]) -> Beginning:
        """The beginning where this generation cannot be gone on with after all."""
        return Beginning(max([self.generation, *generations]) + 1, dropped=(*self.dropped, self.generation))


def beginning(generations: Mapping[int, Record], live: int | None, wanted: Record, *, starts_over: bool) -> Beginning:
    """Find a generation that is made of the same, and that readers have never seen; else number a new one.

    What is unfinished and made of something else, or was found to differ from the source, can never be shown and is to
    be dropped. What is complete and was kept on purpose stays, unless the replay is to start over.
    """
    states = {number: record.state(is_live=False) for number, record in generations.items() if number != live}
    begun = [number for number, state in states.items() if state in (State.BUILDING, State.READY)]
    same = [number for number in begun if _goes_on(generations[number], wanted) and not starts_over]
    chosen = max(same, default=None)
    dropped = [
        number
        for number, state in states.items()
        if number != chosen and (state in (State.BUILDING, State.REJECTED) or (starts_over and number in begun))
    ]
    if chosen is not None:
        return Beginning(chosen, goes_on=True, dropped=tuple(dropped))
    return Beginning(max([*generations, live or 0]) + 1, dropped=tuple(dropped))


def begin(store: Store, where: Beginning, record: Record) -> None:
    """Make the generation ready to be filled; nothing that it holds is lost."""
    if not where.goes_on:
        store.create(where.generation, record)
    sink_of(store, where.generation).write(store.generations()[where.generation].seed)


def _goes_on(begun: Record, wanted: Record) -> bool:
    # Where the log begins may have moved since, and does not matter once the generation has begun; nor does what was
    # found in the log then.
    return _is_same(begun.contract, wanted.contract) and bool(begun.seed_offsets) == bool(wanted.seed_offsets)


def _is_same(begun: str, wanted: str) -> bool:
    # Where the records end that lack a column was found when the generation began, and stays so.
    return begun == wanted or (
        bool(begun and wanted) and contract_from(begun).without_ends() == contract_from(wanted).without_ends()
    )
