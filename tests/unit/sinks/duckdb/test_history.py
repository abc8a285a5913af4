"""Tests of DuckDB's history: every version of a row, its beginning and end, and rows as of a moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sinks.ordering.range_tombstone import RangeTombstone
from sinks.ordering.register import NO_PARTITION
from sinks.shape import RowShape
from tests.unit.sinks.ordering.row_changes import (
    Change,
    Model,
    batch,
    deleted,
    model,
    snapshot,
    streamed,
    sweep,
    truncate,
)

ORDERS = RowShape("orders", ("id",), {"id": "bigint", "status": "text"})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Line = tuple[object, ...]


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Model]:
    with model(tmp_path, ORDERS) as opened:
        yield opened


def history(orders: Model) -> list[Line]:
    """Return every version: key, status, validity in microseconds, and the operation that began it."""
    query = "SELECT id, status, epoch_us(valid_from), epoch_us(valid_to), op FROM orders_history ORDER BY ALL"
    return orders.ask(query)


def at(range_tombstone: RangeTombstone, microsecond: int) -> RangeTombstone:
    """Return a range tombstone with the time of its commit."""
    return replace(range_tombstone, committed_at=EPOCH + timedelta(microseconds=microsecond))


def test_a_version_lasts_from_its_commit_to_the_next_one(orders: Model) -> None:
    orders.write(
        Change((10, 11), {"id": 1, "status": "pending"}, "c", 0),
        streamed((20, 21), 1, id=1, status="paid"),
        streamed((30, 31), 2, id=1, status="shipped"),
    )
    assert history(orders) == [(1, "paid", 20, 30, "u"), (1, "pending", 10, 20, "c"), (1, "shipped", 30, None, "u")]


def test_a_deletion_ends_a_version_and_is_none(orders: Model) -> None:
    orders.write(streamed((10, 11), 0, id=1, status="paid"), deleted((20, 21), 1, id=1))
    assert history(orders) == [(1, "paid", 10, 20, "u")]
    orders.write(Change((30, 31), {"id": 1, "status": "again"}, "c", 2))
    assert history(orders) == [(1, "again", 30, None, "c"), (1, "paid", 10, 20, "u")]


def test_every_truncate_ends_what_was_there_however_many_follow(orders: Model) -> None:
    orders.write(streamed((10, 11), 0, id=1, status="a"), streamed((10, 12), 1, id=2, status="b"))
    orders.write(range_tombstones=[at(truncate("orders", 20, 21), 20)])
    orders.write(streamed((30, 31), 2, id=1, status="c"))
    orders.write(range_tombstones=[at(truncate("orders", 40, 41), 40), at(truncate("orders", 20, 21), 20)])
    assert history(orders) == [(1, "a", 10, 20, "u"), (1, "c", 30, 40, "u"), (2, "b", 10, 20, "u")]


def test_a_snapshot_begins_a_version_that_is_marked(orders: Model) -> None:
    orders.write(snapshot(100, 0, id=1, status="pending"), streamed((110, 111), 1, id=1, status="paid"))
    assert history(orders) == [(1, "paid", 110, None, "u"), (1, "pending", 100, 110, "r")]


def test_a_sweep_ends_what_its_snapshot_did_not_find_and_nothing_else(orders: Model) -> None:
    orders.write(streamed((10, 11), 0, id=1, status="gone"), streamed((10, 12), 1, id=2, status="there"))
    orders.write(snapshot(100, 2, id=2, status="there"), range_tombstones=[at(sweep("orders", 100, started_at=2), 99)])
    orders.write(streamed((110, 111), 3, id=1, status="back"))
    assert history(orders) == [
        (1, "back", 110, None, "u"),
        (1, "gone", 10, 99, "u"),
        (2, "there", 10, 100, "u"),
        (2, "there", 100, None, "r"),
    ]


@pytest.mark.parametrize("turn", [1, -1])
def test_a_transaction_in_flight_at_the_snapshot_follows_it_though_its_lsn_is_lower(orders: Model, turn: int) -> None:
    in_flight = Change((90, 90), {"id": 1, "status": "in flight"}, "u", 1)
    for change in (snapshot(100, 0, id=1, status="pending"), in_flight)[::turn]:
        orders.write(change)
    assert history(orders) == [(1, "in flight", 100, None, "u"), (1, "pending", 100, 100, "r")]


def test_a_row_of_a_given_up_snapshot_that_comes_late_stands_before_the_finished_one(orders: Model) -> None:
    orders.write(
        snapshot(100, 0, id=1, status="finished"),
        streamed((110, 111), 1, id=1, status="paid"),
        snapshot(50, 2, id=1, status="given up"),
    )
    assert history(orders) == [
        (1, "finished", 100, 110, "r"),
        (1, "given up", 50, 100, "r"),
        (1, "paid", 110, None, "u"),
    ]


def test_an_insert_that_was_logged_before_the_delete_that_let_it_through_follows_it(orders: Model) -> None:
    orders.write(streamed((10, 11), 0, id=1, status="old"), deleted((20, 35), 1, id=1))
    orders.write(Change((40, 30), {"id": 1, "status": "new"}, "c", 2))
    assert history(orders) == [(1, "new", 40, None, "c"), (1, "old", 10, 20, "u")]


def test_a_repair_lies_in_no_partition_and_leaves_a_sweep_where_it_was(orders: Model) -> None:
    orders.write(
        streamed((10, 11), 0, id=1, status="old"),
        streamed((20, 21), 1, id=1, status="newer"),
        Change((15, 16), {"id": 1, "status": "repaired"}, "repair", -1, NO_PARTITION),
        range_tombstones=[at(sweep("orders", 100, started_at=2), 100)],
    )
    assert orders.ask("FROM orders") == []
    assert history(orders) == [(1, "newer", 20, 100, "u"), (1, "old", 10, 15, "u"), (1, "repaired", 15, 20, "repair")]


def test_a_repair_is_a_version(orders: Model) -> None:
    orders.write(streamed((10, 11), 0, id=1, status="wrong"))
    orders.write(Change((20, 21), {"id": 1, "status": "right"}, "repair", -1))
    assert history(orders) == [(1, "right", 20, None, "repair"), (1, "wrong", 10, 20, "u")]


def test_a_version_that_was_never_visible_is_listed_and_valid_at_no_time(orders: Model) -> None:
    orders.write(streamed((10, 11), 0, id=1, status="first"), streamed((10, 12), 1, id=1, status="second"))
    assert history(orders) == [(1, "first", 10, 10, "u"), (1, "second", 10, None, "u")]
    assert as_of(orders, 10) == [(1, "second")]


def as_of(orders: Model, microsecond: int) -> list[Line]:
    """Return the rows as of a moment."""
    return orders.ask(f"FROM orders_as_of(make_timestamptz({microsecond})) ORDER BY ALL")


def test_rows_as_of_a_time_are_those_committed_by_then(orders: Model) -> None:
    orders.write(
        streamed((10, 11), 0, id=1, status="a"),
        streamed((20, 21), 1, id=2, status="b"),
        streamed((30, 31), 2, id=1, status="c"),
        deleted((40, 41), 3, id=2),
    )
    assert [as_of(orders, moment) for moment in (9, 10, 20, 29, 30, 40)] == [
        [],
        [(1, "a")],
        [(1, "a"), (2, "b")],
        [(1, "a"), (2, "b")],
        [(1, "c"), (2, "b")],
        [(1, "c")],
    ]
    assert orders.ask("FROM orders_as_of('1970-01-01T00:00:00.000010Z')") == [(1, "a")]
    assert orders.ask("FROM orders_as_of(now())") == orders.ask("FROM orders")


def test_a_rebuilt_history_has_the_same_versions(orders: Model) -> None:
    batches = [
        [snapshot(100, 0, id=1, status="pending"), snapshot(100, 1, id=2, status="pending")],
        [Change((90, 90), {"id": 1, "status": "in flight"}, "u", 2), streamed((110, 111), 3, id=2, status="paid")],
        [deleted((120, 121), 4, id=1)],
    ]
    for changes in batches:
        orders.write(*changes)
    before = history(orders)
    orders.store.sink(2).prepare()
    for changes in (*batches[::-1], *batches):
        orders.store.sink(2).write(batch(ORDERS, changes))
    orders.store.sink(2).cutover()
    assert history(orders) == before


AWKWARD = RowShape(
    "epoch", ("kind", "lsn"), dict.fromkeys(("kind", "lsn", "op", "valid_from", "place", "ts", "scope"), "text")
)


def test_any_table_has_a_history_with_any_column_names(tmp_path: Path) -> None:
    row = dict.fromkeys(AWKWARD.columns, "x")
    with model(tmp_path, AWKWARD) as awkward:
        awkward.write(Change((10, 11), row, "c", 0), Change((20, 21), {**row, "op": "y"}, "u", 1))
        awkward.write(range_tombstones=[at(truncate("epoch", 30, 31), 30), at(sweep("epoch", 5), 5)])
        found = awkward.ask("SELECT op, valid_from, _op, epoch_us(_valid_from), epoch_us(valid_to) FROM epoch_history")
        assert sorted(found) == [("x", "x", "c", 10, 20), ("y", "x", "u", 20, 30)]
        assert awkward.ask("SELECT op FROM epoch_as_of('1970-01-01T00:00:00.000025Z')") == [("y",)]
        assert awkward.ask("FROM epoch_as_of(now())") == awkward.ask("FROM epoch") == []
