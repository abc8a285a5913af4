"""Typical handwritten workers, one per store, as a fair comparison.

Each consumes 10,000 records at a time, decodes every value with fastavro, keeps the last row per key in a dictionary,
and writes the result of the batch in one call of the store's own bulk interface: a flat row per key, without documents,
history, or protection against repeated or reordered records. The offsets are committed after each batch. At the end the
rows are counted.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import fastavro
import orjson
import pyarrow as pa
from confluent_kafka import Consumer, TopicPartition
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk
from redis import Redis

from bench.carry import Clock, Duration
from bench.envelopes import Envelopes
from bench.log import Log
from pipeline.config import Settings
from pipeline.ingest.consumer import BACKOFF_MS
from sinks.duckdb.sql_text import quote_identifier
from sinks.duckdb.types import duckdb_type
from sinks.elasticsearch.mapping import IndexSettings, index_body
from sinks.shape import DocumentShape

RECORDS_PER_BATCH = 10_000
_HEADER_BYTES = 5

Row = dict[str, Any]
Left = Mapping[str, Mapping[int, Row | None]]
"""Last row of a batch by table and key, or None if it was deleted."""


@dataclass(frozen=True)
class Store:
    """Store of a handwritten worker.

    Args:
        write: writes the rows of a batch.
        count: counts the rows of every table.
    """

    write: Callable[[Left], object]
    count: Callable[[], dict[str, int]]


def catch_up(
    model: str, settings: Settings, log: Log, envelopes: Mapping[str, Envelopes]
) -> tuple[Duration, dict[str, int]]:
    """Apply a whole log to a store, then count the rows of every table.

    The time is measured from the assignment until the last batch is written, as in `bench.carry`.
    """
    clock = Clock()
    schemas = {table: fastavro.parse_schema(one.schema) for table, one in envelopes.items()}
    tables = dict(settings.definitions.topics)

    def assigned(consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.assign([TopicPartition(place.topic, place.partition, 0) for place in places])
        clock.start()

    kafka = settings.kafka.with_client(
        group_id=f"bench.handwritten.{uuid.uuid4()}",
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_queue_backoff_ms=BACKOFF_MS,
    )
    with _STORES[model](settings) as store, closing(Consumer(kafka)) as consumer:
        consumer.subscribe(list(log.topics), on_assign=assigned)
        count = 0
        while count < log.record_count:
            left: dict[str, dict[int, Row | None]] = {table: {} for table in tables.values()}
            for message in consumer.consume(RECORDS_PER_BATCH, 10.0 if count == 0 else 0.2):
                if message.error():
                    continue
                count += 1
                value = message.value()
                if value is None:
                    continue
                table = tables[message.topic() or ""]
                envelope: Any = fastavro.schemaless_reader(io.BytesIO(value[_HEADER_BYTES:]), schemas[table], None)
                row = envelope["after"] or envelope["before"]
                left[table][row["id"]] = envelope["after"]
            store.write(left)
            clock.stop()
            consumer.commit(asynchronous=False)
        return clock.duration, store.count()


@contextmanager
def _elasticsearch(settings: Settings) -> Iterator[Store]:
    names = {table: f"handwritten-{table.replace('_', '-')}" for table in settings.definitions.tables}
    with Elasticsearch(settings.elasticsearch.url, request_timeout=120) as client:

        def write(left: Left) -> None:
            actions = [
                {"_op_type": "index", "_index": names[table], "_id": str(key), "_source": row}
                if row is not None
                else {"_op_type": "delete", "_index": names[table], "_id": str(key)}
                for table, rows in left.items()
                for key, row in rows.items()
            ]
            bulk(client, actions, chunk_size=RECORDS_PER_BATCH, raise_on_error=False)

        def count() -> dict[str, int]:
            client.indices.refresh(index=list(names.values()))
            return {table: client.count(index=name)["count"] for table, name in names.items()}

        for table, one in settings.definitions.tables.items():
            client.indices.delete(index=names[table], ignore_unavailable=True)
            body = index_body(DocumentShape(table, one.columns), IndexSettings())
            client.indices.create(index=names[table], settings=body["settings"], mappings=body["mappings"])
        yield Store(write, count)
        client.indices.delete(index=list(names.values()))


@contextmanager
def _redis(settings: Settings) -> Iterator[Store]:
    with closing(Redis.from_url(settings.redis.url)) as client:

        def write(left: Left) -> None:
            with client.pipeline(transaction=False) as pipeline:
                for table, rows in left.items():
                    for key, row in rows.items():
                        if row is None:
                            pipeline.delete(f"{table}:{key}")
                        else:
                            pipeline.set(f"{table}:{key}", orjson.dumps(row))
                pipeline.execute()

        def count() -> dict[str, int]:
            return {
                table: sum(1 for _ in client.scan_iter(f"{table}:*", 5000)) for table in settings.definitions.tables
            }

        client.flushall()
        yield Store(write, count)
        client.flushall()


@contextmanager
def _duckdb(settings: Settings) -> Iterator[Store]:
    with TemporaryDirectory(prefix="bench-") as folder, closing(duckdb.connect(Path(folder) / "own.duckdb")) as store:

        def write(left: Left) -> None:
            store.execute("BEGIN")
            for table, rows in left.items():
                if not rows:
                    continue
                name, columns = quote_identifier(table), settings.definitions.tables[table].columns
                keys = pa.table({"id": list(rows)})
                alive = [{column: row[column] for column in columns} for row in rows.values() if row is not None]
                store.register("keys", keys)
                store.execute(f"DELETE FROM {name} WHERE id IN (SELECT id FROM keys)")
                if alive:
                    store.register("incoming", pa.Table.from_pylist(alive))
                    store.execute(f"INSERT INTO {name} SELECT * FROM incoming")
            store.execute("COMMIT")

        def count() -> dict[str, int]:
            return {
                table: store.execute(f"SELECT count(*) FROM {quote_identifier(table)}").fetchall()[0][0]
                for table in settings.definitions.tables
            }

        for table, one in settings.definitions.tables.items():
            declared = ", ".join(
                f"{quote_identifier(column)} {duckdb_type(text)}" for column, text in one.columns.items()
            )
            store.execute(f"CREATE TABLE {quote_identifier(table)} ({declared})")
        yield Store(write, count)


_STORES = {"elasticsearch": _elasticsearch, "redis": _redis, "duckdb": _duckdb}
