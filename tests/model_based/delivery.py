"""Delivery of a log to the read models: in any order, repeatedly, cut into batches, through several workers."""

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
"""The number of batches of each worker."""


@dataclass
class Arrivals:
    """One batch of records, in the order of arrival."""

    records: list[Record] = field(default_factory=list)
    range_tombstones: list[RangeTombstone] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.records or self.range_tombstones)


Delivery = Sequence[Sequence[Arrivals]]
"""The batches of each worker."""


def deliver(history: History, choices: Choices) -> Delivery:
    """Deliver everything to some worker at least once: late, twice, or both."""
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
    """Return a delay: zero for the first third of all bytes, up to the length of the log for the others."""
    drawn = choices.below(256)
    return max(0, drawn - 85) * furthest // 170
