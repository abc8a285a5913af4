"""Carries the changes of a log into one generation of one read model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import pyarrow as pa
import structlog

from connectors.decode.decoder import Decoded, Rejected
from connectors.errors import BadRecord
from connectors.records import Records
from pipeline.crash_report import name_records
from pipeline.ingest.accumulator import Gathered
from pipeline.ingest.buffer import RawBatch
from pipeline.ingest.projection import Projected, Projection
from pipeline.ingest.retry import GivenUp, NotesWaits, Patience
from pipeline.ingest.source import Source
from pipeline.worker_settings import NOTHING_GATHERED
from sinks.batch import Batch, Mutations, Shard, Span
from sinks.errors import ProgressLost
from sinks.ordering.range_tombstone import Fence
from sinks.sink import Sink

log = structlog.get_logger()

LOOK_BACK_EVERY_S = 2.0


class Decodes(Protocol):
    """Turns records of one topic into envelopes."""

    def decode(self, records: Records) -> Decoded:
        """See `connectors.decode.decoder.Decoder`."""


class RecordRejected(BadRecord):
    """A record of the log cannot be read; the worker stops before it, so that nothing is lost."""


class Worker:
    """One consumer, one sink.

    Args:
        tables: the contract's table of every topic.
        gathered: what joins batches into larger ones.
    """

    def __init__(
        self,
        source: Source,
        decoder: Decodes,
        projection: Projection,
        sink: Sink,
        tables: Mapping[str, str],
        gathered: Gathered | None = None,
    ) -> None:
        self._source = source
        self._decoder = decoder
        self._projection = projection
        self._sink = sink
        self._tables = tables
        self._gathered = Gathered(NOTHING_GATHERED, ()) if gathered is None else gathered
        self._looks_back_at = time.monotonic() + LOOK_BACK_EVERY_S

    def run(
        self,
        until: threading.Event,
        is_done: Callable[[Sink], bool] = lambda _: False,
        activity: NotesWaits | None = None,
    ) -> None:
        """Carry changes to the sink until `until` is set or `is_done` says so, then finish the batch in hand."""
        patience = Patience(until, activity)
        try:
            patience("prepare the store", self._sink.prepare)
            for polled in self._source.batches(until, after=lambda: patience("read progress", self._sink.progress)):
                if polled.span.end:
                    self._take_in(polled, patience)
                if not self._gathered.is_empty and self._gathered.is_due(len(polled), self._source.lag()):
                    self._write(patience)
                self._look_back(patience)
                if is_done(self._sink):
                    until.set()
            if not self._gathered.is_empty:
                self._write(patience)
        except GivenUp as unfinished:
            log.info("ended while waiting", action=str(unfinished))

    def held(self) -> set[Shard]:
        """The shards that this process reads for its generation."""
        return set(self._source.positions())

    def _take_in(self, polled: RawBatch, patience: Patience) -> None:
        try:
            decoded = patience("decode", lambda: self._decode(polled))
        except Exception:
            # What came before the record that stops the worker is not lost, and is shown.
            if not self._gathered.is_empty:
                self._write(patience)
            raise
        self._gathered.add(self._project(decoded, polled.span))

    def _write(self, patience: Patience) -> None:
        batch = self._gathered.take()
        try:
            patience("write", lambda: self._sink.write(batch))
        except ProgressLost as lost:
            self._rewind(lost)
        except Exception as error:
            name_records(error, batch.span)
            raise
        else:
            # Last on purpose: a crash above repeats the batch. Repeating is harmless; loss is not.
            self._source.commit(batch.span)

    def _look_back(self, patience: Patience) -> None:
        """See now and then whether the store still holds all that it was given, also where nothing new comes."""
        if not self._gathered.is_empty or time.monotonic() < self._looks_back_at:
            return
        progress = patience("read progress", self._sink.progress)
        given = self._source.positions()
        lost = {shard: progress.of(shard) for shard, offset in given.items() if progress.of(shard) < offset}
        if lost:
            self._rewind(ProgressLost(lost))
        self._looks_back_at = time.monotonic() + LOOK_BACK_EVERY_S

    def _rewind(self, lost: ProgressLost) -> None:
        log.warning("the store has gone back", reason=str(lost), remedy=lost.remedy)
        self._gathered.drop()
        self._source.rewind(lost.stored)

    def _decode(self, polled: RawBatch) -> list[tuple[Records, Decoded]]:
        decoded = [(records, self._decoder.decode(records)) for records in polled.records]
        rejected = [one for _, answer in decoded for one in answer.rejected]
        if rejected:
            raise RecordRejected(_first_of(rejected))
        return decoded

    def _project(self, decoded: Iterable[tuple[Records, Decoded]], span: Span) -> Batch:
        projected = [
            self._projection(self._tables[records.topic], envelopes)
            for records, answer in decoded
            for envelopes in answer.envelopes
        ]
        return Batch(_merged(projected), _fences(projected), span)


def _merged(projected: Iterable[Projected]) -> tuple[Mutations, ...]:
    """One table of changes per target."""
    tables: dict[str, list[pa.Table]] = {}
    for one in projected:
        for mutations in one.mutations:
            tables.setdefault(mutations.target, []).append(mutations.changes)
    return tuple(Mutations(target, pa.concat_tables(changes)) for target, changes in tables.items())


def _fences(projected: Iterable[Projected]) -> tuple[Fence, ...]:
    return tuple(fence for one in projected for fence in one.fences)


def _first_of(rejected: list[Rejected]) -> str:
    first = rejected[0]
    others = f", and {len(rejected) - 1} more in this batch" if len(rejected) > 1 else ""
    return f"{first.topic}/{first.partition} offset {first.offset}: {first.reason}{others}"


def has_reached(ends: Mapping[Shard, int]) -> Callable[[Sink], bool]:
    """Whether a sink holds everything below these offsets, whoever wrote it."""

    def is_done(sink: Sink) -> bool:
        progress = sink.progress()
        return all(progress.of(shard) >= end for shard, end in ends.items())

    return is_done
