"""Continuous readers: each queries its store for the same few orders and records the answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from redis import Redis

from sinks.duckdb.serving import load_extensions
from tests.acceptance.models import HTTP
from tests.acceptance.pipeline_fixture import Pipeline
from tests.support.waiting import wait_for

TICK_S = 0.2
"""Time between two queries, and between two writes; shorter intervals would slow down the stores."""
SELECT_TICK_S = 1.0
"""Time between two SELECTs, which cost more."""
MARKED_FIELD = "currency"
"""Column of orders that distinguishes the documents of two generations."""
MARKED_ITEM_FIELD = "attributes"
"""Column of their items that does the same."""

Ask = Callable[[], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Look:
    """One answer: its time, the probe's total, the number of orders, and their generations."""

    at: float
    total: int
    count: int
    is_marked: frozenset[bool]


@dataclass
class Reader:
    """A loop that queries one store."""

    name: str
    ask: Ask
    probe: int
    tick_s: float = TICK_S
    looks: list[Look] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def read(self, stop: threading.Event) -> None:
        """Query until `stop` is set; record an error and continue."""
        while not stop.is_set():
            try:
                orders = self.ask()
                probed = [order for order in orders if order["id"] == self.probe]
                total = int(Decimal(str(probed[0]["total"]))) if probed else -1
                marks = {bool(one) for order in orders for one in _marks(order)}
                self.looks.append(Look(time.monotonic(), total, len(orders), frozenset(marks)))
            except Exception as error:  # noqa: BLE001 - what a reader meets is what the test is about
                self.errors.append(f"{type(error).__name__}: {error}")
            time.sleep(self.tick_s)

    def worst_regress_s(self, committed: Mapping[int, float]) -> float:
        """Return the largest step back from one answer to a later one, in seconds of commits."""
        worst, newest = 0.0, -1
        for look in self.looks:
            if look.total < newest:
                worst = max(worst, committed[newest] - committed.get(look.total, committed[0]))
            newest = max(newest, look.total)
        return worst


def _marks(order: Mapping[str, Any]) -> Iterator[bool]:
    yield MARKED_FIELD in order
    for item in order["items"]:
        yield MARKED_ITEM_FIELD in item


@dataclass
class Shop:
    """Readers of every store, and a writer that raises the probe's total with each commit."""

    readers: list[Reader]
    committed: dict[int, float]

    def sees(self, *, is_marked: bool) -> None:
        """Wait until each reader's last answer is of the generation with (or without) the marked columns."""
        for reader in self.readers:
            wait_for(
                lambda reader=reader: reader.looks and reader.looks[-1].is_marked == {is_marked},  # type: ignore[misc]
                60,
                lambda reader=reader: f"{reader.name} sees {reader.looks[-1:]}, {reader.errors[-1:]}",  # type: ignore[misc]
            )


@contextmanager
def open_shop(pipeline: Pipeline, probe: int, others: Sequence[int]) -> Iterator[Shop]:
    """Run readers of all stores, and write the probe, while the block runs."""
    until = threading.Event()
    ids = [probe, *others]
    readers = [
        Reader("elasticsearch", lambda: _found(pipeline, ids), probe),
        Reader("redis", _got(pipeline, ids), probe),
        Reader("duckdb", _selected(pipeline, ids), probe, SELECT_TICK_S),
        Reader("published copy", lambda: _published(Path(pipeline.endpoints.duckdb_copy), ids), probe, SELECT_TICK_S),
    ]
    for reader in readers:
        # A search and a published copy lag. From here on, a missing order is an error.
        wait_for(partial(_is_found, reader, len(ids)), 60, lambda: "not every order is found")
    shop = Shop(readers, {})
    threads = [threading.Thread(target=reader.read, args=(until,), name=reader.name) for reader in readers]
    threads.append(threading.Thread(target=_write, args=(pipeline.endpoints.postgres, probe, shop.committed, until)))
    for thread in threads:
        thread.start()
    try:
        yield shop
    finally:
        until.set()
        for thread in threads:
            thread.join()


def _is_found(reader: Reader, count: int) -> bool:
    try:
        return len(reader.ask()) == count
    except duckdb.Error:
        return False


def _write(url: str, probe: int, committed: dict[int, float], stop: threading.Event) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        total = 0
        while not stop.is_set():
            connection.execute("UPDATE orders SET total = %s WHERE id = %s", [total, probe])
            committed[total] = time.monotonic()
            total += 1
            time.sleep(TICK_S)


def _found(pipeline: Pipeline, ids: Sequence[int]) -> list[dict[str, Any]]:
    query = {"size": 100, "query": {"terms": {"id": list(ids)}}}
    answer = HTTP.request("POST", f"{pipeline.endpoints.elasticsearch}/orders/_search", json=query)
    assert answer.status == 200, answer.data[:300]
    return [hit["_source"] for hit in json.loads(answer.data)["hits"]["hits"]]


def _got(pipeline: Pipeline, ids: Sequence[int]) -> Ask:
    client = Redis.from_url(pipeline.endpoints.redis)
    return lambda: [json.loads(text) for text in client.mget([f"orders:{one}" for one in ids]) if text is not None]


def _selected(pipeline: Pipeline, ids: Sequence[int]) -> Ask:
    connection = duckdb.connect()
    load_extensions(connection)
    ask = "FROM quack_query(?, ?, token := ?)"
    address, token = pipeline.endpoints.duckdb, pipeline.endpoints.duckdb_token
    return lambda: _orders_of(connection.execute(ask, [address, _joined(ids), token]))


def _published(path: Path, ids: Sequence[int]) -> list[dict[str, Any]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return _orders_of(connection.execute(_joined(ids)))


def _joined(ids: Sequence[int]) -> str:
    """Return a query of both tables, so that an answer shows the generation of each of them."""
    chosen = ", ".join(map(str, ids))
    return (
        "SELECT to_json(o)::VARCHAR, to_json(list(i))::VARCHAR FROM orders AS o JOIN order_items AS i"
        f" ON i.order_id = o.id WHERE o.id IN ({chosen}) GROUP BY ALL"
    )


def _orders_of(answer: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    return [{**json.loads(order), "items": json.loads(items)} for order, items in answer.fetchall()]
