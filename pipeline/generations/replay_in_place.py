"""Replay of the log into the live generation. Changes that it already holds are compared and have no effect."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from connectors.kafka import (
    KafkaSettings,
    earliest_offsets,
    end_offsets,
    offsets_at,
)
from pipeline import read_models
from pipeline.catch_up import ProgressCallback
from pipeline.config import Settings
from pipeline.epochs.offset_sink import open_sink, read_epochs
from pipeline.ingest.accumulator import BatchAccumulator
from pipeline.ingest.groups import delete_group
from pipeline.ingest.source import KafkaSource
from pipeline.ingest.worker import Worker, caught_up_to
from sinks.batch import Batch, OffsetRange, Offsets, Progress
from sinks.errors import GenerationMissing
from sinks.sink import Sink

StartOffsets = Callable[[KafkaSettings, Offsets], Offsets]
"""Function that returns the start offsets, given the end offsets of the log."""


class DetachedProgressSink:
    """Sink that merges changes into a generation without recording its progress.

    Args:
        starts: start offsets.
        look: called with the progress after each batch.
    """

    def __init__(self, sink: Sink, starts: Offsets, look: ProgressCallback) -> None:
        self._sink = sink
        self._progress = Progress(starts)
        self._look = look

    def prepare(self) -> None:
        pass

    def progress(self) -> Progress:
        return self._progress

    def write(self, batch: Batch) -> None:
        self._progress.require_contiguous(batch.span)
        self._sink.write(Batch(batch.mutations, batch.range_tombstones, OffsetRange({}, {})))
        self._progress = self._progress.advance(batch.span.end)
        self._look(self._progress)

    def cutover(self) -> None:
        raise NotImplementedError("readers see this generation already")


@dataclass(frozen=True)
class LogRange:
    """Part of the log, given by start and end offsets."""

    starts: Offsets
    ends: Offsets

    @property
    def record_count(self) -> int:
        """Number of offsets in the range; some of them are not records."""
        return sum(max(0, end - self.starts.get(topic_partition, 0)) for topic_partition, end in self.ends.items())


def resolve_range(settings: Settings, starts: StartOffsets) -> LogRange:
    """Return the range from the given start to the current end of the log.

    Raises:
        KafkaUnavailable: the brokers do not answer.
    """
    # Keep a reference: a garbage-collected AdminClient never completes its futures.
    admin = settings.kafka.admin()
    ends = end_offsets(admin, settings.definitions.topics)
    earliest = earliest_offsets(admin, settings.definitions.topics)
    wanted = starts(settings.kafka, ends)
    return LogRange(
        {
            topic_partition: min(end, max(wanted[topic_partition], earliest[topic_partition]))
            for topic_partition, end in ends.items()
        },
        ends,
    )


class OffsetBeyondEnd(ValueError):
    """No partition has a record at or after an offset."""

    remedy = "Give a smaller offset; `readmodels replay all` shows the first and last offset of each partition."


def from_offset(offset: int) -> StartOffsets:
    """Return a function that starts at one offset in every partition that is long enough."""

    def starts(_: KafkaSettings, ends: Offsets) -> Offsets:
        if offset > 0 and all(offset >= end for end in ends.values()):
            told = ", ".join(f"{topic}/{partition} at {end}" for (topic, partition), end in sorted(ends.items()))
            raise OffsetBeyondEnd(f"every partition ends before offset {offset}: {told}")
        return dict.fromkeys(ends, offset)

    return starts


def from_datetime(moment: datetime) -> StartOffsets:
    """Return a function that starts at the first record of every partition written at or after `moment`."""

    def starts(kafka: KafkaSettings, ends: Offsets) -> Offsets:
        found = offsets_at(kafka.admin(), {topic for topic, _ in ends}, moment)
        return {topic_partition: found.get(topic_partition, end) for topic_partition, end in ends.items()}

    return starts


def replay_in_place(
    model: str, settings: Settings, part: LogRange, look: ProgressCallback, stop: threading.Event
) -> bool:
    """Merge a part of the log into the live generation with a separate consumer, until `stop` is set.

    The generation's own progress does not change, and its workers continue.

    Returns: whether the end of the part was reached.

    Raises:
        GenerationMissing: no generation is live.
    """
    with read_models.open_store(model, settings) as store:
        live = store.live()
        if live is None:
            raise GenerationMissing(f"no generation of {model} is live")
        own = read_models.settings_for(store.generations()[live], settings)
        sink = DetachedProgressSink(open_sink(store, live), part.starts, look)
        # Use a separate consumer group so that this consumer gets all partitions.
        group = f"{read_models.consumer_group(model, live)}.in-place.{uuid4().hex[:8]}"
        worker = Worker(
            KafkaSource(own.kafka, group, list(own.definitions.topics), own.batches),
            read_models.decoder(own),
            read_models.projection(model, own, read_epochs(store, live)),
            sink,
            own.definitions.topics,
            BatchAccumulator(own.rebuild, read_models.shapes(model, own)),
        )
        try:
            worker.run(stop, caught_up_to(part.ends))
        finally:
            delete_group(own.kafka, group)
        return caught_up_to(part.ends)(sink)
