"""Readers that never stop: each asks its store for the same few orders again and again, and writes down what it saw."""

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
"""Between two questions, and between two writes: what asks more often takes the processor from what is asked."""
SELECT_TICK_S = 1.0
"""The same for a SELECT, which costs more."""
MARKED_FIELD = "currency"
"""The column of orders by which the documents of two generations are told apart."""
MARKED_ITEM_FIELD = "attributes"
"""That of their items."""

Ask = Callable[[], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Look:
    """One answer: when it came, which total the probe had, how many orders there were, and of which generations."""

    at: float
    total: int
    count: int
    is_marked: frozenset[bool]


@dataclass
class Reader:
    """One store, asked over and over."""

    name: str
    ask: Ask
    probe: int
    tick_s: float = TICK_S
    looks: list[Look] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def read(self, stop: threading.Event) -> None:
        """Ask until `stop` is set; an error is written down, and the next question asked."""
        while not stop.is_set():
            try:
                orders = self.ask()
                probed = [order for order in orders if order["id"] == self.probe]
                total = int(Decimal(str(probed[0]["total"]))) if probed else -1
                watermarks = {bool(one) for order in orders for one in _marks(order)}
                self.looks.append(Look(time.monotonic(), total, len(orders), frozenset(watermarks)))
            except Exception as error:  # noqa: BLE001 - what a reader meets is what the test is about
                self.errors.append(f"{type(error).__name__}: {error}")
            time.sleep(self.tick_s)

    def worst_regress_s(self, committed: Mapping[int, float]) -> float:
        """By how much an answer was older than one before it, in seconds of commits."""
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
    """Readers of every store, and a writer who raises the probe's total with each commit."""

    readers: list[Reader]
    committed: dict[int, float]

    def sees(self, *, is_marked: bool) -> None:
        """Wait until each reader's last answer is of the generation that has the marked columns, or has not."""
        for reader in self.readers:
            wait_for(
                lambda reader=reader: reader.looks and reader.looks[-1].is_marked == {is_marked},  # type: ignore[misc]
                60,
                lambda reader=reader: f"{reader.name} sees {reader.looks[-1:]}, {reader.errors[-1:]}",  # type: ignore[misc]
            )


@contextmanager
def open_shop(pipeline: Pipeline, probe: int, others: Sequence[int]) -> Iterator[Shop]:
    """Let readers of all stores read, and the probe be written, while the block runs."""
    until = threading.Event()
    ids = [probe, *others]
    readers = [
        Reader("elasticsearch", lambda: _found(pipeline, ids), probe),
        Reader("redis", _got(pipeline, ids), probe),
        Reader("duckdb", _selected(pipeline, ids), probe, SELECT_TICK_S),
        Reader("published copy", lambda: _published(Path(pipeline.endpoints.duckdb_copy), ids), probe, SELECT_TICK_S),
    ]
    for reader in readers:
        # A search and a copy lag; from here on, whatever is missing is missed.
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
    """A question about both tables, so that an answer tells of which generation each of them is."""
    chosen = ", ".join(map(str, ids))
    return (
        "SELECT to_json(o)::VARCHAR, to_json(list(i))::VARCHAR FROM orders AS o JOIN order_items AS i"
        f" ON i.order_id = o.id WHERE o.id IN ({chosen}) GROUP BY ALL"
    )


def _orders_of(answer: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    return [{**json.loads(order), "items": json.loads(items)} for order, items in answer.fetchall()]
