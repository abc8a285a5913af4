"""Tests of row filters of a source table on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.demo.tables import create_tables
from pipeline.postgres import database
from pipeline.postgres.database import Connection
from pipeline.postgres.row_estimate import InvalidCondition, estimate_rows
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_database

ORDERS = "public.orders"


@pytest.fixture(scope="module")
def connection(endpoints: Endpoints) -> Iterator[Connection]:
    with own_database(endpoints, "conditions") as settings, database.connect(settings.url) as opened:
        create_tables(opened)
        yield opened


@pytest.mark.parametrize(
    "condition",
    [
        "id BETWEEN 1 AND 1000",
        "note LIKE '%) or (%' AND status = 'paid'",
        "note = $a$) -- ; $a$",
        "(id = 1) OR (id = 2)",
        "shipping_address->>'city' = 'Ulm' /* a town */",
        'id = ANY (ARRAY[1, 2]) AND "note" IS NOT NULL',
    ],
)
def test_a_condition_is_one_expression_on_the_table(connection: Connection, condition: str) -> None:
    assert estimate_rows(connection, ORDERS, condition) >= 0


@pytest.mark.parametrize(
    "condition",
    [
        "1=1) or (1=1",
        "true) OR (id > 0) OR (false",
        "1=1] or [1=1",
        "true)) OR ((true",
        "1=1 --",
        "1=1 /*",
        "1=1; DROP TABLE orders",
        "note = 'open",
        'note = "open',
        "1=1 ORDER BY id",
        "1=1) LIMIT 1 --",
        "1=1) UNION SELECT * FROM orders WHERE (1=1",
        "id IN (SELECT order_id FROM order_items)",
        "EXISTS (SELECT 1)",
        "id > (SELECT max(id) FROM orders)",
        "id, id",
        "id",
        "count(*) > 1",
        "",
    ],
)
def test_a_condition_that_is_more_or_less_is_refused(connection: Connection, condition: str) -> None:
    with pytest.raises(InvalidCondition):
        estimate_rows(connection, ORDERS, condition)
