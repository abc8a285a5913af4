"""How a log reaches the read models: in any order, repeatedly, cut into batches, through several workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sinks.ordering.range_tombstone import RangeTombstone
from tests.model_based.connector import Record
from tests.model_based.history import History
from tests.model_based.seeded_choices import Choices

WORKERS = 2
BATCHES = 3
"""How many batches each worker takes."""


@dataclass
class Arrivals:
    """One batch: what arrived, in the order in which it arrived."""

    records: list[Record] = field(default_factory=list)
    range_tombstones: list[RangeTombstone] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.records or self.range_tombstones)


Delivery = Sequence[Sequence[Arrivals]]
"""Per worker, its batches."""


def deliver(history: History, choices: Choices) -> Delivery:
    """Hand everything to some worker at least once: late, twice, or both."""
    told: list[Record | RangeTombstone] = [*history.records, *history.range_tombstones]
    arrivals: list[tuple[int, int, Record | RangeTombstone]] = []
    for index, unit in enumerate(told):
        arrivals.append((index + _delay(choices, len(told)), index, unit))
        if choices.rarely(6):
            arrivals.append((index + _delay(choices, len(told)), index, unit))
    arrivals.sort(key=lambda arrival: arrival[:2])
    batches: dict[int, Arrivals] = defaultdict(Arrivals)
    for _, _, unit in arrivals:
        batch = batches[choices.below(WORKERS * BATCHES)]
        if isinstance(unit, RangeTombstone):
            batch.range_tombstones.append(unit)
        else:
            batch.records.append(unit)
    return [[batches[worker + WORKERS * turn] for turn in range(BATCHES)] for worker in range(WORKERS)]


def _delay(choices: Choices, furthest: int) -> int:
    """None for the first third of all bytes; for the others up to the end of the log."""
    drawn = choices.below(256)
    return max(0, drawn - 85) * furthest // 170
