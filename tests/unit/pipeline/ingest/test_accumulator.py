"""Tests of batches that are merged before they are written."""

from __future__ import annotations

import pyarrow as pa

from pipeline.ingest.accumulator import BatchAccumulator, merge_batches
from pipeline.worker_settings import CAUGHT_UP_RECORDS, FAR_BEHIND_RECORDS, AccumulatorSettings
from sinks.batch import PART_COLUMNS, Batch, Mutations, OffsetRange
from sinks.ordering.columns import ORDER_COLUMNS
from sinks.shape import DocumentShape, RowShape

TOPIC_PARTITION = ("cdc.public.orders", 0)
DOCUMENT = DocumentShape("orders", {"id": "bigint"})
ROW = RowShape("orders", ("id",), {"id": "bigint"})


def parts(first: int, count: int, keys: int) -> Batch:
    """Return `count` changes of `keys` documents at successive offsets, each newer than those before."""
    offsets = range(first, first + count)
    place = {
        "_epoch": [0] * count,
        "_is_snapshot": [False] * count,
        "_commit_lsn": list(offsets),
        "_lsn": list(offsets),
        "_tie": [0] * count,
        "_offset": list(offsets),
        "_partition": [0] * count,
        "_deleted": [False] * count,
    }
    names = {
        "key": [str(n % keys) for n in offsets],
        "part": [""] * count,
        "image": [f'{{"id":{n % keys}}}' for n in offsets],
    }
    changes = pa.table({**place, **names}, pa.schema([*ORDER_COLUMNS, *PART_COLUMNS]))
    return Batch(
        (Mutations("orders", changes),), (), OffsetRange({TOPIC_PARTITION: first}, {TOPIC_PARTITION: first + count})
    )


def test_with_default_settings_every_batch_is_due_at_once() -> None:
    accumulator = BatchAccumulator(AccumulatorSettings(), [DOCUMENT])
    batch = parts(0, CAUGHT_UP_RECORDS, keys=5)
    accumulator.add(batch)
    assert accumulator.should_flush(CAUGHT_UP_RECORDS, CAUGHT_UP_RECORDS)
    assert accumulator.flush() is batch
    assert accumulator.is_empty


def test_only_the_last_change_of_a_part_is_written() -> None:
    accumulator = BatchAccumulator(AccumulatorSettings(max_bytes=2**30), [DOCUMENT])
    for first in range(0, 10 * CAUGHT_UP_RECORDS, CAUGHT_UP_RECORDS):
        accumulator.add(parts(first, CAUGHT_UP_RECORDS, keys=7))
        assert not accumulator.should_flush(CAUGHT_UP_RECORDS, CAUGHT_UP_RECORDS)
    written = accumulator.flush()
    (mutations,) = written.mutations
    assert mutations.changes.num_rows == 7
    assert mutations.changes["_offset"].to_pylist() == list(range(10 * CAUGHT_UP_RECORDS - 7, 10 * CAUGHT_UP_RECORDS))
    assert written.span == OffsetRange({TOPIC_PARTITION: 0}, {TOPIC_PARTITION: 10 * CAUGHT_UP_RECORDS})


def test_changes_that_the_projection_has_folded_are_folded_again_only_if_batches_were_joined() -> None:
    (folded,) = (one.fold(DOCUMENT.register_key) for one in parts(0, CAUGHT_UP_RECORDS, keys=7).mutations)
    accumulator = BatchAccumulator(AccumulatorSettings(max_bytes=2**30), [DOCUMENT])
    accumulator.add(Batch((folded,), (), OffsetRange({TOPIC_PARTITION: 0}, {TOPIC_PARTITION: CAUGHT_UP_RECORDS})))
    alone = accumulator.flush()
    assert alone.mutations == (folded,)
    assert alone.folded_parts(DOCUMENT).equals(folded.changes)
    accumulator.add(alone)
    accumulator.add(parts(CAUGHT_UP_RECORDS, CAUGHT_UP_RECORDS, keys=7))
    (joined,) = accumulator.flush().mutations
    assert joined.is_folded
    assert joined.changes["_offset"].to_pylist() == list(range(2 * CAUGHT_UP_RECORDS - 7, 2 * CAUGHT_UP_RECORDS))


def test_every_version_of_a_row_is_written_for_the_history() -> None:
    accumulator = BatchAccumulator(AccumulatorSettings(max_bytes=2**30), [ROW])
    for first in (0, CAUGHT_UP_RECORDS):
        accumulator.add(parts(first, CAUGHT_UP_RECORDS, keys=7))
    (mutations,) = accumulator.flush().mutations
    assert mutations.changes.num_rows == 2 * CAUGHT_UP_RECORDS


