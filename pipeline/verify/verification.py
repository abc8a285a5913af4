"""`verify`: read models against PostgreSQL, at one mark, while writes go on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Protocol

import pyarrow.compute as pc

from pipeline.config import Settings
from pipeline.marks import Marks
from pipeline.source_database import connect
from pipeline.verify.arrival import Arrival
from pipeline.verify.difference import Difference, Kind
from pipeline.verify.looks import Looks
from pipeline.verify.scratch import Scratch, scratch
from pipeline.verify.shown import Shown
from pipeline.verify.shown_duckdb import duckdb_shown
from pipeline.verify.shown_elasticsearch import elasticsearch_shown
from pipeline.verify.shown_redis import redis_shown
from pipeline.verify.source_side import Snapshot, SourceSide, snapshot, source_side
from pipeline.verify.subject import Subject, documents, tables

OPENERS: dict[str, Callable[[Settings], AbstractContextManager[Shown]]] = {
    "elasticsearch": elasticsearch_shown,
    "redis": redis_shown,
    "duckdb": duckdb_shown,
}

MOST_NAMED = 10_000
"""Differences of a model that are named; more are counted only."""


class Watcher(Protocol):
    """Is told how a verification goes on."""

    def reading(self, side: str, count: int, expected: int | None) -> None:
        """So many more documents and rows of `postgresql`, or of a model, were read, of so many, if that is known."""

    def waiting(self, model: str, lacking_records: int) -> None:
        """The model has still to take in so many records; zero when it need not be waited for any more."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What to look at.

    Args:
        sample: so many documents and so many rows of each table, chosen at random in PostgreSQL; None for everything.
        since: what has a row with any date or timestamp at or after this time; None for everything.
        timeout_s: how long a model may take to reach a mark.
    """

    sample: int | None = None
    since: str | None = None
    timeout_s: float = 120.0

    @property
    def is_everything(self) -> bool:
        """Whether every row and document is compared; else what only the model has is not looked for."""
        return self.sample is None and self.since is None


@dataclass
class Verdict:
    """What was found in one model.

    Args:
        documents: documents, or rows of tables, that were compared.
        rows: rows of PostgreSQL that they are made of; not counted in a quick look.
        elapsed_s: what the model's side took, with all waiting; PostgreSQL was read before, once for all models.
        differences: the first of them.
    """

    model: str
    documents: int = 0
    rows: int = 0
    elapsed_s: float = 0.0
    counts: Counter[Kind] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def rows_per_s(self) -> float:
        """Rows of PostgreSQL by the time that the model's side took."""
        return self.rows / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def is_equal(self) -> bool:
        """Whether nothing was found."""
        return not self.counts

    def add(self, difference: Difference) -> None:
        """Count a difference, and keep it if it is one of the first."""
        self.counts[difference.kind] += 1
        if len(self.differences) < MOST_NAMED:
            self.differences.append(difference)


def verify(models: Iterable[str], settings: Settings, scope: Scope, watcher: Watcher) -> Iterator[Verdict]:
    """Compare models with PostgreSQL, one after the other.

    Raises:
        ModelBehind: a model did not reach the mark in time.
        MarkNotSeen: nor did the connector.
        SinkError: a store cannot be read.
        SourceError: PostgreSQL cannot be read.
    """
    marks = Marks(settings.kafka, settings.connector, settings.connect.url)
    with ExitStack() as open_ones:
        source = open_ones.enter_context(source_side(settings.source.url))
        arrival = Arrival(marks, open_ones.enter_context(connect(settings.source.url)), scope.timeout_s)
        sides = open_ones.enter_context(scratch())
        verification = _Verification(settings, source, arrival, sides, watcher)
        if scope.is_everything:
            yield from verification.of_everything(list(models))
        else:
            for model in models:
                yield verification.of_some(model, scope)


@dataclass
class _Verification:
    settings: Settings
    source: SourceSide
    arrival: Arrival
    scratch: Scratch
    watcher: Watcher
    rows: Counter[str] = field(default_factory=Counter)
    documents: Counter[str] = field(default_factory=Counter)

    def of_everything(self, models: list[str]) -> Iterator[Verdict]:
        with snapshot(self.settings.source.url) as then:
            # Set after the snapshot was taken: what a model holds at the mark is at least that.
            mark = self.arrival.mark()
            for subject in self._subjects(models):
                self._expect(subject, then)
        ends = self.arrival.ends(mark)
        for model in models:
            began = time.monotonic()
            with OPENERS[model](self.settings) as shown:
                self.arrival.wait(model, shown, ends, partial(self.watcher.waiting, model))
                yield self._settled(self._compared(model, shown), shown, began)

    def _expect(self, subject: Subject, then: Snapshot) -> None:
        for page in then.pages(subject):
            self.scratch.expect(subject, page)
            self.rows[subject.label] += pc.sum(page["rows"]).as_py()
            self.documents[subject.label] += page.num_rows
            self.watcher.reading("postgresql", page.num_rows, None)

    def _compared(self, model: str, shown: Shown) -> Verdict:
        labels = [subject.label for subject in shown.subjects]
        verdict = Verdict(
            model, sum(self.documents[label] for label in labels), sum(self.rows[label] for label in labels)
        )
        for subject in shown.subjects:
            for page in shown.pages(subject):
                self.scratch.show(subject, page)
                self.watcher.reading(model, page.num_rows, verdict.documents)
            self.scratch.compare(subject)
        return verdict

    def of_some(self, model: str, scope: Scope) -> Verdict:
        began = time.monotonic()
        verdict = Verdict(model)
        with OPENERS[model](self.settings) as shown:
            for subject in shown.subjects:
                keys = self._chosen(subject, scope)
                self.scratch.dispute(subject, keys)
                verdict.documents += len(keys)
            return self._settled(verdict, shown, began)

    def _chosen(self, subject: Subject, scope: Scope) -> list[str]:
        if scope.since is None:
            return self.source.any_keys(subject, scope.sample or 0)
        keys = self.source.keys_since(subject, scope.since)
        return keys if scope.sample is None else keys[: scope.sample]

    def _settled(self, verdict: Verdict, shown: Shown, began: float) -> Verdict:
        looks = Looks(verdict.model, self.source, shown, self.scratch, self.arrival)
        for difference in looks.settle(partial(self.watcher.waiting, verdict.model)):
            verdict.add(difference)
        verdict.elapsed_s = time.monotonic() - began
        return verdict

    def _subjects(self, models: list[str]) -> Iterator[Subject]:
        contract = self.settings.contract
        of_documents = documents(contract) if {*models} - {"duckdb"} else ()
        of_tables = tables(contract) if "duckdb" in models else ()
        return chain(of_documents, of_tables)
