"""Tests of the shipped views on known orders, row by row."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline.definitions import TableDefinition
from sinks.duckdb.analytics_views import shipped_views
from sinks.duckdb.query_check import require_reads
from sinks.duckdb.serving import LiveCatalog, PublishedCopy
from sinks.duckdb.store import DuckdbStore
from sinks.shape import RowShape
from tests.support.checkout import CHECKOUT
from tests.unit.sinks.duckdb.quack import reader_of
from tests.unit.sinks.ordering.row_changes import Change, batch, deleted, snapshot, streamed, truncate
from tests.unit.sinks.ships import CONTRACT

SHIPPED = CHECKOUT / "readmodels.toml"
BERLIN = shipped_views("Europe/Berlin")
Rows = list[tuple[Any, ...]]


def shapes() -> list[RowShape]:
    """Return the shapes of the tables that `readmodels.toml` names."""
    tables = {name: TableDefinition(**table) for name, table in tomllib.loads(SHIPPED.read_text())["tables"].items()}
    return [RowShape(name, tuple(table.key), table.columns) for name, table in tables.items()]


ORDERS, ITEMS = shapes()


def at(second: int, offset: int = 0) -> tuple[int, int]:
    """Return the position of a change that was committed in that second of 1970."""
    return second * 1_000_000, second * 1_000_000 + 1 + offset


def moment(text: str) -> int:
    """Return a time as the connector sends it."""
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


class Orders:
    """A log of orders, written change by change, with successive offsets."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], dict[str, Any]] = {}
        self.changes: dict[str, list[Change]] = {ORDERS.table: [], ITEMS.table: []}

    def order(self, second: int, key: int, **columns: Any) -> None:
        """Write an order as it is from that second on; omitted columns keep their values."""
        born = {"customer_id": 7, "status": "pending", "currency": "EUR", "total": "10.00", "created_at": 0}
        self._append(ORDERS, second, key, born, columns)

    def item(self, second: int, key: int, **columns: Any) -> None:
        """Write an item, in the same way."""
        born = {"order_id": 1, "sku": "A", "quantity": 1, "unit_price": "10.00", "created_at": 0}
        self._append(ITEMS, second, key, born, columns)

    def delete(self, shape: RowShape, second: int, key: int) -> None:
        """Delete a row."""
        offset = len(self.changes[shape.table])
        self.changes[shape.table].append(deleted(at(second, offset), offset, id=key))

    def _append(self, shape: RowShape, second: int, key: int, born: dict[str, Any], columns: dict[str, Any]) -> None:
        known = self._known.get((shape.table, key))
        row = {**(known or born), **columns, "id": key, "updated_at": second * 1_000_000}
        self._known[shape.table, key] = row
        offset = len(self.changes[shape.table])
        self.changes[shape.table].append(Change(at(second, offset), row, "u" if known else "c", offset))


class Answers:
    """A store with the views, and its readers' answers."""

    def __init__(self, store: DuckdbStore) -> None:
        self.store = store

    def write(self, told: Orders) -> None:
        """Write all changes of a log."""
        for shape in (ORDERS, ITEMS):
            self.store.sink(1).write(batch(shape, told.changes[shape.table]))

    def ask(self, query: str) -> Rows:
        """Return the rows of an answer; the query must be one that readers may send."""
        require_reads(query, LiveCatalog(self.store.instance()))
        return list(self.store.instance().cursor().execute(query).fetchall())


@pytest.fixture
def answers(tmp_path: Path) -> Iterator[Answers]:
    with closing(DuckdbStore(tmp_path / "duckdb", shapes(), analytics=BERLIN)) as store:
        store.sink(1).prepare()
        store.sink(1).cutover()
        yield Answers(store)


def test_revenue_is_counted_on_the_day_of_the_time_zone(answers: Answers) -> None:
    told = Orders()
    told.order(1, 1, status="paid", total="0.10", created_at=moment("2026-01-01T22:59:59Z"))
    told.order(1, 2, status="shipped", total="0.20", created_at=moment("2026-01-01T22:00:00Z"))
    told.order(1, 3, status="paid", total="9999999999.99", created_at=moment("2026-01-01T23:00:00Z"))
    told.order(1, 4, status="paid", total="9999999999.99", created_at=moment("2026-01-02T01:00:00Z"))
    told.order(1, 5, status="paid", total="5.00", currency="USD", created_at=moment("2026-01-02T01:00:00Z"))
    told.order(1, 6, status="cancelled", total="7.00", created_at=moment("2026-01-02T01:00:00Z"))
    told.order(1, 7, status="pending", total="7.00", created_at=moment("2026-01-02T01:00:00Z"))
    answers.write(told)
    assert answers.ask("FROM revenue_per_day") == [
        (date(2026, 1, 1), "EUR", 2, Decimal("0.30")),
        (date(2026, 1, 2), "EUR", 2, Decimal("19999999999.98")),
        (date(2026, 1, 2), "USD", 1, Decimal("5.00")),
    ]


