"""Translation between log offsets and the stored offsets of a generation, which grow from epoch to epoch."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.ingest.epoch_history import EpochHistory
from sinks.batch import Batch, OffsetRange, Progress, TopicPartition
from sinks.errors import OffsetGap
from sinks.generation import NO_METADATA
from sinks.sink import Sink, WorkerStore


class OffsetTranslatingSink:
    """Sink whose progress and offset ranges are in log offsets. The projection translates the offsets of changes."""

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
        """Return the stored offset range. If it starts an epoch, its begin is zero, so that no gap is reported."""
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
    """Open the sink of one generation, in log offsets.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    return OffsetTranslatingSink(store.sink(generation), read_epochs(store, generation))


def to_log_offsets(
    store: WorkerStore, generation: int, stored: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Convert the stored progress of a generation to log offsets."""
    return read_epochs(store, generation).all_to_log(stored)


def read_epochs(store: WorkerStore, generation: int) -> EpochHistory:
    """Read the epochs of a generation; empty if it is missing or was never written."""
    return EpochHistory(store.generations().get(generation, NO_METADATA).epochs)
