"""Readers of the three read models, as users write them: an Elasticsearch query, a Redis GET, a DuckDB SELECT.

They use only the stores' own clients, so they also serve as an example.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import duckdb
import orjson
from elasticsearch import Elasticsearch, NotFoundError
from redis import Redis

from pipeline.config import Settings
from sinks.duckdb.serving import load_extensions

COUNTS = """
SELECT (SELECT count(*) FROM orders) AS orders,
       (SELECT count(*) FROM order_items WHERE order_id IN (SELECT id FROM orders)) AS items
"""
"""Query that works in both PostgreSQL and DuckDB."""


@dataclass(frozen=True)
class Counts:
    """Number of visible orders, and of their items."""

    orders: int
    items: int


class OrdersReader(Protocol):
    """Reader of the orders in one store."""

    def order(self, order_id: int) -> dict[str, Any] | None:
        """Return one order with its items, or None if it is not visible."""

    def counts(self) -> Counts:
        """Count the visible orders and items."""


class ElasticsearchOrders:
    """Reader of the index through its alias."""

    def __init__(self, client: Elasticsearch) -> None:
        self._client = client

    def order(self, order_id: int) -> dict[str, Any] | None:
        try:
            found = self._client.get(index="orders", id=str(order_id))
        except NotFoundError:
            return None
        # A GET by id ignores the alias's filter and also finds the metadata of a deleted order.
        document = dict(found["_source"])
        return document if document.pop("readmodels")["kind"] == "visible" else None

    def counts(self) -> Counts:
        self._client.indices.refresh(index="orders")
        items = {"all": {"nested": {"path": "items"}}}
        found = self._client.search(index="orders", size=0, track_total_hits=True, aggs=items)
        return Counts(found["hits"]["total"]["value"], found["aggregations"]["all"]["doc_count"])


class RedisOrders:
    """Reader of the cache."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def order(self, order_id: int) -> dict[str, Any] | None:
        text = self._client.get(f"orders:{order_id}")
        return None if text is None else dict(orjson.loads(text))

    def counts(self) -> Counts:
        orders = items = 0
        cursor = 0
        while True:
            cursor, keys = self._client.scan(cursor, match="orders:*", count=2_000)
            texts = self._client.mget(keys) if keys else []
            found = [orjson.loads(text) for text in texts if text is not None]
            orders += len(found)
            items += sum(len(document["items"]) for document in found)
            if cursor == 0:
                return Counts(orders, items)


class DuckdbOrders:
    """Reader of the analytics store, through the process that writes it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, address: str, token: str) -> None:
        self._connection = connection
        self._address = address
        self._token = token

    def order(self, order_id: int) -> dict[str, Any] | None:
        orders = self.ask(f"SELECT * FROM orders WHERE id = {order_id:d}")  # noqa: S608
        if not orders:
            return None
        items = self.ask(f"SELECT * FROM order_items WHERE order_id = {order_id:d} ORDER BY id")  # noqa: S608
        return {**orders[0], "items": items}

    def counts(self) -> Counts:
        (found,) = self.ask(COUNTS)
        return Counts(found["orders"], found["items"])

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Send one SELECT."""
        answer = self._connection.execute("FROM quack_query(?, ?, token := ?)", [self._address, query, self._token])
        rows: list[dict[str, Any]] = answer.to_arrow_table().to_pylist()
        return rows


@contextmanager
def open_readers(settings: Settings) -> Iterator[dict[str, OrdersReader]]:
    """Open a reader of each model, by its name."""
    with (
        Elasticsearch(settings.elasticsearch.url) as search,
        Redis.from_url(settings.redis.url) as cache,
        duckdb.connect() as analytics,
    ):
        load_extensions(analytics)
        yield {
            "elasticsearch": ElasticsearchOrders(search),
            "redis": RedisOrders(cache),
            "duckdb": DuckdbOrders(analytics, settings.duckdb.serve, settings.duckdb.token),
        }
