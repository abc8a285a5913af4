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
    reason_of,
    retry_while_electing,
)
from pipeline import read_models
from pipeline.config import Settings
from pipeline.epochs.offset_sink import lives_of, sink_of
from pipeline.generations.catch_up import Look
from pipeline.ingest.accumulator import Gathered
from pipeline.ingest.groups import forget_group
from pipeline.ingest.source import Source
from pipeline.ingest.worker import Worker, has_reached
from pipeline.postgres.watermark import Offsets
from sinks.batch import Batch, Progress, Span
from sinks.errors import GenerationMissing
from sinks.sink import Sink

Starts = Callable[[KafkaSettings, Offsets], Offsets]
"""Says where the reading begins, given where the log ends."""


class WithProgressOfItsOwn:
    """A sink that joins changes into a generation, and says nothing of how far that has got.

    Args:
        starts: where the reading begins.
        look: is told how far it has got.
    """

    def __init__(self, sink: Sink, starts: Offsets, look: Look) -> None:
        self._sink = sink
        self._progress = Progress(starts)
        self._look = look

    def prepare(self) -> None:
        pass

    def progress(self) -> Progress:
        return self._progress

    def write(self, batch: Batch) -> None:
        self._progress.require(batch.span)
        self._sink.write(Batch(batch.mutations, batch.fences, Span({}, {})))
        self._progress = self._progress.moved_to(batch.span.end)
        self._look(self._progress)

    def cutover(self) -> None:
        raise NotImplementedError("readers see this generation already")


@dataclass(frozen=True)
class Stretch:
    """A part of the log: from where it is read, and to where."""

    starts: Offsets
    ends: Offsets

    @property
    def record_count(self) -> int:
        """How many offsets it covers; some of them are no records."""
        return sum(max(0, end - self.starts.get(shard, 0)) for shard, end in self.ends.items())


def stretch(settings: Settings, starts: Starts) -> Stretch:
    """The log from somewhere to where it ends now.

    Raises:
        KafkaUnavailable: the brokers do not answer.
    """
    # Held by name: the answer of an admin client that is collected never comes.
    admin = settings.kafka.admin()
    ends = end_offsets(admin, settings.contract.topics)
    earliest = earliest_offsets(admin, settings.contract.topics)
    wanted = starts(settings.kafka, ends)
    return Stretch({shard: min(end, max(wanted[shard], earliest[shard])) for shard, end in ends.items()}, ends)


class OffsetBeyondEnd(ValueError):
    """No partition has a record at an offset, or behind it."""

    remedy = "Give a smaller offset; `readmodels replay all` says where each partition begins and ends."


def from_offset(offset: int) -> Starts:
    """From one offset in every partition that reaches so far."""

    def starts(_: KafkaSettings, ends: Offsets) -> Offsets:
        if offset > 0 and all(offset >= end for end in ends.values()):
            told = ", ".join(f"{topic}/{partition} at {end}" for (topic, partition), end in sorted(ends.items()))
            raise OffsetBeyondEnd(f"every partition ends before offset {offset}: {told}")
        return dict.fromkeys(ends, offset)

    return starts


def from_datetime(moment: datetime) -> Starts:
    """From the first record of every partition that was written at or after a moment."""

    def starts(kafka: KafkaSettings, ends: Offsets) -> Offsets:
        consumer = Consumer(kafka.with_client(group_id="readmodels.times"))
        milliseconds = int(moment.timestamp() * 1000)
        try:
            asked = [TopicPartition(*shard, milliseconds) for shard in ends]
            found = retry_while_electing(lambda: consumer.offsets_for_times(asked, REQUEST_TIMEOUT_S))
        except KafkaException as error:
            raise KafkaUnavailable(f"cannot find the offsets of {moment.isoformat()}: {reason_of(error)}") from error
        finally:
            consumer.close()
        # Below zero: nothing was written since.
        return {
            shard: place.offset if place.offset >= 0 else ends[shard]
            for place in found
            if (shard := (place.topic, place.partition)) in ends
        }

    return starts


def replay_in_place(model: str, settings: Settings, part: Stretch, look: Look, until: threading.Event) -> bool:
    """Join a part of the log into the live generation again, by a reader of its own, until `until` is set.

    The generation's own progress is not touched, and its workers go on.

    Returns: whether it came to the part's end.

    Raises:
        GenerationMissing: none is live.
    """
    with read_models.STORES[model](settings) as store:
        live = store.live()
        if live is None:
            raise GenerationMissing(f"no generation of {model} is live")
        own = read_models.settings_of(store.generations()[live], settings)
        sink = WithProgressOfItsOwn(sink_of(store, live), part.starts, look)
        # Of its own, so that it shares the partitions with nobody.
        group = f"{read_models.group(model, live)}.in-place.{uuid4().hex[:8]}"
        worker = Worker(
            Source(own.kafka, group, list(own.contract.topics), own.batches),
            read_models.decoder(own),
            read_models.projection(model, own, lives_of(store, live)),
            sink,
            own.contract.topics,
            Gathered(own.rebuild, read_models.shapes(model, own)),
        )
        try:
            worker.run(until, has_reached(part.ends))
        finally:
            forget_group(own.kafka, group)
        return has_reached(part.ends)(sink)
