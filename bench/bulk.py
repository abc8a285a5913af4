"""Bulk load of the final state in each store's fastest way, from prepared data.

Only data that readers see is loaded: no versions, no history, no progress.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import urllib3
from redis import Redis

from pipeline.config import Settings
from sinks.duckdb.sql_text import quote_identifier
from sinks.duckdb.store import CHECKPOINT_THRESHOLD
from sinks.duckdb.types import duckdb_type
from sinks.elasticsearch.mapping import IndexSettings, index_body

DOCUMENTS_PER_CALL = 1000
_INDEX = "bulk-load"


class BulkLoadRefused(RuntimeError):
    """A store does not hold the final state after the load."""


def load_redis(settings: Settings, documents: Mapping[str, dict[str, Any]]) -> float:
    """Load documents with MSET into an empty database, and return the seconds."""
    pairs = [(f"orders:{key}", orjson.dumps(document)) for key, document in documents.items()]
    calls = [dict(pairs[first : first + DOCUMENTS_PER_CALL]) for first in range(0, len(pairs), DOCUMENTS_PER_CALL)]
    with closing(Redis.from_url(settings.redis.url)) as redis:
        redis.flushall()
        began = time.perf_counter()
        for call in calls:
            redis.mset(call)
        elapsed_s = time.perf_counter() - began
        if redis.dbsize() != len(documents):
            raise BulkLoadRefused(f"Redis holds {redis.dbsize()} of {len(documents)} documents")
        redis.flushall()
    return elapsed_s


def load_elasticsearch(settings: Settings, documents: Mapping[str, dict[str, Any]]) -> float:
    """Load documents with `_bulk` into a new index with a generation's mapping and settings, and return the seconds."""
    (shape,) = settings.definitions.document_shapes()
    lines = [
        b'{"create":{"_id":%b}}\n%b\n' % (orjson.dumps(key), orjson.dumps(document))
        for key, document in documents.items()
    ]
    bodies = [b"".join(lines[first : first + DOCUMENTS_PER_CALL]) for first in range(0, len(lines), DOCUMENTS_PER_CALL)]
    place = f"{settings.elasticsearch.url}/{_INDEX}"
    with urllib3.PoolManager(headers={"content-type": "application/x-ndjson"}) as http:
        http.request("DELETE", place)
        _require(http.request("PUT", place, json=index_body(shape, IndexSettings())))
        began = time.perf_counter()
        for body in bodies:
            _require(http.request("POST", f"{place}/_bulk?filter_path=errors,items.*.error", body=body))
        elapsed_s = time.perf_counter() - began
        _require(http.request("POST", f"{place}/_refresh"))
        count = orjson.loads(http.request("GET", f"{place}/_count").data)["count"]
        if count != len(documents):
            raise BulkLoadRefused(f"Elasticsearch holds {count} of {len(documents)} documents")
        http.request("DELETE", place)
    return elapsed_s


def load_duckdb(folder: Path, tables: Mapping[str, pa.Table], columns: Mapping[str, Mapping[str, str]]) -> float:
    """Load tables with INSERT from Arrow into a new file, in one transaction, and return the seconds."""
    with closing(duckdb.connect(folder / "bulk.duckdb")) as connection:
        connection.execute(f"SET checkpoint_threshold = '{CHECKPOINT_THRESHOLD}'")
        for name in tables:
            declared = ", ".join(
                f"{quote_identifier(column)} {duckdb_type(text)}" for column, text in columns[name].items()
            )
            connection.execute(f"CREATE TABLE {quote_identifier(name)} ({declared})")
        began = time.perf_counter()
        connection.execute("BEGIN")
        for name, table in tables.items():
            connection.register("incoming", table)
            connection.execute(f"INSERT INTO {quote_identifier(name)} SELECT * FROM incoming")
        connection.execute("COMMIT")
        elapsed_s = time.perf_counter() - began
        counts = [
            connection.execute(f"SELECT count(*) FROM {quote_identifier(name)}").fetchall()[0][0] for name in tables
        ]
    if counts != [table.num_rows for table in tables.values()]:
        raise BulkLoadRefused(f"DuckDB holds {counts} rows")
    return elapsed_s


def _require(answer: urllib3.BaseHTTPResponse) -> None:
    if answer.status >= 300 or b'"errors":true' in answer.data:
        raise BulkLoadRefused(f"Elasticsearch answered {answer.status}: {answer.data[:200]!r}")
