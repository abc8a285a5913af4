"""Target of a worker's writes in a simulation, and its simplest form: a read model that follows a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Protocol

from sinks.batch import OffsetRange, Progress
from sinks.ordering.range_tombstone import RangeTombstones
from sinks.ordering.register import Register
from tests.model_based.delivery import Arrivals
from tests.model_based.projection import DOCUMENTS, ROWS, Name, Projection
from tests.model_based.readmodel import ReadModel, Rule

Step = Callable[[], None]
"""A step of a write, after which a worker may die."""

BOTH = Projection(
    changes=lambda records: chain.from_iterable(form.changes(records) for form in (ROWS, DOCUMENTS)),
    of=lambda source: {**ROWS.of(source), **DOCUMENTS.of(source)},
)
"""Rows and documents in one read model; their names do not overlap."""


class Target(Protocol):
    """One read model that any number of workers write. Its registers hold images."""

    rule: Rule
    projection: Projection

    def progress(self) -> Progress:
        """Return the progress."""

    def steps(self, batch: Arrivals, span: OffsetRange) -> Iterable[Step]:
        """Return the steps of writing a batch."""

    def registers(self) -> Mapping[Name, Register]:
        """Return the stored registers."""

    def fences(self) -> RangeTombstones:
        """Return the stored range tombstones, by table."""


class Pure:
    """Registers, merged by a rule; a test may replace a piece of the rule by a wrong one."""

    def __init__(self, rule: Rule, projection: Projection = BOTH) -> None:
        self.rule = rule
        self.projection = projection
        self.model = ReadModel(rule)
        self._progress = Progress()

    def progress(self) -> Progress:
        return self._progress

    def steps(self, batch: Arrivals, span: OffsetRange) -> Sequence[Step]:
        self._progress.require_contiguous(span)
        folded = self.model.fold(batch, self.projection)
        range_tombstones = list(self.rule.range_tombstones(batch.range_tombstones))
        halves = [dict(list(folded.items())[start::2]) for start in range(2)]
        return [
            *(lambda half=half: self.model.merge(half, []) for half in halves),
            lambda: self.model.merge({}, range_tombstones),
            lambda: self._move(span),
        ]

    def registers(self) -> Mapping[Name, Register]:
        return self.model.registers

    def fences(self) -> RangeTombstones:
        return self.model.range_tombstones

    def _move(self, span: OffsetRange) -> None:
        self._progress = self._progress.advance(span.end)