def test_accumulated_changes_are_limited_by_their_size_after_folding() -> None:
    limit = parts(0, CAUGHT_UP_RECORDS, keys=CAUGHT_UP_RECORDS).mutations[0].changes.nbytes
    accumulator = BatchAccumulator(AccumulatorSettings(max_bytes=limit), [DOCUMENT])
    for first in range(0, 50 * CAUGHT_UP_RECORDS, CAUGHT_UP_RECORDS):
        accumulator.add(parts(first, CAUGHT_UP_RECORDS, keys=10))
        assert not accumulator.should_flush(CAUGHT_UP_RECORDS, CAUGHT_UP_RECORDS), (
            "ten documents never fill it, however many their versions"
        )
    for first in range(50 * CAUGHT_UP_RECORDS, 53 * CAUGHT_UP_RECORDS, CAUGHT_UP_RECORDS):
        accumulator.add(parts(first, CAUGHT_UP_RECORDS, keys=10 * CAUGHT_UP_RECORDS))
    assert accumulator.should_flush(CAUGHT_UP_RECORDS, CAUGHT_UP_RECORDS)


def test_a_worker_that_has_caught_up_does_not_wait() -> None:
    accumulator = BatchAccumulator(AccumulatorSettings(max_bytes=2**30), [DOCUMENT])
    accumulator.add(parts(0, 3, keys=3))
    assert accumulator.should_flush(3, CAUGHT_UP_RECORDS)
    accumulator.add(parts(3, CAUGHT_UP_RECORDS, keys=3))
    assert not accumulator.should_flush(CAUGHT_UP_RECORDS, CAUGHT_UP_RECORDS)
    assert accumulator.should_flush(0, CAUGHT_UP_RECORDS), "nothing came after it"
    assert accumulator.should_flush(CAUGHT_UP_RECORDS, 3), "nothing is left to be joined to it"


def test_a_change_is_held_no_longer_than_it_may_be() -> None:
    accumulator = BatchAccumulator(AccumulatorSettings(max_bytes=2**30, max_wait_s=0.0), [DOCUMENT])
    accumulator.add(parts(0, CAUGHT_UP_RECORDS, keys=3))
    assert accumulator.should_flush(CAUGHT_UP_RECORDS, CAUGHT_UP_RECORDS)


def test_far_behind_it_is_written_neither_for_a_poll_of_few_nor_after_the_time_that_keeps_it_fresh() -> None:
    accumulator = BatchAccumulator(
        AccumulatorSettings(max_bytes=2**30, max_wait_s=0.0, max_wait_far_behind_s=3600.0), [DOCUMENT]
    )
    accumulator.add(parts(0, 3, keys=3))
    assert not accumulator.should_flush(0, FAR_BEHIND_RECORDS)
    assert accumulator.should_flush(0, FAR_BEHIND_RECORDS - 1)


def test_far_behind_there_are_limits_of_bytes_and_of_time() -> None:
    limit = parts(0, CAUGHT_UP_RECORDS, keys=CAUGHT_UP_RECORDS).mutations[0].changes.nbytes
    for settings in (
        AccumulatorSettings(max_bytes=limit),
        AccumulatorSettings(max_bytes=2**30, max_wait_far_behind_s=0.0),
    ):
        accumulator = BatchAccumulator(settings, [DOCUMENT])
        accumulator.add(parts(0, CAUGHT_UP_RECORDS, keys=CAUGHT_UP_RECORDS))
        assert accumulator.should_flush(CAUGHT_UP_RECORDS, FAR_BEHIND_RECORDS)


def test_a_partition_that_was_revoked_and_reassigned_is_merged_from_its_first_offset() -> None:
    one, other = (
        OffsetRange({TOPIC_PARTITION: 10}, {TOPIC_PARTITION: 30}),
        OffsetRange({TOPIC_PARTITION: 10, ("other", 1): 4}, {TOPIC_PARTITION: 40, ("other", 1): 9}),
    )
    assert merge_batches(Batch(span=one), Batch(span=other)).span == OffsetRange(
        {TOPIC_PARTITION: 10, ("other", 1): 4}, {TOPIC_PARTITION: 40, ("other", 1): 9}
    )


def test_changes_are_held_back_also_by_a_worker_that_has_caught_up_where_no_record_is_few() -> None:
    accumulator = BatchAccumulator(AccumulatorSettings(max_bytes=2**30, few_records=0), [DOCUMENT])
    accumulator.add(parts(0, 1, keys=1))
    assert not accumulator.should_flush(1, 0)
    accumulator.configure(AccumulatorSettings(max_bytes=2**30))
    assert accumulator.should_flush(1, 0)
