"""Continuous readers, one per store; each reads the same few orders and records every changed answer."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import urllib3
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from sinks.duckdb.serving import load_extensions
from stack.endpoints import Endpoints

PROBED = range(1, 7)
"""Orders of the shop whose every answer is checked."""
ANSWERS_WITHIN_S = 2.0
TICK_S = 0.15
SELECT_TICK_S = 0.5
"""Time between two queries; a SELECT costs more."""
COPY_TICK_S = 2.0


class Name(NamedTuple):
    """The name of a versioned item: the row of an order, or an item as a part of an order."""

    order_id: int
    item_id: int | None = None


Versions = dict[Name, int]
"""The value of every name in an answer."""


class Answer(NamedTuple):
    """Values, and the orders whose items the answer covers: a missing document says nothing about its parts."""

    shown: Versions
    whole: frozenset[int]


Ask = Callable[[], Answer]


class Reader:
    """A loop that queries one store.

    Attributes:
        seen: per name, the successive values; None while the name was missing.
        answers, failures: number of queries that succeeded and that failed.
    """

    def __init__(self, name: str, ask: Ask, tick_s: float) -> None:
        self.name = name
        self.seen: defaultdict[Name, list[int | None]] = defaultdict(list)
        self.answers = 0
        self.failures = 0
        self._ask = ask
        self._tick_s = tick_s

    def read(self, stop: threading.Event) -> None:
        """Query until `stop` is set; retry while the store does not answer."""
        while not stop.is_set():
            try:
                self.note(self._ask())
                self.answers += 1
            except (OSError, urllib3.exceptions.HTTPError, RedisError, duckdb.Error):
                self.failures += 1
            stop.wait(self._tick_s)

    def note(self, answer: Answer) -> None:
        """Record the new values of an answer."""
        parts = {name for name in self.seen if name.item_id is not None and name.order_id in answer.whole}
        for name in {*map(Name, PROBED), *parts, *answer.shown}:
            value = answer.shown.get(name)
            if not self.seen[name] or self.seen[name][-1] != value:
                self.seen[name].append(value)

    def forget(self) -> None:
        """Keep only the last values, because the earlier ones have been checked."""
        for name, values in list(self.seen.items()):
            del values[:-1]
            if name.item_id is not None and values == [None]:
                del self.seen[name]


@contextmanager
def reading(readers: Sequence[Reader]) -> Iterator[None]:
    """Run the readers during the block."""
    until = threading.Event()
    threads = [threading.Thread(target=reader.read, args=(until,), name=reader.name) for reader in readers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        until.set()
        for thread in threads:
            thread.join()


def readers_of(endpoints: Endpoints) -> list[Reader]:
    """Return a reader for every store, and one for DuckDB's published copy."""
    copy = Path(endpoints.duckdb_copy)
    return [
        Reader("elasticsearch", _found(endpoints.elasticsearch), TICK_S),
        Reader("redis", _got(endpoints.redis), TICK_S),
        Reader("duckdb", _selected(endpoints.duckdb, endpoints.duckdb_token), SELECT_TICK_S),
        Reader("published copy", lambda: _published(copy), COPY_TICK_S),
    ]


def _found(url: str) -> Ask:
    http = urllib3.PoolManager(timeout=ANSWERS_WITHIN_S, retries=False)
    query = {"size": len(PROBED), "query": {"terms": {"id": list(PROBED)}}, "_source": ["id", "customer_id", "items"]}

    def ask() -> Answer:
        answer = http.request("POST", f"{url}/orders/_search?allow_partial_search_results=false", json=query)
        if answer.status != 200:
            raise OSError(answer.status)
        return _of_documents([hit["_source"] for hit in json.loads(answer.data)["hits"]["hits"]])

    return ask


def _got(url: str) -> Ask:
    client = Redis.from_url(
        url,
        socket_timeout=ANSWERS_WITHIN_S,
        socket_connect_timeout=ANSWERS_WITHIN_S,
        retry=Retry(NoBackoff(), 0),
    )
    keys = [f"orders:{order_id}" for order_id in PROBED]

    def ask() -> Answer:
        return _of_documents([json.loads(text) for text in client.mget(keys) if text is not None])

    return ask


def _of_documents(documents: Sequence[Mapping[str, Any]]) -> Answer:
    shown: Versions = {}
    for document in documents:
        shown[Name(document["id"])] = document["customer_id"]
        for item in document["items"]:
            shown[Name(document["id"], item["id"])] = item["attributes"]["value"]
    return Answer(shown, frozenset(document["id"] for document in documents))


_IDS = ", ".join(map(str, PROBED))
SELECT = f"""
    SELECT id, NULL AS item_id, customer_id AS value FROM orders WHERE id IN ({_IDS})
    UNION ALL
    SELECT order_id, id, (attributes ->> 'value')::BIGINT FROM order_items WHERE order_id IN ({_IDS})
"""


def _selected(address: str, token: str) -> Ask:
    connection = duckdb.connect()
    load_extensions(connection)
    return lambda: _of_rows(connection.execute("FROM quack_query(?, ?, token := ?)", [address, SELECT, token]))


def _published(path: Path) -> Answer:
    with duckdb.connect(str(path), read_only=True) as connection:
        return _of_rows(connection.execute(SELECT))


def _of_rows(answer: duckdb.DuckDBPyConnection) -> Answer:
    shown = {Name(order_id, item_id): value for order_id, item_id, value in answer.fetchall()}
    return Answer(shown, frozenset(PROBED))
