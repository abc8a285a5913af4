"""Accumulator that joins batches while records wait: catching up then writes only the latest version of each part."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from pipeline.worker_settings import AccumulatorSettings
from sinks.batch import Batch, OffsetRange, Offsets, TopicPartition, merge_mutations
from sinks.shape import DocumentShape, Shape


class BatchAccumulator:
    """Accumulator of the changes since the last flush. Document changes are compacted: only the last change of a part
    is written.

    Args:
        shapes: shapes of the model. Rows are not compacted, because every version belongs to the history.
    """

    def __init__(self, settings: AccumulatorSettings, shapes: Iterable[Shape]) -> None:
        self._settings = settings
        self._began_at = self._near_since = 0.0
        self._identities = {one.target: one.register_key for one in shapes if isinstance(one, DocumentShape)}
        self._batch = Batch()
        self._folds_at_bytes = settings.max_bytes

    def configure(self, settings: AccumulatorSettings) -> None:
        """Replace the settings from now on. Another thread may call this method."""
        self._settings = settings

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to write, not even progress."""
        return not self._batch.span.end

    def add(self, batch: Batch) -> None:
        """Join the next batch of the log."""
        if self.is_empty:
            self._began_at = self._near_since = time.monotonic()
        self._batch = merge_batches(self._batch, batch)
        if self._settings.max_bytes and _bytes_of(self._batch) > self._folds_at_bytes:
            self._batch = self._folded()
            # Double the threshold: compacting at every batch would cost as much as all accumulated changes each time.
            self._folds_at_bytes = min(2 * _bytes_of(self._batch), 2 * self._settings.max_bytes)

    def should_flush(self, came: int, lag: int) -> bool:
        """Return whether to write now.

        Args:
            came: number of records in the last batch.
            lag: number of records in the log that were not consumed yet.
        """
        settings = self._settings
        if _bytes_of(self._batch) >= settings.max_bytes or _is_over(settings.max_wait_far_behind_s, self._began_at):
            return True
        if lag >= settings.many_records:
            # The read model is stale anyway. Fewer, larger writes let it catch up sooner.
            self._near_since = time.monotonic()
            return False
        return min(came, lag) < settings.few_records or _is_over(settings.max_wait_s, self._near_since)

    def flush(self) -> Batch:
        """Return and clear everything accumulated."""
        batch = self._folded() if self._settings.max_bytes else self._batch
        self.drop()
        return batch

    def drop(self) -> None:
        """Discard everything accumulated."""
        self._batch = Batch()
        self._folds_at_bytes = self._settings.max_bytes

    def _folded(self) -> Batch:
        mutations = tuple(
            one.fold(self._identities[one.target]) if one.target in self._identities else one
            for one in self._batch.mutations
        )
        return Batch(mutations, self._batch.range_tombstones, self._batch.span)


def _is_over(limit_s: float | None, since_s: float) -> bool:
    return limit_s is not None and time.monotonic() - since_s >= limit_s


def merge_batches(first: Batch, second: Batch) -> Batch:
    """Merge two batches. The second may repeat changes of the first."""
    if not first.span.end:
        return second
    mutations = merge_mutations((*first.mutations, *second.mutations))
    begin = _each(min, first.span.begin, second.span.begin)
    end = _each(max, first.span.end, second.span.end)
    return Batch(mutations, (*first.range_tombstones, *second.range_tombstones), OffsetRange(begin, end))


def _each(choose: Callable[..., int], one: Offsets, other: Offsets) -> dict[TopicPartition, int]:
    """Combine two offset maps: the chosen offset if both have the topic partition, else the one that exists."""
    return {
        topic_partition: choose(one.get(topic_partition, offset), offset)
        for topic_partition, offset in {**one, **other}.items()
    }


def _bytes_of(batch: Batch) -> int:
    return sum(one.changes.nbytes for one in batch.mutations)
