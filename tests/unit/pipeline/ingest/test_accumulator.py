"""Batches that are joined before they are written."""

from __future__ import annotations

import pyarrow as pa

from pipeline.ingest.accumulator import Gathered, joined
from pipeline.worker_settings import FEW, MANY, GatherSettings
from sinks.batch import PART, PLACE, Batch, Mutations, Span
from sinks.shape import DocumentShape, RowShape

SHARD = ("cdc.public.orders", 0)
DOCUMENT = DocumentShape("orders", {"id": "bigint"})
ROW = RowShape("orders", ("id",), {"id": "bigint"})


def parts(first: int, count: int, keys: int) -> Batch:
    """As many changes of as many documents, at these offsets, each newer than those before."""
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
    changes = pa.table({**place, **names}, pa.schema([*PLACE, *PART]))
    return Batch((Mutations("orders", changes),), (), Span({SHARD: first}, {SHARD: first + count}))


def test_where_nothing_is_gathered_every_batch_is_due_as_it_came() -> None:
    gathered = Gathered(GatherSettings(), [DOCUMENT])
    batch = parts(0, FEW, keys=5)
    gathered.add(batch)
    assert gathered.is_due(FEW, FEW)
    assert gathered.take() is batch
    assert gathered.is_empty


def test_only_the_last_change_of_a_part_is_written() -> None:
    gathered = Gathered(GatherSettings(max_bytes=2**30), [DOCUMENT])
    for first in range(0, 10 * FEW, FEW):
        gathered.add(parts(first, FEW, keys=7))
        assert not gathered.is_due(FEW, FEW)
    written = gathered.take()
    (mutations,) = written.mutations
    assert mutations.changes.num_rows == 7
    assert mutations.changes["_offset"].to_pylist() == list(range(10 * FEW - 7, 10 * FEW))
    assert written.span == Span({SHARD: 0}, {SHARD: 10 * FEW})


def test_every_version_of_a_row_is_written_for_the_history() -> None:
    gathered = Gathered(GatherSettings(max_bytes=2**30), [ROW])
    for first in (0, FEW):
        gathered.add(parts(first, FEW, keys=7))
    (mutations,) = gathered.take().mutations
    assert mutations.changes.num_rows == 2 * FEW


def test_what_is_held_is_bounded_by_what_is_left_after_folding() -> None:
    limit = parts(0, FEW, keys=FEW).mutations[0].changes.nbytes
    gathered = Gathered(GatherSettings(max_bytes=limit), [DOCUMENT])
    for first in range(0, 50 * FEW, FEW):
        gathered.add(parts(first, FEW, keys=10))
        assert not gathered.is_due(FEW, FEW), "ten documents never fill it, however many their versions"
    for first in range(50 * FEW, 53 * FEW, FEW):
        gathered.add(parts(first, FEW, keys=10 * FEW))
    assert gathered.is_due(FEW, FEW)


def test_whoever_has_caught_up_does_not_wait() -> None:
    gathered = Gathered(GatherSettings(max_bytes=2**30), [DOCUMENT])
    gathered.add(parts(0, 3, keys=3))
    assert gathered.is_due(3, FEW)
    gathered.add(parts(3, FEW, keys=3))
    assert not gathered.is_due(FEW, FEW)
    assert gathered.is_due(0, FEW), "nothing came after it"
    assert gathered.is_due(FEW, 3), "nothing is left to be joined to it"


def test_a_change_is_held_no_longer_than_it_may_be() -> None:
    gathered = Gathered(GatherSettings(max_bytes=2**30, max_wait_s=0.0), [DOCUMENT])
    gathered.add(parts(0, FEW, keys=3))
    assert gathered.is_due(FEW, FEW)


def test_far_behind_it_is_written_neither_for_a_poll_of_few_nor_after_the_time_that_keeps_it_fresh() -> None:
    gathered = Gathered(GatherSettings(max_bytes=2**30, max_wait_s=0.0, max_wait_far_behind_s=3600.0), [DOCUMENT])
    gathered.add(parts(0, 3, keys=3))
    assert not gathered.is_due(0, MANY)
    assert gathered.is_due(0, MANY - 1)


def test_far_behind_there_are_limits_of_bytes_and_of_time() -> None:
    limit = parts(0, FEW, keys=FEW).mutations[0].changes.nbytes
    for settings in (
        GatherSettings(max_bytes=limit),
        GatherSettings(max_bytes=2**30, max_wait_far_behind_s=0.0),
    ):
        gathered = Gathered(settings, [DOCUMENT])
        gathered.add(parts(0, FEW, keys=FEW))
        assert gathered.is_due(FEW, MANY)


def test_a_shard_that_was_given_away_and_came_back_is_joined_from_its_first_offset() -> None:
    one, other = Span({SHARD: 10}, {SHARD: 30}), Span({SHARD: 10, ("other", 1): 4}, {SHARD: 40, ("other", 1): 9})
    assert joined(Batch(span=one), Batch(span=other)).span == Span(
        {SHARD: 10, ("other", 1): 4}, {SHARD: 40, ("other", 1): 9}
    )


def test_changes_are_held_back_also_by_a_worker_that_has_caught_up_where_no_record_is_few() -> None:
    gathered = Gathered(GatherSettings(max_bytes=2**30, few_records=0), [DOCUMENT])
    gathered.add(parts(0, 1, keys=1))
    assert not gathered.is_due(1, 0)
    gathered.gather_by(GatherSettings(max_bytes=2**30))
    assert gathered.is_due(1, 0)
