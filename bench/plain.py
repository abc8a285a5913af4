"""Plain read of the data that `verify` compares, as an external comparison would read it; the data is discarded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import orjson
import psycopg
import urllib3
from psycopg import sql
from redis import Redis

from pipeline.config import Settings
from pipeline.read_models import READ_MODELS
from pipeline.verify.comparison_set import comparison_sets
from pipeline.verify.readers.duckdb import open_duckdb_reader
from pipeline.verify.source.query import SourceQuery

_PAGE = 5_000


def read_source(model: str, settings: Settings, source: psycopg.Connection[Any]) -> None:
    """Read from PostgreSQL the documents or rows of a model, in the form in which the model shows them."""
    for subject in comparison_sets(READ_MODELS[model].kind, settings.definitions):
        _copy(source, sql.SQL("COPY ({}) TO STDOUT").format(SourceQuery(subject).texts()))


def read_tables(settings: Settings, source: psycopg.Connection[Any]) -> None:
    """Read the tables themselves, in a form that cannot be compared with a model."""
    for table in settings.definitions.tables.values():
        _copy(source, sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(*table.source.split("."))))


def _copy(source: psycopg.Connection[Any], query: sql.Composed) -> None:
    with source.cursor() as cursor, cursor.copy(query) as answer:
        for _ in answer:
            pass


@contextmanager
def store_reader(model: str, settings: Settings) -> Iterator[Callable[[], object]]:
    """Open a store, and yield a function that reads all of it in the store's fastest way."""
    if model == "duckdb":
        with open_duckdb_reader(settings) as shown:
            yield lambda: [shown.ask(f'FROM "{table}"').to_arrow_table() for table in settings.definitions.tables]
    elif model == "redis":
        with Redis.from_url(settings.redis.url) as client:
            yield lambda: _read_redis(client, settings)
    else:
        with urllib3.PoolManager() as http:
            yield lambda: _read_elasticsearch(http, settings)


def _read_redis(client: Redis, settings: Settings) -> None:
    for name in settings.definitions.documents:
        cursor = 0
        while True:
            cursor, keys = client.scan(cursor, match=f"{name}:*", count=_PAGE)
            if keys:
                client.mget(keys)
            if cursor == 0:
                break


class _Hit(msgspec.Struct):
    sort: list[int]


class _Hits(msgspec.Struct):
    hits: list[_Hit]


class _Answer(msgspec.Struct):
    hits: _Hits


def _read_elasticsearch(http: urllib3.PoolManager, settings: Settings) -> None:
    url = settings.elasticsearch.url
    for name in settings.definitions.documents:
        http.request("POST", f"{url}/{name}/_refresh")
        moment = orjson.loads(http.request("POST", f"{url}/{name}/_pit?keep_alive=5m").data)["id"]
        after: dict[str, Any] = {}
        while True:
            asked = {
                "size": _PAGE,
                "pit": {"id": moment, "keep_alive": "5m"},
                "sort": ["_shard_doc"],
                "track_total_hits": False,
                **after,
            }
            hits = msgspec.json.decode(http.request("POST", f"{url}/_search", json=asked).data, type=_Answer).hits.hits
            if not hits:
                break
            after = {"search_after": hits[-1].sort}
        http.request("DELETE", f"{url}/_pit", json={"id": moment})
