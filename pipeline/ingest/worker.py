"""Worker that applies the changes of a log to one generation of one read model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import structlog

from connectors.decode.decoder import DecodedBatch, RejectedRecord
from connectors.errors import UnreadableRecord
from connectors.records import RecordBatch
from pipeline.crash_report import name_records
from pipeline.ingest.accumulator import BatchAccumulator
from pipeline.ingest.buffer import PolledBatch
from pipeline.ingest.projection import Projection
from pipeline.ingest.retry import NotesWaits, Retrier, StopRequested
from pipeline.ingest.source import KafkaSource
from pipeline.worker_settings import NO_ACCUMULATION
from sinks.batch import Batch, OffsetRange, TopicPartition, merge_mutations
from sinks.errors import OffsetGap
from sinks.sink import Sink

log = structlog.get_logger()

PROGRESS_CHECK_INTERVAL_S = 2.0


class RecordDecoder(Protocol):
    """Decoder of one topic's records into envelopes."""

    def decode(self, records: RecordBatch) -> DecodedBatch:
        """Decode records; see `connectors.decode.decoder.Decoder`."""


class RecordRejected(UnreadableRecord):
    """A record of the log cannot be read. The worker stops before it, so that nothing is lost."""


class Worker:
    """Worker with one consumer and one sink.

    Args:
        tables: the table in the definitions of every topic.
        accumulator: joins batches into larger ones.
    """

    def __init__(
        self,
        source: KafkaSource,
        decoder: RecordDecoder,
        projection: Projection,
        sink: Sink,
        tables: Mapping[str, str],
        accumulator: BatchAccumulator | None = None,
    ) -> None:
        self._source = source
        self._decoder = decoder
        self._projection = projection
        self._sink = sink
        self._tables = tables
        self._accumulator = BatchAccumulator(NO_ACCUMULATION, ()) if accumulator is None else accumulator
        self._looks_back_at = time.monotonic() + PROGRESS_CHECK_INTERVAL_S

    def run(
        self,
        stop: threading.Event,
        is_done: Callable[[Sink], bool] = lambda _: False,
        activity: NotesWaits | None = None,
    ) -> None:
        """Apply changes to the sink until `stop` is set or `is_done` returns true, then finish the current batch."""
        patience = Retrier(stop, activity)
        try:
            patience("prepare the store", self._sink.prepare)
            for polled in self._source.batches(stop, after=lambda: patience("read progress", self._sink.progress)):
                if polled.span.end:
                    self._decode_and_project(polled, patience)
                if not self._accumulator.is_empty and self._accumulator.should_flush(len(polled), self._source.lag()):
                    self._write(patience)
                self._check_progress(patience)
                if is_done(self._sink):
                    stop.set()
            if not self._accumulator.is_empty:
                self._write(patience)
        except StopRequested as unfinished:
            log.info("retry cancelled", action=str(unfinished))

    def assigned(self) -> set[TopicPartition]:
        """Return the topic partitions that this process reads for its generation."""
        return set(self._source.positions())

    def _decode_and_project(self, polled: PolledBatch, patience: Retrier) -> None:
        try:
            decoded = patience("decode", lambda: self._decode(polled))
        except Exception:
            # Flush the records before the one that stops the worker, so that readers see them.
            if not self._accumulator.is_empty:
                self._write(patience)
            raise
        self._accumulator.add(self._project(decoded, polled.span))

    def _write(self, patience: Retrier) -> None:
        batch = self._accumulator.flush()
        try:
            patience("write", lambda: self._sink.write(batch))
        except OffsetGap as lost:
            self._rewind(lost)
        except Exception as error:
            name_records(error, batch.span)
            raise
        else:
            # Commit last: a crash above repeats the batch. Repeating is harmless; loss is not.
            self._source.commit(batch.span)

    def _check_progress(self, patience: Retrier) -> None:
        """Check at intervals that the store still has everything written to it, even if no records arrive."""
        if not self._accumulator.is_empty or time.monotonic() < self._looks_back_at:
            return
        progress = patience("read progress", self._sink.progress)
        if lost := progress.below(self._source.positions()):
            self._rewind(OffsetGap(lost))
        self._looks_back_at = time.monotonic() + PROGRESS_CHECK_INTERVAL_S

    def _rewind(self, lost: OffsetGap) -> None:
        log.warning("store rolled back, replaying", reason=str(lost), remedy=lost.remedy)
        self._accumulator.drop()
        self._source.rewind(lost.stored)

    def _decode(self, polled: PolledBatch) -> list[tuple[RecordBatch, DecodedBatch]]:
        decoded = [(records, self._decoder.decode(records)) for records in polled.records]
        rejected = [one for _, answer in decoded for one in answer.rejected]
        if rejected:
            raise RecordRejected(_first_of(rejected))
        return decoded

    def _project(self, decoded: Iterable[tuple[RecordBatch, DecodedBatch]], span: OffsetRange) -> Batch:
        projected = [
            self._projection(self._tables[records.topic], envelopes)
            for records, answer in decoded
            for envelopes in answer.envelopes
        ]
        return Batch(
            merge_mutations(mutations for one in projected for mutations in one.mutations),
            tuple(range_tombstone for one in projected for range_tombstone in one.range_tombstones),
            span,
        )


def _first_of(rejected: list[RejectedRecord]) -> str:
    first = rejected[0]
    others = f", and {len(rejected) - 1} more in this batch" if len(rejected) > 1 else ""
    return f"{first.topic}/{first.partition} offset {first.offset}: {first.reason}{others}"


def caught_up_to(ends: Mapping[TopicPartition, int]) -> Callable[[Sink], bool]:
    """Return a check that a sink has everything below these offsets, regardless of which process wrote it."""

    return lambda sink: not sink.progress().lag(ends)
