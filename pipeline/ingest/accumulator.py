"""Batches joined while records wait, so that catching up costs what is left of the log, not its versions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import pyarrow as pa

from pipeline.worker_settings import AccumulatorSettings
from sinks.batch import Batch, Mutations, OffsetRange, TopicPartition
from sinks.ordering.fold import compact
from sinks.shape import DocumentShape, Shape

Offsets = Mapping[TopicPartition, int]


class BatchAccumulator:
    """The changes that came since the last write. Those of documents are folded: only the last of a part is written.

    Args:
        shapes: what the model is made of. Rows are not folded: every version belongs to the history.
    """

    def __init__(self, settings: AccumulatorSettings, shapes: Iterable[Shape]) -> None:
        self._settings = settings
        self._began_at = self._near_since = 0.0
        self._identities = {one.target: one.register_key for one in shapes if isinstance(one, DocumentShape)}
        self._batch = Batch()
        self._folds_at_bytes = settings.max_bytes

    def configure(self, settings: AccumulatorSettings) -> None:
        """Gather under other settings from now on; another thread may call this."""
        self._settings = settings

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write, not even progress."""
        return not self._batch.span.end

    def add(self, batch: Batch) -> None:
        """Join the batch that comes next in the log."""
        if self.is_empty:
            self._began_at = self._near_since = time.monotonic()
        self._batch = merge_batches(self._batch, batch)
        if self._settings.max_bytes and _bytes_of(self._batch) > self._folds_at_bytes:
            self._batch = self._folded()
            # Not again with every batch that comes: folding costs as much as what is held.
            self._folds_at_bytes = min(2 * _bytes_of(self._batch), 2 * self._settings.max_bytes)

    def should_flush(self, came: int, lag: int) -> bool:
        """Whether to write now.

        Args:
            came: records of the last batch.
            lag: records of the log that were not taken yet.
        """
        settings = self._settings
        if _bytes_of(self._batch) >= settings.max_bytes or _is_over(settings.max_wait_far_behind_s, self._began_at):
            return True
        if lag >= settings.many_records:
            # What readers see is old anyway, and is current sooner the less often it is written.
            self._near_since = time.monotonic()
            return False
        return min(came, lag) < settings.few_records or _is_over(settings.max_wait_s, self._near_since)

    def flush(self) -> Batch:
        """Everything that was gathered; nothing is left."""
        batch = self._folded() if self._settings.max_bytes else self._batch
        self.drop()
        return batch

    def drop(self) -> None:
        """Forget what was gathered."""
        self._batch = Batch()
        self._folds_at_bytes = self._settings.max_bytes

    def _folded(self) -> Batch:
        mutations = tuple(
            Mutations(one.target, _fold(one.changes, self._identities.get(one.target))) for one in self._batch.mutations
        )
        return Batch(mutations, self._batch.range_tombstones, self._batch.span)


def _is_over(limit_s: float | None, since_s: float) -> bool:
    return limit_s is not None and time.monotonic() - since_s >= limit_s


def _fold(changes: pa.Table, identity: Sequence[str] | None) -> pa.Table:
    return changes if identity is None else compact(changes, identity).combine_chunks()


def merge_batches(first: Batch, second: Batch) -> Batch:
    """Two batches as one; the second may hold again what the first does."""
    if not first.span.end:
        return second
    tables: dict[str, list[pa.Table]] = {}
    for one in (*first.mutations, *second.mutations):
        tables.setdefault(one.target, []).append(one.changes)
    mutations = tuple(Mutations(target, pa.concat_tables(changes)) for target, changes in tables.items())
    begin = _each(min, first.span.begin, second.span.begin)
    end = _each(max, first.span.end, second.span.end)
    return Batch(mutations, (*first.range_tombstones, *second.range_tombstones), OffsetRange(begin, end))


def _each(choose: Callable[..., int], one: Offsets, other: Offsets) -> dict[TopicPartition, int]:
    """Of every shard the offset that is chosen, where both have one."""
    return {
        topic_partition: choose(one.get(topic_partition, offset), offset)
        for topic_partition, offset in {**one, **other}.items()
    }


def _bytes_of(batch: Batch) -> int:
    return sum(one.changes.nbytes for one in batch.mutations)
