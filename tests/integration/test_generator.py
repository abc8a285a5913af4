"""Tests of the order generator on a real PostgreSQL."""

import time
from collections.abc import Iterator
from threading import Event

import pytest
from sqlalchemy import Engine, text

from pipeline.demo.order_generator import OrderGenerator, Traffic
from pipeline.demo.tables import create_tables, open_engine
from pipeline.postgres import database
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_database

ROWS = """
    SELECT o.id, customer_id, status, currency, total, note, shipping_address,
           i.id, sku, quantity, unit_price, attributes
    FROM orders o FULL JOIN order_items i ON i.order_id = o.id ORDER BY o.id, i.id
"""


@pytest.fixture
def engine(endpoints: Endpoints) -> Iterator[Engine]:
    with own_database(endpoints, "generator_test") as source:
        with database.connect(source.url) as connection:
            create_tables(connection)
        opened = open_engine(source.url)
        yield opened
        opened.dispose()


def rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_the_same_seed_makes_the_same_rows(engine: Engine) -> None:
    OrderGenerator(engine, Traffic(seed=5)).place(120)
    once = rows(engine, ROWS)
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE orders, order_items RESTART IDENTITY"))
    OrderGenerator(engine, Traffic(seed=5)).place(120)
    assert rows(engine, ROWS) == once


def test_orders_of_every_kind_are_made_and_their_totals_hold(engine: Engine) -> None:
    counts = OrderGenerator(engine, Traffic(seed=1)).place(400)
    assert counts.placed == 400
    assert min(counts.advanced, counts.amended, counts.moved, counts.deleted) > 0
    assert rows(engine, "SELECT count(*) FROM orders") == [(counts.placed - counts.deleted,)]
    assert rows(engine, "SELECT DISTINCT status FROM orders ORDER BY 1") == [
        ("cancelled",),
        ("paid",),
        ("pending",),
        ("shipped",),
    ]
    wrong = """
        SELECT o.id FROM orders o LEFT JOIN order_items i ON i.order_id = o.id
        GROUP BY o.id HAVING o.total <> coalesce(sum(quantity * unit_price), 0)
    """
    assert rows(engine, wrong) == []
    assert rows(engine, "SELECT count(*) FROM order_items WHERE order_id NOT IN (SELECT id FROM orders)") == [(0,)]
    for column in ("note", "shipping_address"):
        assert rows(engine, f"SELECT DISTINCT {column} IS NULL FROM orders ORDER BY 1") == [(False,), (True,)]
    assert rows(engine, "SELECT count(*) > 0 FROM orders WHERE octet_length(note) > length(note)") == [(True,)]


@pytest.mark.parametrize(("orders_per_transaction", "transactions"), [(1, 50), (5, 10)])
def test_an_order_is_placed_with_its_items_in_one_transaction(
    engine: Engine, orders_per_transaction: int, transactions: int
) -> None:
    quiet = Traffic(orders_per_transaction=orders_per_transaction, advances=0, amendments=0, moves=0, deletions=0)
    OrderGenerator(engine, quiet).place(50)
    assert rows(engine, "SELECT count(*), count(DISTINCT xmin::text) FROM orders") == [(50, transactions)]
    apart = "SELECT count(*) FROM orders o JOIN order_items i ON i.order_id = o.id AND i.xmin <> o.xmin"
    assert rows(engine, apart) == [(0,)]


def test_two_shops_side_by_side_do_not_disturb_each_other(engine: Engine) -> None:
    first, second = OrderGenerator(engine, Traffic(seed=1)), OrderGenerator(engine, Traffic(seed=2))
    placed = [first.place(60), second.place(60), first.place(60), second.place(60)]
    assert rows(engine, "SELECT count(*) FROM orders") == [(240 - placed[2].deleted - placed[3].deleted,)]


def test_the_generator_keeps_its_rate_until_it_is_stopped(engine: Engine) -> None:
    closing = Event()
    began = time.monotonic()
    for counts in OrderGenerator(engine, Traffic(orders_per_s=100)).run(closing):
        assert counts.placed <= (time.monotonic() - began) * 100 + 1
        if counts.placed >= 100:
            closing.set()
    assert rows(engine, "SELECT count(*) FROM orders") == [(counts.placed - counts.deleted,)]
