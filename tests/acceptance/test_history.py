"""Tests that DuckDB's history equals PostgreSQL's earlier contents."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg

from pipeline.query.query import run_query
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.shop import place
from tests.support.waiting import wait_for

LOOKS = 6
QUESTION = """
    SELECT count(*) AS orders, coalesce(sum(total), 0) AS total,
        (SELECT count(*) FROM order_items) AS items,
        (SELECT coalesce(sum(quantity * unit_price), 0) FROM order_items) AS worth
    FROM orders WHERE {is_amount}
"""


class Look(NamedTuple):
    """A moment, and PostgreSQL's contents at that moment: counts and sums."""

    moment: datetime
    held: dict[str, Any]


def look(source: psycopg.Connection[Any]) -> Look:
    """Read while no session can commit: all visible rows were committed before the moment, all others come later."""
    return wait_for(lambda: _look(source), 60, lambda: "the tables were written all the time")


def _look(source: psycopg.Connection[Any]) -> Look | None:
    # The two tables are locked one after the other: waiting for the second could deadlock with its owner.
    with suppress(psycopg.errors.LockNotAvailable), source.transaction():
        cursor = source.cursor(row_factory=psycopg.rows.dict_row)
        cursor.execute("LOCK TABLE orders, order_items IN SHARE MODE NOWAIT")
        [found] = cursor.execute("SELECT clock_timestamp() AS moment").fetchall()
        [held] = cursor.execute(QUESTION.format(is_amount="total <> 'NaN'")).fetchall()
        return Look(found["moment"], held)
    return None


def another_look(pipeline: Pipeline, last: Look) -> Look | None:
    """Return a look that differs from the last one, if the source has changed."""
    time.sleep(0.5)
    seen = look(pipeline.source)
    return seen if seen.held["total"] != last.held["total"] else None


def test_tables_as_of_a_time_equal_those_of_postgresql_then(pipeline: Pipeline) -> None:
    looks = [look(pipeline.source)]
    with pipeline.load(orders_per_s=30):
        for _ in range(LOOKS):
            looks.append(wait_for(lambda: another_look(pipeline, looks[-1]), 60, lambda: "nothing was written"))
    pipeline.settle("duckdb")
    for moment, held in looks:
        [asked] = run_query(pipeline.settings, QUESTION.format(is_amount="total IS NOT NULL"), moment).to_pylist()
        assert asked == {**held, "total": Decimal(held["total"])}, moment
        counted = f"SELECT count(*) AS items FROM order_items_as_of('{moment.isoformat()}')"
        assert run_query(pipeline.settings, counted).to_pylist() == [{"items": held["items"]}]


def test_a_truncate_ends_the_versions_of_its_table_at_its_time(pipeline: Pipeline, order_id: int) -> None:
    place(pipeline.source, order_id, items=2)
    before = look(pipeline.source)
    pipeline.sql("TRUNCATE order_items")
    after = look(pipeline.source)
    pipeline.sql("INSERT INTO order_items (id, order_id, sku) VALUES (%s, %s, 'later')", order_id + 1, order_id)
    pipeline.settle("duckdb")
    query = f"SELECT sku, valid_from, valid_to, op FROM order_items_history WHERE order_id = {order_id} ORDER BY ALL"
    one, two, later = run_query(pipeline.settings, query).to_pylist()
    assert (one["sku"], two["sku"], later["sku"]) == ("SKU-1", "SKU-2", "later")
    for ended in (one, two):
        assert ended["valid_from"] < before.moment < ended["valid_to"] < after.moment < later["valid_from"]
    assert later["valid_to"] is None
