"""The log once more into the generation that readers see: what is in it already is compared, and changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.kafka import (
    REQUEST_TIMEOUT_S,
    KafkaSettings,
    KafkaUnavailable,
    earliest_offsets,
    end_offsets,
    error_text,
    retry_while_electing,
)
from pipeline import read_models
from pipeline.config import Settings
from pipeline.epochs.offset_sink import open_sink, read_epochs
from pipeline.generations.catch_up import ProgressCallback
from pipeline.ingest.accumulator import BatchAccumulator
from pipeline.ingest.groups import delete_group
from pipeline.ingest.source import KafkaSource
from pipeline.ingest.worker import Worker, caught_up_to
from pipeline.postgres.watermark import Offsets
from sinks.batch import Batch, OffsetRange, Progress
from sinks.errors import GenerationMissing
from sinks.sink import Sink

StartOffsets = Callable[[KafkaSettings, Offsets], Offsets]
"""Says where the reading begins, given where the log ends."""


class DetachedProgressSink:
    """A sink that joins changes into a generation, and says nothing of how far that has got.

    Args:
        starts: where the reading begins.
        look: is told how far it has got.
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
    """A part of the log: from where it is read, and to where."""

    starts: Offsets
    ends: Offsets

    @property
    def record_count(self) -> int:
        """How many offsets it covers; some of them are no records."""
        return sum(max(0, end - self.starts.get(topic_partition, 0)) for topic_partition, end in self.ends.items())


def resolve_range(settings: Settings, starts: StartOffsets) -> LogRange:
    """The log from somewhere to where it ends now.

    Raises:
        KafkaUnavailable: the brokers do not answer.
    """
    # Held by name: the answer of an admin client that is collected never comes.
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
    """No partition has a record at an offset, or behind it."""

    remedy = "Give a smaller offset; `readmodels replay all` says where each partition begins and ends."


def from_offset(offset: int) -> StartOffsets:
    """From one offset in every partition that reaches so far."""

    def starts(_: KafkaSettings, ends: Offsets) -> Offsets:
        if offset > 0 and all(offset >= end for end in ends.values()):
            told = ", ".join(f"{topic}/{partition} at {end}" for (topic, partition), end in sorted(ends.items()))
            raise OffsetBeyondEnd(f"every partition ends before offset {offset}: {told}")
        return dict.fromkeys(ends, offset)

    return starts


def from_datetime(moment: datetime) -> StartOffsets:
    """From the first record of every partition that was written at or after a moment."""

    def starts(kafka: KafkaSettings, ends: Offsets) -> Offsets:
        consumer = Consumer(kafka.with_client(group_id="readmodels.times"))
        milliseconds = int(moment.timestamp() * 1000)
        try:
            asked = [TopicPartition(*topic_partition, milliseconds) for topic_partition in ends]
            found = retry_while_electing(lambda: consumer.offsets_for_times(asked, REQUEST_TIMEOUT_S))
        except KafkaException as error:
            raise KafkaUnavailable(f"cannot find the offsets of {moment.isoformat()}: {error_text(error)}") from error
        finally:
            consumer.close()
        # Below zero: nothing was written since.
        return {
            topic_partition: place.offset if place.offset >= 0 else ends[topic_partition]
            for place in found
            if (topic_partition := (place.topic, place.partition)) in ends
        }

    return starts


def replay_in_place(
    model: str, settings: Settings, part: LogRange, look: ProgressCallback, stop: threading.Event
) -> bool:
    """Join a part of the log into the live generation again, by a reader of its own, until `stop` is set.

    The generation's own progress is not touched, and its workers go on.

    Returns: whether it came to the part's end.

    Raises:
        GenerationMissing: none is live.
    """
    with read_models.STORES[model](settings) as store:
        live = store.live()
        if live is None:
            raise GenerationMissing(f"no generation of {model} is live")
        own = read_models.settings_for(store.generations()[live], settings)
        sink = DetachedProgressSink(open_sink(store, live), part.starts, look)
        # Of its own, so that it shares the partitions with nobody.
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
