"""Limit of each sink: the minimum that its store must do with the same batches, without order, history and progress."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import orjson
import pyarrow as pa
from redis import Redis

from bench.bulk import DOCUMENTS_PER_CALL
from bench.carry import GENERATION, Nowhere, carry
from bench.log import Log
from bench.throughput import Report
from pipeline import read_models
from pipeline.config import DuckdbSettings, Settings
from sinks.batch import Batch
from sinks.duckdb.sql_text import quote_identifier
from sinks.duckdb.store import CHECKPOINT_THRESHOLD
from sinks.duckdb.types import cast_expression, duckdb_type
from sinks.ordering.fold import compact
from sinks.sink import Sink


class Kept(Nowhere):
    """Sink that keeps its batches, so that they can be written repeatedly."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []

    def write(self, batch: Batch) -> None:
        self.batches.append(batch)
        super().write(batch)


@dataclass
class Pair:
    """Total seconds of a sink and of the minimum for the same batches, over all repetitions."""

    sink_s: list[float] = field(default_factory=list)
    least_s: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Speed of the sink as a share of the minimum's speed."""
        return median(self.least_s) / median(self.sink_s)


def measure(
    settings: Settings, log: Log, documents: Mapping[str, dict[str, Any]], repetitions: int, report: Report
) -> dict[str, Pair]:
    """Write the log's batches to DuckDB and Redis, with the sinks and with minimal code, in turn.

    Args:
        documents: the documents that the minimal code writes to Redis for a change.
    """
    kept = {model: _batches(model, settings, log) for model in ("duckdb", "redis")}
    pairs = {model: Pair() for model in kept}
    for repetition in range(1, repetitions + 1):
        report(f"{repetition}/{repetitions}  limits of duckdb and redis")
        pairs["duckdb"].sink_s.append(_duckdb_sink(settings, kept["duckdb"]))
        pairs["duckdb"].least_s.append(_duckdb_least(settings, kept["duckdb"]))
        pairs["redis"].sink_s.append(_redis_sink(settings, kept["redis"]))
        pairs["redis"].least_s.append(_redis_least(settings, kept["redis"], documents))
    return pairs


def _batches(model: str, settings: Settings, log: Log) -> list[Batch]:
    sink = Kept()
    carry(model, sink, settings, log)
    return sink.batches


def _duckdb_sink(settings: Settings, batches: Sequence[Batch]) -> float:
    with TemporaryDirectory(prefix="bench-") as folder:
        own = settings.model_copy(update={"duckdb": DuckdbSettings(directory=Path(folder))})
        with read_models.open_store("duckdb", own) as store:
            return _timed(store.sink(GENERATION), batches)


def _redis_sink(settings: Settings, batches: Sequence[Batch]) -> float:
    with closing(Redis.from_url(settings.redis.url)) as redis:
        redis.flushall()
    with read_models.open_store("redis", settings) as store:
        return _timed(store.sink(GENERATION), batches)


def _timed(sink: Sink, batches: Sequence[Batch]) -> float:
    sink.prepare()
    began = time.perf_counter()
    for batch in batches:
        sink.write(batch)
    return time.perf_counter() - began


def _duckdb_least(settings: Settings, batches: Sequence[Batch]) -> float:
    """Write the last version per key of each batch with DELETE … IN and INSERT, in one transaction per batch."""
    shapes = {shape.table: shape for shape in settings.definitions.row_shapes()}
    with TemporaryDirectory(prefix="bench-") as folder, duckdb.connect(Path(folder) / "least.duckdb") as connection:
        connection.execute(f"SET checkpoint_threshold = '{CHECKPOINT_THRESHOLD}'")
        for shape in shapes.values():
            declared = ", ".join(
                f"{quote_identifier(column)} {duckdb_type(text)}" for column, text in shape.columns.items()
            )
            connection.execute(f"CREATE TABLE {quote_identifier(shape.table)} ({declared})")
        folded = [
            [(one.target, compact(one.changes, shapes[one.target].key)) for one in batch.mutations] for batch in batches
        ]
        began = time.perf_counter()
        for changes in folded:
            connection.execute("BEGIN")
            for table, rows in changes:
                _replace(connection, table, rows, shapes[table].columns)
            connection.execute("COMMIT")
        return time.perf_counter() - began


def _replace(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table, columns: Mapping[str, str]) -> None:
    values = ", ".join(cast_expression(quote_identifier(column), text) for column, text in columns.items())
    connection.register("incoming", rows)
    connection.execute(f"DELETE FROM {quote_identifier(table)} WHERE id IN (SELECT id FROM incoming)")
    connection.execute(f"INSERT INTO {quote_identifier(table)} SELECT {values} FROM incoming WHERE NOT _deleted")


def _redis_least(settings: Settings, batches: Sequence[Batch], documents: Mapping[str, dict[str, Any]]) -> float:
    """Write every document that a batch changes with MSET, regardless of the stored version."""
    texts = {key: orjson.dumps(document) for key, document in documents.items()}
    usual = next(iter(texts.values()))
    calls = []
    for batch in batches:
        keys = [key for one in batch.mutations for key in one.changes["key"].unique().to_pylist()]
        pairs = [(f"orders:{key}", texts.get(key, usual)) for key in dict.fromkeys(keys)]
        calls += [dict(pairs[first : first + DOCUMENTS_PER_CALL]) for first in range(0, len(pairs), DOCUMENTS_PER_CALL)]
    with closing(Redis.from_url(settings.redis.url)) as redis:
        redis.flushall()
        began = time.perf_counter()
        for call in calls:
            redis.mset(call)
        elapsed_s = time.perf_counter() - began
        redis.flushall()
    return elapsed_s
