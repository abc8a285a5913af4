"""Production worker over the whole log, timed from its first assignment until its last change is written."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from bench.log import Log
from pipeline import read_models
from pipeline.config import Settings
from pipeline.ingest.accumulator import BatchAccumulator
from pipeline.ingest.projection import RowProjection
from pipeline.ingest.source import KafkaSource
from pipeline.ingest.worker import Worker
from sinks.batch import Batch, Progress, TopicPartition
from sinks.ordering.fold import compact
from sinks.sink import Sink

GENERATION = 1


@dataclass(frozen=True)
class Duration:
    """Elapsed time, and processor time of this process, in seconds."""

    elapsed_s: float
    cpu_s: float


@dataclass
class Clock:
    """Clock that measures from its first start to its last stop."""

    _started: tuple[float, float] | None = None
    _stopped: tuple[float, float] = (0.0, 0.0)

    def start(self) -> None:
        """Start the clock, unless it is running."""
        self._started = self._started or (time.perf_counter(), time.process_time())

    def stop(self) -> None:
        """Record the time; a later stop replaces it."""
        self._stopped = (time.perf_counter(), time.process_time())

    @property
    def duration(self) -> Duration:
        """Duration from the first start to the last stop."""
        assert self._started is not None
        return Duration(self._stopped[0] - self._started[0], self._stopped[1] - self._started[1])


class Timed:
    """Sink that starts a clock when the source reads its progress, which happens at the assignment of partitions."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.clock = Clock()
        self.reached: dict[TopicPartition, int] = {}

    def prepare(self) -> None:
        self._sink.prepare()

    def progress(self) -> Progress:
        self.clock.start()
        return self._sink.progress()

    def write(self, batch: Batch) -> None:
        self._sink.write(batch)
        if batch.mutations:
            # Ignore later batches without changes: they contain commit markers, which wait for a change before a flush.
            self.clock.stop()
        self.reached.update(batch.span.end)

    def cutover(self) -> None:
        self._sink.cutover()


class Nowhere:
    """Sink that stores only its progress, to measure the worker without a store."""

    def __init__(self) -> None:
        self._progress = Progress()

    def prepare(self) -> None:
        pass

    def progress(self) -> Progress:
        return self._progress

    def write(self, batch: Batch) -> None:
        self._progress = self._progress.advance(batch.span.end)

    def cutover(self) -> None:
        pass


class Folding(Nowhere):
    """Sink that folds rows as the DuckDB sink does, and stores nothing."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._tables = settings.definitions.tables

    def write(self, batch: Batch) -> None:
        for mutations in batch.mutations:
            compact(mutations.changes, self._tables[mutations.target].key)
        super().write(batch)


def carry(model: str, sink: Sink, settings: Settings, log: Log) -> Duration:
    """Apply the whole log to a sink with a worker, as `readmodels run` does.

    Args:
        model: a read model's name, or any other for a projection to rows.
    """
    timed = Timed(sink)
    projection = (
        read_models.projection(model, settings)
        if model in read_models.READ_MODELS
        else RowProjection(settings.definitions)
    )
    group = f"bench.{model}.{uuid.uuid4()}"
    source = KafkaSource(settings.kafka, group, list(log.topics), settings.batches)
    shapes = (
        read_models.shapes(model, settings) if model in read_models.READ_MODELS else settings.definitions.row_shapes()
    )
    accumulator = BatchAccumulator(settings.catch_up, shapes)
    worker = Worker(source, read_models.decoder(settings), projection, timed, settings.definitions.topics, accumulator)
    worker.run(threading.Event(), lambda _: _has_reached(timed.reached, log.ends))
    return timed.clock.duration


def _has_reached(reached: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> bool:
    return all(reached.get(topic_partition, 0) >= end for topic_partition, end in ends.items())
