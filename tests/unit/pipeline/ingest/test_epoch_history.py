"""Tests of records' positions among the epochs of a generation, and of progress in the log's own offsets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline.epochs.offset_sink import OffsetTranslatingSink
from pipeline.ingest.epoch_history import OFFSETS_PER_EPOCH, EpochHistory, for_rebuild
from sinks.batch import Batch, OffsetRange, Progress
from sinks.epoch import Epoch, EpochKind, upsert
from sinks.errors import OffsetGap
from sinks.memory import MemoryStore
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.shape import RowShape
from tests.model_based.connector import TOPICS_BEFORE

TOPIC = "cdc.public.orders"
TOPIC_PARTITIONS = [(TOPIC, partition) for partition in range(3)]
FIRST = Epoch(number=0, kind=EpochKind.FIRST, fingerprint={"topic a": "1"}, opened_at=datetime(2026, 1, 1, tzinfo=UTC))
MOVED = {TOPIC_PARTITIONS[0]: 10, TOPIC_PARTITIONS[1]: 20}
CONTINUED = replace(FIRST, number=1, kind=EpochKind.CONTINUED, begins_at=MOVED, resumes_at=MOVED)
SNAPSHOT = {TOPIC_PARTITIONS[0]: 30, TOPIC_PARTITIONS[1]: 30, TOPIC_PARTITIONS[2]: 30}
RESNAPSHOT = replace(FIRST, number=2, kind=EpochKind.RESNAPSHOT, begins_at=SNAPSHOT, resumes_at=SNAPSHOT)
SWEEP = RangeTombstone(scope="orders", kind=TombstoneKind.SNAPSHOT_END, epoch=2, commit_lsn=7, lsn=7)
LIVES = EpochHistory((FIRST, CONTINUED, RESNAPSHOT))


def placed(epoch_history: EpochHistory, *places: tuple[int, int]) -> list[tuple[int, int, int]]:
    """Return for each partition and offset: the leading epoch, the number of epochs added, and the offset."""
    partitions, offsets = (np.array(column, np.int64) for column in zip(*places, strict=True))
    leading, stored = epoch_history.order_keys(TOPIC, partitions, offsets)
    return [
        (epoch, *divmod(offset, OFFSETS_PER_EPOCH))
        for epoch, offset in zip(leading.tolist(), stored.tolist(), strict=True)
    ]


def test_the_offsets_of_another_log_are_lifted_as_the_histories_have_it() -> None:
    assert OFFSETS_PER_EPOCH == TOPICS_BEFORE


def test_a_generation_of_one_epoch_has_the_log_s_offsets() -> None:
    for epoch_history in (EpochHistory(), EpochHistory((FIRST,))):
        assert placed(epoch_history, (0, 0), (2, 99)) == [(0, 0, 0), (0, 0, 99)]
        assert epoch_history.all_to_log({TOPIC_PARTITIONS[0]: 5}) == {TOPIC_PARTITIONS[0]: 5}


def test_a_record_belongs_to_the_last_epoch_that_begins_at_or_before_it() -> None:
    assert placed(LIVES, (0, 9), (0, 10), (0, 29), (0, 30)) == [(0, 0, 9), (0, 1, 10), (0, 1, 29), (2, 2, 30)]


def test_a_partition_that_was_added_begins_in_the_epoch_that_it_was_added_for() -> None:
    assert placed(LIVES, (2, 0), (2, 30)) == [(0, 1, 0), (2, 2, 30)]


def test_only_a_snapshot_leads_the_order() -> None:
    assert [EpochHistory(LIVES.epochs[:count]).ordering_epoch for count in (1, 2, 3)] == [0, 0, 2]
    assert EpochHistory(LIVES.epochs[:2]).begins_at() == {}
    assert LIVES.begins_at() == SNAPSHOT


def test_a_continued_epoch_is_as_complete_as_the_one_before_it() -> None:
    settled = FIRST.with_snapshot_complete(7, (SWEEP,))
    assert EpochHistory((settled, CONTINUED)).completed_snapshot_epoch == settled
    assert EpochHistory((settled, CONTINUED, RESNAPSHOT)).completed_snapshot_epoch is None
    assert [EpochHistory((settled, CONTINUED, RESNAPSHOT)).is_settled(number) for number in range(3)] == [
        True,
        True,
        False,
    ]


def test_progress_starts_where_the_epoch_resumes_until_it_is_further() -> None:
    stored = {TOPIC_PARTITIONS[0]: 999, TOPIC_PARTITIONS[1]: 2 * OFFSETS_PER_EPOCH + 31}
    assert LIVES.all_to_log(stored) == {TOPIC_PARTITIONS[0]: 30, TOPIC_PARTITIONS[1]: 31, TOPIC_PARTITIONS[2]: 30}


def test_a_generation_that_is_built_from_the_log_reads_all_of_it() -> None:
    built = EpochHistory(for_rebuild(LIVES.epochs))
    assert placed(built, (0, 9), (0, 30)) == placed(LIVES, (0, 9), (0, 30))
    assert built.all_to_log({}) == {}


def test_records_of_one_epoch_by_two_workers_are_merged() -> None:
    epochs = upsert(upsert((), FIRST), CONTINUED)
    assert upsert(epochs, RESNAPSHOT) == LIVES.epochs
    assert upsert((FIRST,), RESNAPSHOT) == (FIRST,), "one that skips a number is left out"
    late = replace(FIRST, fingerprint={"topic a": "2", "source system": "7"})
    assert upsert(epochs, late)[0].fingerprint == {"topic a": "1", "source system": "7"}
    settled = upsert(epochs, FIRST.with_snapshot_complete(7, (SWEEP,)))
    assert upsert(settled, FIRST) == settled
    assert (settled[0].is_settled, settled[0].snapshot_lsn, settled[0].fences) == (True, 7, (SWEEP,))


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore([RowShape("orders", ("id",), {"id": "bigint"})])
    made.sink(1).prepare()
    return made


def test_a_batch_that_begins_with_its_epoch_is_taken_whatever_is_stored(store: MemoryStore) -> None:
    OffsetTranslatingSink(store.sink(1), EpochHistory()).write(
        Batch(span=OffsetRange({TOPIC_PARTITIONS[0]: 0}, {TOPIC_PARTITIONS[0]: 12}))
    )
    sink = OffsetTranslatingSink(store.sink(1), EpochHistory((FIRST, CONTINUED)))
    assert sink.progress() == Progress(MOVED)
    sink.write(
        Batch(
            span=OffsetRange(
                {TOPIC_PARTITIONS[0]: 10, TOPIC_PARTITIONS[2]: 0}, {TOPIC_PARTITIONS[0]: 11, TOPIC_PARTITIONS[2]: 1}
            )
        )
    )
    assert sink.progress() == Progress({TOPIC_PARTITIONS[0]: 11, TOPIC_PARTITIONS[1]: 20, TOPIC_PARTITIONS[2]: 1})


def test_a_store_that_lost_an_epoch_is_replayed_from_where_the_epoch_resumes(store: MemoryStore) -> None:
    OffsetTranslatingSink(store.sink(1), EpochHistory()).write(
        Batch(span=OffsetRange({TOPIC_PARTITIONS[0]: 0}, {TOPIC_PARTITIONS[0]: 12}))
    )
    sink = OffsetTranslatingSink(store.sink(1), EpochHistory((FIRST, CONTINUED)))
    with pytest.raises(OffsetGap) as lost:
        sink.write(Batch(span=OffsetRange({TOPIC_PARTITIONS[0]: 11}, {TOPIC_PARTITIONS[0]: 13})))
    assert lost.value.stored == {TOPIC_PARTITIONS[0]: 10}
