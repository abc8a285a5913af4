"""Comparison of the data that readers of each store see with the final state of the history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import orjson
import pyarrow as pa
import urllib3
from redis import Redis

from bench.carry import GENERATION
from bench.history import History
from pipeline.config import Settings
from sinks.duckdb.store import DuckdbStore
from sinks.shape import RowShape

_PAGE = 5000
_JSON_COLUMNS = ("shipping_address", "attributes")
_ARROW = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "numeric(12,2)": pa.decimal128(12, 2),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
}


def documents(history: History) -> dict[str, dict[str, Any]]:
    """Return the documents that readers must see, by key."""
    return {key: _as_read(document) for key, document in history.documents().items()}


def rows(history: History, shape: RowShape) -> pa.Table:
    """Return the rows that readers must see, in order of id, in DuckDB's types."""
    living = history.orders if shape.table == "orders" else history.items
    table = pa.Table.from_pylist([row for _, row in sorted(living.items())])
    return table.select(list(shape.columns)).cast(
        pa.schema([(name, _ARROW.get(text, pa.string())) for name, text in shape.columns.items()])
    )


def difference_of_duckdb(store: DuckdbStore, settings: Settings, history: History) -> str | None:
    """Describe how the live rows and the number of versions differ from the expected ones; None if they are equal."""
    with closing(store.connection(GENERATION)) as connection:
        for shape in settings.definitions.row_shapes():
            found = connection.execute(f'SELECT * FROM "{shape.table}" ORDER BY id').to_arrow_table()
            expected = rows(history, shape)
            if not found.cast(expected.schema).equals(expected):
                return f"{shape.table}: {found.num_rows} rows, which differ from the {expected.num_rows} expected"
            versions = connection.execute(f'SELECT count(*) FROM versions."{shape.table}"').fetchall()[0][0]
            if versions != history.versions[shape.table]:
                return f"versions.{shape.table}: {versions} versions instead of {history.versions[shape.table]}"
    return None


def difference_of_documents(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    """Describe how documents differ from the expected ones; None if they are equal."""
    keys = [key for key in expected.keys() | found.keys() if found.get(key) != expected.get(key)]
    if not keys:
        return None
    return f"{len(keys)} of {len(expected)} documents differ, among them {', '.join(sorted(keys)[:5])}"


def read_redis(settings: Settings) -> dict[str, Any]:
    """Return all documents by key, as a reader gets them."""
    with closing(Redis.from_url(settings.redis.url)) as redis:
        keys = list(redis.scan_iter("orders:*", _PAGE))
        found: dict[str, Any] = {}
        for first in range(0, len(keys), _PAGE):
            some = keys[first : first + _PAGE]
            texts = zip(some, redis.mget(some), strict=True)
            found |= {key.decode().removeprefix("orders:"): orjson.loads(text or b"null") for key, text in texts}
        return found


def read_elasticsearch(settings: Settings) -> dict[str, Any]:
    """Return all documents by key, as a reader finds them through the alias."""
    with urllib3.PoolManager() as http:
        http.request("POST", f"{settings.elasticsearch.url}/orders/_refresh")
        return {hit["_id"]: _content(hit["_source"]) for hit in _hits(http, settings.elasticsearch.url)}


def _hits(http: urllib3.PoolManager, url: str) -> Iterator[Any]:
    after: list[Any] = []
    while True:
        asked = {"size": _PAGE, "sort": [{"id": "asc"}], **({"search_after": after} if after else {})}
        answer = http.request("POST", f"{url}/orders/_search", json=asked).data
        hits = orjson.loads(answer)["hits"]["hits"]
        if not hits:
            return
        yield from hits
        after = hits[-1]["sort"]


def _content(source: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in source.items() if name != "readmodels"}


def _as_read(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as a document shows it: JSON as a value, not as text."""
    read = {**row, **{name: orjson.loads(row[name]) for name in _JSON_COLUMNS if row.get(name) is not None}}
    if "items" in row:
        read["items"] = [_as_read(item) for item in row["items"]]
    return read
