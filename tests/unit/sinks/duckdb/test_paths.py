"""Tests of the append path for certainly new changes, and of the merge path: both give the same tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from sinks.batch import Batch
from sinks.duckdb.high_water import HighWaterMarks, WriteMode
from sinks.duckdb.store import DuckdbStore
from sinks.errors import MutationRejected
from sinks.ordering.range_tombstone import RangeTombstone, RangeTombstones
from sinks.shape import RowShape
from tests.model_based.batches import COLUMNS, ROW_SHAPES, row_batch
from tests.model_based.delivery import Arrivals
from tests.model_based.history import History
from tests.model_based.projection import row_changes
from tests.model_based.scenario import Scenario, scenarios
from tests.unit.sinks.ordering.row_changes import (
    Change,
    deleted,
    model,
    mutations,
    repaired,
    snapshot,
    streamed,
    sweep,
    truncate,
)

ORDERS = RowShape("orders", ("id",), {"id": "bigint"})
Contents = dict[str, list[tuple[Any, ...]]]


class Shelf:
    """One store, in which every delivery gets its own generation, so that examples are cheap."""

    def __init__(self, store: DuckdbStore) -> None:
        self._store = store
        self._generation = 0

    def contents(self, batches: Iterable[Batch]) -> Contents:
        """Return the tables after these batches.

        Offsets are left out, because a sweep has the offset of the row's partition.
        """
        self._generation += 1
        sink = self._store.sink(self._generation)
        sink.prepare()
        for batch in batches:
            sink.write(batch)
        contents = self._read()
        self._store.drop(self._generation)
        return contents

    def _read(self) -> Contents:
        place = "_epoch, _is_snapshot, _commit_lsn, _lsn, _tie, _deleted"
        names = ", ".join(COLUMNS)
        contents: Contents = {}
        with self._store.connection(self._generation) as connection:
            for shape in ROW_SHAPES:
                for name, query in {
                    "shown": f"SELECT {names} FROM {shape.table} ORDER BY ALL",
                    "registers": f"SELECT {names}, {place}, _shown FROM registers.{shape.table} ORDER BY ALL",
                    "versions": f"SELECT id, {place}, _offset FROM versions.{shape.table} ORDER BY ALL",
                }.items():
                    contents[f"{shape.table} {name}"] = connection.execute(query).fetchall()
        return contents


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with closing(DuckdbStore(tmp_path_factory.mktemp("shelf"), ROW_SHAPES)) as store:
        yield Shelf(store)


def in_order(history: History, size: int) -> list[Batch]:
    """Return the log as a worker reads it, cut into batches; range tombstones come with the first."""
    records = history.records
    cuts = [list(records[begin : begin + size]) for begin in range(0, len(records), size)] or [[]]
    return [row_batch(Arrivals(cut, list(history.range_tombstones) if not at else [])) for at, cut in enumerate(cuts)]


def every_version(history: History) -> dict[str, list[tuple[Any, ...]]]:
    """Return the expected versions: each version of each row once, at its first emission."""
    told: dict[tuple[Any, ...], int] = {}
    for change in row_changes(history.records):
        place = change.change
        version = (change.name.row, place.epoch, change.is_snapshot, *place.order[1:4], place.deleted)
        told[version] = min(place.offset, told.get(version, place.offset))
    return {
        f"{shape.table} versions": sorted(
            (row.key, *rest, offset) for (row, *rest), offset in told.items() if row.table == shape.table
        )
        for shape in ROW_SHAPES
    }


@settings(max_examples=settings().max_examples // 12)
@given(scenario=scenarios())
def test_both_ways_and_any_cut_end_in_the_same_tables(shelf: Shelf, scenario: Scenario) -> None:
    history = scenario.history
    at_once = shelf.contents(in_order(history, size=10_000))
    in_small_batches = shelf.contents(in_order(history, size=10))
    shuffled = shelf.contents(map(row_batch, chain(*scenario.delivery)))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(HighWaterMarks, "classify", lambda *_: WriteMode.MERGE)
        always_in_doubt = shelf.contents(in_order(history, size=10))
    assert in_small_batches == at_once
    assert shuffled == at_once
    assert always_in_doubt == at_once
    assert {name: rows for name, rows in at_once.items() if name.endswith("versions")} == every_version(history)
    assert {(shape.table, key) for shape in ROW_SHAPES for key, *_ in at_once[f"{shape.table} shown"]} == {
        (row.table, row.key) for row in history.rows
    }


def waters(*changes: Change) -> HighWaterMarks:
    """Return the high-water marks of one batch."""
    return HighWaterMarks().advance(mutations(ORDERS, changes).changes)


@pytest.mark.parametrize(
    ("known", "range_tombstone", "coming", "newness"),
    [
        (waters(), None, streamed((10, 11), id=1), WriteMode.APPEND),
        (waters(), None, snapshot(10, id=1), WriteMode.MERGE),
        (waters(streamed((10, 11), id=1)), None, streamed((10, 12), id=1), WriteMode.APPEND),
        (waters(streamed((10, 11), id=1)), None, streamed((20, 5), id=2), WriteMode.APPEND),
        (waters(streamed((10, 11), id=1)), None, streamed((10, 11), 5, id=1), WriteMode.MERGE),
        (waters(streamed((10, 11), id=1)), None, deleted((9, 50), id=2), WriteMode.MERGE),
        (waters(streamed((10, 11), id=1)), None, Change((1, 2), {"id": 1}, epoch=1), WriteMode.APPEND),
        (waters(Change((1, 2), {"id": 1}, epoch=1)), None, streamed((10, 11), id=1), WriteMode.MERGE),
        (
            waters(streamed((10, 11), id=1)),
            None,
            Change((5, 6), {"id": 2}, partition=1),
            WriteMode.APPEND_IF_KEYS_STAYED,
        ),
        (waters(snapshot(100, id=1)), None, streamed((90, 91), id=1), WriteMode.MERGE),
        (waters(snapshot(100, id=1)), None, streamed((90, 100), id=1), WriteMode.APPEND),
        (waters(snapshot(100, id=1)), None, streamed((100, 95), id=1), WriteMode.APPEND),
        (waters(), truncate("orders", 20, 21), streamed((20, 21), id=1), WriteMode.MERGE),
        (waters(), truncate("orders", 20, 21), streamed((20, 22), id=1), WriteMode.APPEND),
        (waters(), truncate("others", 20, 21), streamed((10, 11), id=1), WriteMode.APPEND),
        (waters(), sweep("orders", 100), streamed((90, 91), id=1), WriteMode.MERGE),
        (waters(), sweep("orders", 100), streamed((110, 91), id=1), WriteMode.APPEND),
        (waters(), None, repaired(50, id=1), WriteMode.MERGE),
        (waters(repaired(50, id=1)), None, streamed((40, 51), id=1), WriteMode.MERGE),
        (waters(repaired(50, id=1)), None, streamed((50, 50), id=1), WriteMode.MERGE),
        (waters(repaired(50, id=1)), None, streamed((60, 45), id=1), WriteMode.APPEND),
    ],
)
def test_a_change_is_appended_only_above_the_high_water_mark(
    known: HighWaterMarks, range_tombstone: RangeTombstone | None, coming: Change, newness: WriteMode
) -> None:
    range_tombstones = RangeTombstones().merge([range_tombstone] if range_tombstone else [])
    assert known.classify(mutations(ORDERS, [coming]).changes, range_tombstones, "orders") is newness


def test_one_change_below_the_high_water_mark_makes_its_batch_merge() -> None:
    known = waters(streamed((10, 11), id=1))
    coming = mutations(ORDERS, [streamed((20, 21), 5, id=2), streamed((10, 11), 6, id=1)])
    assert known.classify(coming.changes, RangeTombstones(), "orders") is WriteMode.MERGE


def test_high_waters_are_never_lowered() -> None:
    raised = waters(streamed((10, 11), id=1), snapshot(30, id=2))
    late = mutations(ORDERS, [streamed((5, 6), id=1), snapshot(20, id=2)])
    assert raised.advance(late.changes) == raised


def test_a_repair_of_a_row_that_was_changed_since_is_only_history(tmp_path: Path) -> None:
    shape = RowShape("orders", ("id",), {"id": "bigint", "status": "text"})
    with model(tmp_path, shape) as orders:
        orders.write(streamed((60, 45), id=1, status="paid"))
        orders.store.sink(1).write(Batch((mutations(shape, [repaired(50, id=1, status="pending")]),)))
        assert orders.ask("SELECT status FROM orders") == [("paid",)]
        assert sorted(orders.versions("_op, status")) == [("repair", "pending"), ("u", "paid")]


def test_a_stream_in_order_is_never_compared_with_what_is_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sinks.duckdb.tables.TableStatements.select_registers", lambda _: "SELECT compared")
    with model(tmp_path, ORDERS) as orders:
        for turn in range(1, 4):
            orders.write(*(streamed((turn * 100, turn * 100 + key), turn * 10 + key, id=key) for key in range(5)))
        assert orders.ask("SELECT count(*) FROM orders") == [(5,)]
        assert orders.ask("SELECT count(*) FROM orders_history") == [(15,)]
        with pytest.raises(MutationRejected):
            orders.write(streamed((100, 101), 90, id=1))
