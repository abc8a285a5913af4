"""A generation in the log's own offsets, while its store keeps those that go on growing from epoch to epoch."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.ingest.epoch_history import Lives
from sinks.batch import Batch, Progress, Shard, Span
from sinks.errors import ProgressLost
from sinks.generation import UNKNOWN
from sinks.sink import Generations, Sink


class Lifted:
    """A sink whose progress and spans are in the log's offsets; the changes of a batch are placed by its projection."""

    def __init__(self, sink: Sink, lives: Lives) -> None:
        self._sink = sink
        self._lives = lives

    def prepare(self) -> None:
        self._sink.prepare()

    def progress(self) -> Progress:
        stored = self._sink.progress().offsets
        return Progress(self._lives.all_in_log(stored))

    def write(self, batch: Batch) -> None:
        try:
            self._sink.write(Batch(batch.mutations, batch.fences, self._lifted(batch.span)))
        except ProgressLost as lost:
            raise ProgressLost({shard: self._lives.in_log(shard, at) for shard, at in lost.stored.items()}) from lost

    def cutover(self) -> None:
        self._sink.cutover()

    def _lifted(self, span: Span) -> Span:
        """The span as it is stored. Where it begins with its epoch, nothing before it was lost, whatever is stored."""
        begin = {
            shard: self._lives.stored(offset) if offset > self._lives.resumes_at.get(shard, 0) else 0
            for shard, offset in span.begin.items()
        }
        return Span(begin, {shard: self._lives.stored(offset) for shard, offset in span.end.items()})


def sink_of(store: Generations, generation: int) -> Sink:
    """The sink of one generation, in the log's offsets.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    return Lifted(store.sink(generation), lives_of(store, generation))


def in_log(store: Generations, generation: int, stored: Mapping[Shard, int]) -> dict[Shard, int]:
    """The progress of a generation, as it is stored, in the log's offsets."""
    return lives_of(store, generation).all_in_log(stored)


def lives_of(store: Generations, generation: int) -> Lives:
    """The epochs that a generation has been through; none where it is missing, or nobody has fed it."""
    return Lives(store.generations().get(generation, UNKNOWN).epochs)