def test_orders_are_counted_by_the_status_that_they_have_now(answers: Answers) -> None:
    told = Orders()
    told.order(1, 1, total="1.10")
    told.order(1, 2, total="2.20")
    told.order(2, 2, status="paid")
    told.order(1, 3, total="3.30")
    told.delete(ORDERS, 3, 3)
    answers.write(told)
    assert answers.ask("FROM orders_by_status") == [
        ("paid", "EUR", 1, Decimal("2.20")),
        ("pending", "EUR", 1, Decimal("1.10")),
    ]


def test_the_funnel_shows_how_far_orders_came_and_where_they_were_cancelled(answers: Answers) -> None:
    told = Orders()
    for key, ways in enumerate((["pending"], ["pending", "paid", "shipped"], ["pending", "cancelled"])):
        for second, status in enumerate(ways, 1):
            told.order(second, key, status=status)
    for second, status in enumerate(("pending", "paid", "cancelled"), 1):
        told.order(second, 9, status=status)
    told.delete(ORDERS, 9, 0)
    answers.write(told)
    assert answers.ask("FROM order_funnel") == [(1, "pending", 4, 1), (2, "paid", 2, 1), (3, "shipped", 1, 0)]


def test_the_time_between_statuses_is_that_between_the_commits(answers: Answers) -> None:
    told = Orders()
    for key, paid_at in ((1, 10), (2, 30), (3, 20)):
        told.order(0, key)
        told.order(5, key, note="still pending")
        told.order(paid_at, key, status="paid")
    told.order(100, 1, status="shipped")
    told.order(100, 1, status="cancelled")
    answers.write(told)
    assert answers.ask("FROM time_between_statuses") == [
        ("paid", "cancelled", 1, 90.0, 90.0, 90.0),
        ("pending", "paid", 3, 10.0, 20.0, 30.0),
    ]


def test_a_stay_that_began_before_the_log_has_no_length(answers: Answers) -> None:
    row = {"customer_id": 7, "status": "pending", "currency": "EUR", "total": "1.00", "created_at": 0, "updated_at": 0}
    changes = [
        snapshot(1_000_000, 0, id=1, **row),
        streamed(at(2), 1, **{**row, "id": 1, "status": "paid"}),
        streamed(at(5), 2, **{**row, "id": 1, "status": "shipped"}),
    ]
    answers.store.sink(1).write(batch(ORDERS, changes))
    assert answers.ask("FROM time_between_statuses") == [("paid", "shipped", 1, 3.0, 3.0, 3.0)]


def test_the_best_articles_come_first(answers: Answers) -> None:
    told = Orders()
    told.order(1, 1, status="paid")
    told.order(1, 2, status="shipped")
    told.order(1, 3, status="pending")
    told.item(1, 11, order_id=1, sku="A", quantity=2, unit_price="1.10")
    told.item(1, 12, order_id=1, sku="A", quantity=1, unit_price="1.00")
    told.item(1, 21, order_id=2, sku="A", quantity=1, unit_price="1.10")
    told.item(1, 22, order_id=2, sku="B", quantity=1, unit_price="9999999999.99")
    told.item(1, 31, order_id=3, sku="C", quantity=9, unit_price="9.00")
    answers.write(told)
    assert answers.ask("FROM top_skus") == [
        ("B", "EUR", 1, 1, Decimal("9999999999.99")),
        ("A", "EUR", 2, 4, Decimal("4.30")),
    ]


def test_baskets_are_counted_by_their_lines(answers: Answers) -> None:
    told = Orders()
    for key, total in ((1, "5.00"), (2, "7.00"), (3, "9.00"), (4, "0.00"), (5, "3.00")):
        told.order(1, key, total=total, status="cancelled" if key == 5 else "paid")
    for key in (1, 2, 3, 5):
        told.item(1, key * 10, order_id=key, quantity=2)
    told.item(1, 31, order_id=3, quantity=5)
    answers.write(told)
    assert answers.ask("FROM basket_size") == [
        ("EUR", 0, 1, 0, Decimal("0.00"), Decimal("0.00")),
        ("EUR", 1, 2, 4, Decimal("12.00"), Decimal("5.00")),
        ("EUR", 2, 1, 7, Decimal("9.00"), Decimal("9.00")),
    ]


def test_a_customers_first_order_is_distinguished_from_later_ones(answers: Answers) -> None:
    told = Orders()
    first_day, second_day = moment("2026-01-01T12:00:00Z"), moment("2026-01-02T12:00:00Z")
    told.order(1, 1, customer_id=1, total="1.00", created_at=first_day, status="cancelled")
    told.order(1, 2, customer_id=1, total="2.00", created_at=first_day)
    told.order(1, 3, customer_id=1, total="4.00", created_at=second_day)
    told.order(1, 4, customer_id=2, total="8.00", created_at=second_day)
    told.order(1, 5, customer_id=2, total="16.00", created_at=second_day)
    answers.write(told)
    assert answers.ask("FROM first_and_repeat_orders") == [
        (date(2026, 1, 1), "EUR", 1, 0, Decimal("2.00"), Decimal("0.00")),
        (date(2026, 1, 2), "EUR", 1, 2, Decimal("8.00"), Decimal("20.00")),
    ]


