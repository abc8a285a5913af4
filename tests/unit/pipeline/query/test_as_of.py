"""Tests of a current query evaluated as of an earlier moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.query.as_of import NoHistory, rewrite_as_of
from sinks.duckdb.analytics_views import shipped_views
from sinks.duckdb.query_check import AnyName, require_reads
from sinks.shape import RowShape
from tests.unit.sinks.ordering.row_changes import Model, deleted, model, streamed

ORDERS = RowShape(
    "orders",
    ("id",),
    {"id": "bigint", "status": "text", "currency": "text", "total": "numeric(12,2)", "created_at": "timestamptz"},
)
SHIPPED = shipped_views("UTC")
THEN = datetime.fromtimestamp(25 / 1e6, UTC)


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Model]:
    with model(tmp_path, ORDERS, SHIPPED) as opened:
        row = {"currency": "EUR", "total": "1.10", "created_at": 0}
        opened.write(
            streamed((10, 11), 0, id=1, status="pending", **row),
            streamed((20, 21), 1, id=2, status="paid", **row),
            streamed((30, 31), 2, id=1, status="paid", **row),
            deleted((40, 41), 3, id=2),
        )
        yield opened


@pytest.mark.parametrize(
    ("query", "then"),
    [
        ("SELECT id, status FROM orders ORDER BY id", [(1, "pending"), (2, "paid")]),
        ("FROM Orders SELECT count(*)", [(2,)]),
        ("SELECT o.id FROM \"orders\" o WHERE o.status = 'paid'", [(2,)]),
        ("WITH paid AS (FROM orders WHERE status = 'paid') SELECT id FROM paid -- the paid ones", [(2,)]),
        ("SELECT (SELECT count(*) FROM orders), id FROM orders ORDER BY id LIMIT 1", [(2, 1)]),
        ("SELECT id FROM orders UNION ALL SELECT id + 10 FROM orders ORDER BY 1", [(1,), (2,), (11,), (12,)]),
        ("SELECT status, total FROM orders_by_status", [("paid", Decimal("1.10")), ("pending", Decimal("1.10"))]),
        ("SELECT revenue FROM revenue_per_day", [(Decimal("1.10"),)]),
        ("SELECT one.id FROM orders AS one JOIN orders AS other USING (id) ORDER BY 1", [(1,), (2,)]),
        ("SELECT 42", [(42,)]),
        ("FROM range(2)", [(0,), (1,)]),
    ],
)
def test_tables_and_their_views_are_as_they_were(query: str, then: list[tuple[object, ...]], orders: Model) -> None:
    asked = rewrite_as_of(query, THEN, ["orders"], SHIPPED)
    require_reads(asked, AnyName())
    assert orders.ask(asked) == then


@pytest.mark.parametrize(
    "query",
    [
        "FROM orders_history",
        "FROM main.orders",
        "FROM generation_000001.main.orders",
        "FROM order_funnel",
        "SELECT id FROM orders UNION ALL FROM memory.orders",
        "SELECT (SELECT count(*) FROM information_schema.tables)",
        "WITH orders AS (FROM orders) FROM orders",
        "DESCRIBE orders",
        "SUMMARIZE orders",
        "SHOW ALL TABLES",
        "FROM top_skus",
    ],
)
def test_tables_without_a_history_are_refused(query: str, orders: Model) -> None:
    with pytest.raises(NoHistory):
        rewrite_as_of(query, THEN, ["orders"], SHIPPED)
