"""A generation in the log's own offsets, while its store keeps those that go on growing from epoch to epoch."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.ingest.epoch_history import EpochHistory
from sinks.batch import Batch, OffsetRange, Progress, TopicPartition
from sinks.errors import OffsetGap
from sinks.generation import NO_METADATA
from sinks.sink import Sink, WorkerStore


class OffsetTranslatingSink:
    """A sink whose progress and spans are in the log's offsets; the changes of a batch are placed by its projection."""

    def __init__(self, sink: Sink, epoch_history: EpochHistory) -> None:
        self._sink = sink
        self._epoch_history = epoch_history

    def prepare(self) -> None:
        self._sink.prepare()

    def progress(self) -> Progress:
        stored = self._sink.progress().offsets
        return Progress(self._epoch_history.all_to_log(stored))

    def write(self, batch: Batch) -> None:
        try:
            self._sink.write(Batch(batch.mutations, batch.range_tombstones, self._lifted(batch.span)))
        except OffsetGap as lost:
            raise OffsetGap(
                {
                    topic_partition: self._epoch_history.to_log(topic_partition, at)
                    for topic_partition, at in lost.stored.items()
                }
            ) from lost

    def cutover(self) -> None:
        self._sink.cutover()

    def _lifted(self, span: OffsetRange) -> OffsetRange:
        """The span as it is stored. Where it begins with its epoch, nothing before it was lost, whatever is stored."""
        begin = {
            topic_partition: self._epoch_history.to_stored(offset)
            if offset > self._epoch_history.resumes_at.get(topic_partition, 0)
            else 0
            for topic_partition, offset in span.begin.items()
        }
        return OffsetRange(
            begin,
            {topic_partition: self._epoch_history.to_stored(offset) for topic_partition, offset in span.end.items()},
        )


def open_sink(store: WorkerStore, generation: int) -> Sink:
    """The sink of one generation, in the log's offsets.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    return OffsetTranslatingSink(store.sink(generation), read_epochs(store, generation))


def to_log_offsets(
    store: WorkerStore, generation: int, stored: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """The progress of a generation, as it is stored, in the log's offsets."""
    return read_epochs(store, generation).all_to_log(stored)


def read_epochs(store: WorkerStore, generation: int) -> EpochHistory:
    """The epochs that a generation has been through; none where it is missing, or nobody has fed it."""
    return EpochHistory(store.generations().get(generation, NO_METADATA).epochs)