def test_changes_after_an_order_was_shipped_are_listed(answers: Answers) -> None:
    told = Orders()
    told.order(1, 1)
    told.item(1, 11)
    told.order(2, 1, status="shipped")
    told.order(3, 1)
    told.order(4, 1, total="10.01")
    told.item(5, 11, quantity=2)
    told.item(6, 12)
    told.delete(ITEMS, 7, 12)
    told.order(1, 2, status="paid")
    told.order(2, 2, note="not shipped yet")
    answers.write(told)
    shipped_at = datetime.fromtimestamp(2, UTC)
    assert answers.ask("FROM changed_after_shipping") == [
        (1, shipped_at, datetime.fromtimestamp(4, UTC), "order", 1, "changed"),
        (1, shipped_at, datetime.fromtimestamp(5, UTC), "item", 11, "changed"),
        (1, shipped_at, datetime.fromtimestamp(6, UTC), "item", 12, "added"),
        (1, shipped_at, datetime.fromtimestamp(7, UTC), "item", 12, "deleted"),
    ]


def test_money_is_a_decimal_in_every_view(answers: Answers) -> None:
    money = {"revenue", "total", "first_total", "repeat_total", "median_total"}
    for view in BERLIN.views:
        described = answers.store.instance().execute(f"DESCRIBE {view.name}").fetchall()
        kinds = {name: kind for name, kind, *_ in described}
        assert all(kinds[name].startswith("DECIMAL") for name in money & kinds.keys()), view.name
        assert {"DOUBLE", "FLOAT"}.isdisjoint(kind for name, kind in kinds.items() if not name.endswith("_s")), (
            view.name
        )


def test_the_views_follow_a_cutover(answers: Answers) -> None:
    told = Orders()
    told.order(1, 1, total="1.10")
    answers.write(told)
    answers.store.sink(2).prepare()
    answers.store.sink(2).write(batch(ORDERS, [], [truncate("orders", 1, 1)]))
    answers.store.sink(2).cutover()
    assert answers.ask("FROM orders_by_status") == []
    answers.store.sink(1).cutover()
    assert answers.ask("FROM orders_by_status") == [("pending", "EUR", 1, Decimal("1.10"))]


def test_views_are_made_where_the_tables_that_they_need_are(tmp_path: Path) -> None:
    narrow = RowShape(
        "orders", ("id",), {"id": "bigint", "status": "text", "currency": "text", "total": "numeric(5,2)"}
    )
    for made_of, expected in (
        (CONTRACT.row_shapes(), set()),
        ([narrow], {"order_funnel", "orders_by_status", "time_between_statuses"}),
    ):
        with closing(DuckdbStore(tmp_path / made_of[0].table, made_of, analytics=BERLIN)) as store:
            store.sink(1).prepare()
            store.sink(1).cutover()
            names = {name for (name,) in store.instance().execute("SHOW TABLES").fetchall()}
            tables = {name for shape in made_of for name in (shape.table, f"{shape.table}_history")}
            assert names - tables == expected


def test_readers_through_quack_get_what_the_writer_gets(answers: Answers, tmp_path: Path) -> None:
    told = Orders()
    told.order(1, 1, created_at=moment("2026-01-01T23:30:00Z"))
    told.item(1, 11)
    told.order(2, 1, status="paid", total="1.10")
    told.order(3, 1, status="shipped")
    told.item(4, 11, quantity=3)
    answers.write(told)
    names = [view.name for view in BERLIN.views] + ["orders", "orders_history", "order_items_history"]
    with reader_of(answers.store, tmp_path / "duckdb") as reader:
        attached = reader.elsewhere(*(f"FROM live.{name}" for name in names))
        for name, seen in zip(names, attached, strict=True):
            expected = answers.ask(f"FROM {name}")
            assert expected
            assert reader.ask(f"FROM {name}") == expected
            assert seen == [str(row) for row in expected]
        assert reader.ask("SELECT status FROM orders_as_of('1970-01-01T00:00:02Z')") == [("paid",)]
        assert reader.ask("SELECT local_day(created_at) FROM orders") == [(date(2026, 1, 2),)]


def test_a_published_copy_has_the_views_of_its_tables_under_whatever_name_it_is_opened(
    answers: Answers, tmp_path: Path
) -> None:
    told = Orders()
    told.order(1, 1, status="paid", total="1.10", created_at=moment("2026-01-01T23:30:00Z"))
    answers.write(told)
    copy = tmp_path / "copy.duckdb"
    PublishedCopy(copy, ["orders", "order_items"], every_s=5, analytics=BERLIN).publish(answers.store.instance())
    with duckdb.connect(str(copy.rename(tmp_path / "renamed.duckdb")), read_only=True) as opened:
        assert opened.execute("FROM revenue_per_day").fetchall() == [(date(2026, 1, 2), "EUR", 1, Decimal("1.10"))]
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{tmp_path / 'renamed.duckdb'}' AS other (READ_ONLY)")
        assert connection.execute("SELECT revenue FROM other.revenue_per_day").fetchall() == [(Decimal("1.10"),)]
