"""Verification of read models against PostgreSQL at one watermark, during writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Protocol

from pipeline import read_models
from pipeline.config import Settings
from pipeline.ingest.epoch_history import EpochHistory
from pipeline.postgres.database import connect
from pipeline.postgres.watermark import Watermarks
from pipeline.verify.catch_up import CatchUp
from pipeline.verify.comparison_set import ComparisonSet, comparison_sets
from pipeline.verify.readers.reader import ModelReader
from pipeline.verify.recheck import Rechecker
from pipeline.verify.repair import ConfirmedDifference, RepairMode, plan_repairs
from pipeline.verify.result import Differences, RepairSummary, VerifyResult
from pipeline.verify.source.background_read import BackgroundSourceRead
from pipeline.verify.source.reader import SourceReader, open_source_reader, snapshot
from pipeline.verify.staging import ComparisonStore, comparison_store
from sinks.errors import GenerationMissing

Opener = Callable[[Settings, int | None], AbstractContextManager[ModelReader]]

LIVE: Mapping[str, int] = MappingProxyType({})
"""Selection of the live generation of every model."""


class Watcher(Protocol):
    """Callbacks for the progress of a verification, called from several threads."""

    def reading(self, side: str, count: int, expected: int | None) -> None:
        """Report that `count` more items were read from `side`; `expected` is the total, if known."""

    def waiting(self, model: str, lacking_records: int) -> None:
        """Report how many records the model has not applied yet; zero ends the wait."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Scope of a verification.

    Args:
        sample: number of documents, and of rows of each table, chosen at random in PostgreSQL; None for all.
        since: only documents and rows that have a date or timestamp at or after this time; None for all.
        timeout_s: how long a model may take to reach a watermark.
    """

    sample: int | None = None
    since: str | None = None
    timeout_s: float = 120.0

    @property
    def is_everything(self) -> bool:
        """True if every row and document is compared. Otherwise rows that only the model has are not found."""
        return self.sample is None and self.since is None


def reader_for(model: str) -> Opener:
    """Return the function that opens a reader of a model, for the live generation if None is given."""
    opened: Opener = resolve_name(read_models.READ_MODELS[model].reader)
    return opened


def verify(
    models: Iterable[str],
    settings: Settings,
    scope: Scope,
    watcher: Watcher,
    generations: Mapping[str, int] = LIVE,
    mending: RepairMode | None = None,
) -> Iterator[VerifyResult]:
    """Compare models with PostgreSQL, one after the other.

    Args:
        generations: generation by model. A model that is not in it is read through its live names, as readers do.
        mending: what to do about differences; None for nothing.

    Raises:
        CatchUpTimeout: a model did not reach the watermark in time.
        WatermarkTimeout: the connector did not send the watermark to Kafka in time.
        SinkError: a store cannot be read.
        SourceError: PostgreSQL cannot be read.
    """
    asked = [_asked(model, settings, generations.get(model)) for model in models]
    topics = {topic for one in asked for topic in one.settings.definitions.topics}
    watermarks = Watermarks(settings.kafka, settings.connector, settings.connect.url, topics)
    with ExitStack() as open_ones:
        source = open_ones.enter_context(open_source_reader(settings.source.url))
        arrival = CatchUp(watermarks, open_ones.enter_context(connect(settings.source.url)), scope.timeout_s)
        sides = open_ones.enter_context(comparison_store())
        verification = _Verification(source, arrival, sides, watcher, mending)
        if scope.is_everything:
            yield from verification.of_everything(asked)
        else:
            for one in asked:
                yield verification.of_some(one, scope)


@dataclass(frozen=True)
class _Target:
    """Model and generation to verify.

    Args:
        settings: the settings with the definitions of that generation.
        epoch: the ordering epoch of the generation's current records.
    """

    model: str
    generation: int | None
    settings: Settings
    epoch: int

    def shown(self) -> AbstractContextManager[ModelReader]:
        return reader_for(self.model)(self.settings, self.generation)

    @property
    def subjects(self) -> tuple[ComparisonSet, ...]:
        return comparison_sets(read_models.READ_MODELS[self.model].kind, self.settings.definitions)


def _asked(model: str, settings: Settings, generation: int | None) -> _Target:
    with read_models.open_store(model, settings) as store:
        number = store.live() if generation is None else generation
        record = store.generations().get(number) if number is not None else None
    if record is None:
        lacks = "no generation is live" if generation is None else f"there is no generation {generation}"
        raise GenerationMissing(f"{model}: {lacks}")
    return _Target(
        model, generation, read_models.settings_for(record, settings), EpochHistory(record.epochs).ordering_epoch
    )


@dataclass
class _Verification:
    source: SourceReader
    arrival: CatchUp
    scratch: ComparisonStore
    watcher: Watcher
    mending: RepairMode | None

    def of_everything(self, asked: list[_Target]) -> Iterator[VerifyResult]:
        began = time.monotonic()
        with snapshot(self.source.url) as then:
            # Write the watermark after the snapshot: at the watermark, the model holds at least the snapshot's rows.
            watermark = self.arrival.set_watermark()
            expectation = BackgroundSourceRead(
                then, self.scratch, lambda count: self.watcher.reading("postgresql", count, None)
            )
            with expectation.reading(subject for one in asked for subject in one.subjects):
                ends = self.arrival.end_offsets(watermark)
                for one in asked:
                    with one.shown() as shown:
                        arrival = self._arrival(one)
                        arrival.wait(one.model, shown, ends, partial(self.watcher.waiting, one.model))
                        yield self._settled(self._compared(one, shown, expectation), one, shown, began)
                    began = time.monotonic()

    def _compared(self, one: _Target, shown: ModelReader, expectation: BackgroundSourceRead) -> VerifyResult:
        result = VerifyResult(one.model, one.generation)
        for subject in shown.subjects:
            for page in shown.scan(subject):
                self.scratch.add_actual(subject, page)
                self.watcher.reading(one.model, page.num_rows, expectation.documents(shown.subjects))
        for subject in shown.subjects:
            documents, rows = expectation.of(subject)
            result.documents += documents
            result.rows += rows
            self.scratch.compare(subject)
        return result

    def of_some(self, one: _Target, scope: Scope) -> VerifyResult:
        began = time.monotonic()
        result = VerifyResult(one.model, one.generation)
        with one.shown() as shown:
            for subject in shown.subjects:
                keys = self._chosen(subject, scope)
                self.scratch.add_suspects(subject, keys)
                result.documents += len(keys)
            return self._settled(result, one, shown, began)

    def _arrival(self, one: _Target) -> CatchUp:
        return replace(self.arrival, topics=frozenset(one.settings.definitions.topics))

    def _chosen(self, subject: ComparisonSet, scope: Scope) -> list[str]:
        if scope.since is None:
            return self.source.any_keys(subject, scope.sample or 0)
        keys = self.source.keys_since(subject, scope.since)
        return keys if scope.sample is None else keys[: scope.sample]

    def _settled(self, result: VerifyResult, one: _Target, shown: ModelReader, began: float) -> VerifyResult:
        looks = Rechecker(result.model, self.source, shown, self.scratch, self._arrival(one))
        tell = partial(self.watcher.waiting, result.model)
        result.mended = RepairSummary(self.mending.is_executed) if self.mending is not None else None
        for findings in looks.resolve(tell):
            _add(findings, result.found)
            if self.mending is not None and result.mended is not None:
                self._mend(findings, result.mended, self.mending, one, shown)
        if result.mended is not None and result.mended.is_executed:
            self.scratch.dispute_mended()
            for findings in looks.resolve(tell):
                _add(findings, result.mended.remaining)
        result.elapsed_s = time.monotonic() - began
        return result

    def _mend(
        self,
        findings: list[ConfirmedDifference],
        mended: RepairSummary,
        mending: RepairMode,
        one: _Target,
        shown: ModelReader,
    ) -> None:
        if mending.is_executed:
            # Include undecided keys: a recheck may decide them.
            self.scratch.recheck_later(findings[0].subject, [finding.key for finding in findings])
        watermark = findings[0].watermark
        if watermark is None:
            return
        repairs, batch = plan_repairs(findings, watermark, self.source, one.settings.definitions, one.epoch)
        if mending.is_executed:
            shown.sink().write(batch)
        mended.add(repairs)


def _add(findings: list[ConfirmedDifference], found: Differences) -> None:
    for finding in findings:
        for difference in finding.differences:
            found.add(difference)
