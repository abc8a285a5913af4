"""Tests that the generator of histories reaches every hazard that the ordering rule handles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import pytest
from hypothesis import Phase, find, settings

from sinks.ordering.range_tombstone import TombstoneKind
from tests.model_based.connector import TOPICS_BEFORE, Record
from tests.model_based.history import History
from tests.model_based.scenario import scenarios


def streamed(history: History) -> list[Record]:
    """Return the changes that the connector streamed."""
    return [record for record in history.records if not record.is_snapshot and not record.is_repair]


def pairs_of_one_row(history: History) -> Iterator[tuple[Record, Record]]:
    """Yield pairs of streamed changes of one row in one epoch, in either order."""
    pairs = permutations(streamed(history), 2)
    return ((one, other) for one, other in pairs if (one.row, one.epoch) == (other.row, other.epoch))


def is_in_flight_at_a_snapshot(history: History) -> bool:
    return any(
        record.last_commit is None and record.epoch == range_tombstone.epoch and record.lsn < range_tombstone.lsn
        for record in streamed(history)
        for range_tombstone in history.range_tombstones
        if range_tombstone.kind is TombstoneKind.SNAPSHOT_END
    )


def is_inserted_before_it_is_deleted(history: History) -> bool:
    return any(
        deleted.after is None and inserted.before is None and (inserted.last_commit or 0) > deleted.lsn > inserted.lsn
        for deleted, inserted in pairs_of_one_row(history)
    )


def is_emitted_twice(history: History) -> bool:
    return any(one.lsn == other.lsn and one.offset < other.offset for one, other in pairs_of_one_row(history))


def is_read_incrementally(history: History) -> bool:
    return any(
        one.after == other.after and one.lsn < other.lsn and other.before is None
        for one, other in pairs_of_one_row(history)
        if one.after is not None
    )


def changes_its_key(history: History) -> bool:
    return any(
        one.row != other.row and one.lsn == other.lsn and one.before == other.after and one.after is None
        for one, other in permutations(streamed(history), 2)
        if one.before is not None
    )


def moves_to_another_parent(history: History) -> bool:
    return any(
        record.before is not None and record.after is not None and record.before.parent != record.after.parent
        for record in streamed(history)
    )


def is_of_a_snapshot_that_was_given_up(history: History) -> bool:
    finished = {
        range_tombstone.lsn
        for range_tombstone in history.range_tombstones
        if range_tombstone.kind is TombstoneKind.SNAPSHOT_END
    }
    return any(record.is_snapshot and record.lsn not in finished for record in history.records)


def has_a_second_snapshot_within_an_epoch(history: History) -> bool:
    sweeps = {
        (range_tombstone.epoch, range_tombstone.lsn)
        for range_tombstone in history.range_tombstones
        if range_tombstone.kind is TombstoneKind.SNAPSHOT_END
    }
    return len(sweeps) > len({epoch for epoch, _ in sweeps})


def has_lower_lsns_in_a_later_epoch(history: History) -> bool:
    return any(one.epoch < other.epoch and one.lsn > other.lsn for one, other in permutations(streamed(history), 2))


def goes_on_in_other_topics(history: History) -> bool:
    return any(record.offset >= TOPICS_BEFORE for record in history.records)


def is_truncated(history: History) -> bool:
    return any(range_tombstone.kind is TombstoneKind.TRUNCATE for range_tombstone in history.range_tombstones)


def is_repaired_after_records_were_parked(history: History) -> bool:
    return bool(history.parked)


HAZARDS = (
    is_in_flight_at_a_snapshot,
    is_inserted_before_it_is_deleted,
    is_emitted_twice,
    is_read_incrementally,
    changes_its_key,
    moves_to_another_parent,
    is_of_a_snapshot_that_was_given_up,
    has_a_second_snapshot_within_an_epoch,
    has_lower_lsns_in_a_later_epoch,
    goes_on_in_other_topics,
    is_truncated,
    is_repaired_after_records_were_parked,
)

GENERATE_ONLY = settings(
    max_examples=2_000, phases=[Phase.generate], derandomize=True, database=None, report_multiple_bugs=False
)


@pytest.mark.parametrize("hazard", HAZARDS, ids=lambda hazard: hazard.__name__)
def test_some_history_meets_the_hazard(hazard: Callable[[History], bool]) -> None:
    found = find(scenarios(), lambda scenario: hazard(scenario.history), settings=GENERATE_ONLY)
    assert hazard(found.history)
