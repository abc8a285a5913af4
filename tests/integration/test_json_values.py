"""Tests that every store shows any JSON that PostgreSQL accepts as PostgreSQL prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

import pyarrow as pa
import pytest

from connectors.envelope import SourceTable, ValueEncoding
from pipeline.definitions import DocumentDefinition, ModelDefinitions, TableDefinition
from pipeline.ingest.projection import DocumentProjection, Projection, RowProjection
from pipeline.postgres.database import Connection, connect
from pipeline.verify.comparison_set import ComparisonSet, documents, tables
from pipeline.verify.difference import differences
from pipeline.verify.json_value import Malformed, parsed
from pipeline.verify.readers.duckdb_text import json_text, key_text
from pipeline.verify.readers.elasticsearch import ElasticsearchReader
from pipeline.verify.readers.redis import RedisReader
from pipeline.verify.source.reader import SourceReader
from sinks.batch import Batch, OffsetRange
from sinks.duckdb.store import DuckdbStore
from sinks.elasticsearch.client import EsClient
from sinks.elasticsearch.store import ElasticsearchStore
from sinks.elasticsearch.store import connect as connect_elasticsearch
from sinks.redis.store import RedisStore
from sinks.sink import Sink
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_database
from tests.support.redis_server import shared_server
from tests.unit.connectors.decode.change_records import TOPIC, change, decode
from tests.unit.connectors.decode.test_json_table import bare
from tests.values.json_texts import json_texts

TEXTS = json_texts(seed=1, count=300)
KEYS = [str(number) for number in range(1, len(TEXTS) + 1)]
COLUMNS = {"id": "bigint", "plain": "json", "packed": "jsonb"}
CONTRACT = ModelDefinitions(
    topic_prefix="cdc",
    tables={"orders": TableDefinition(source="public.orders", key=("id",), columns=COLUMNS)},
    documents={"texts": DocumentDefinition(root="orders")},
)
(DOCUMENTS,), (ROWS,) = documents(CONTRACT), tables(CONTRACT)


@pytest.fixture(scope="module")
def source(endpoints: Endpoints) -> Iterator[Connection]:
    """Yield a database whose table has every text in each column that accepts it."""
    with own_database(endpoints, "json_values") as database, connect(database.url) as connection:
        connection.execute("CREATE TABLE orders (id bigint PRIMARY KEY, plain json, packed jsonb)")
        connection.execute(
            """INSERT INTO orders
               SELECT id, CASE WHEN pg_input_is_valid(text, 'json') THEN text::json END,
                          CASE WHEN pg_input_is_valid(text, 'jsonb') THEN text::jsonb END
               FROM unnest(%s::text[]) WITH ORDINALITY AS given (text, id)""",
            [TEXTS],
        )
        yield connection


@pytest.fixture(scope="module")
def envelopes(source: Connection) -> pa.Table:
    """Return the rows as a connector sends them: JSON as the text that PostgreSQL prints."""
    rows = source.execute("SELECT id, plain::text, packed::text FROM orders ORDER BY id").fetchall()
    values = [bare(change("c", after=dict(zip(COLUMNS, row, strict=True)))) for row in rows]
    decoded = decode(values, SourceTable("public.orders", COLUMNS, ValueEncoding.JSON), {})
    assert decoded.rejected == []
    return pa.concat_tables(decoded.envelopes)


def test_the_json_syntax_is_that_of_postgresql(source: Connection) -> None:
    accepted = source.execute("SELECT plain IS NOT NULL FROM orders ORDER BY id").fetchall()
    assert [is_accepted for (is_accepted,) in accepted] == [_is_json(text) for text in TEXTS]


def test_elasticsearch_shows_the_json_that_postgresql_holds(
    source: Connection, envelopes: pa.Table, endpoints: Endpoints
) -> None:
    with connect_elasticsearch(endpoints.elasticsearch, request_timeout_s=60) as client:
        store = ElasticsearchStore(client, CONTRACT.document_shapes())
        try:
            _fill(store.sink(1), DocumentProjection(CONTRACT), envelopes)
            found = ElasticsearchReader((DOCUMENTS,), EsClient(client), store, None).lookup(DOCUMENTS, KEYS)
        finally:
            store.drop_all()
    _require_equal(source, DOCUMENTS, found)


def test_redis_shows_the_json_that_postgresql_holds(source: Connection, envelopes: pa.Table) -> None:
    server = shared_server()
    with server.client() as client, closing(RedisStore(server.url, CONTRACT.document_shapes())) as store:
        client.flushall()
        _fill(store.sink(1), DocumentProjection(CONTRACT), envelopes)
        found = RedisReader((DOCUMENTS,), client, store, None, None).lookup(DOCUMENTS, KEYS)
    _require_equal(source, DOCUMENTS, found)


def test_duckdb_shows_the_json_that_postgresql_holds(source: Connection, envelopes: pa.Table, tmp_path: Path) -> None:
    with closing(DuckdbStore(tmp_path, CONTRACT.row_shapes())) as store:
        _fill(store.sink(1), RowProjection(CONTRACT), envelopes)
        query = f"SELECT {key_text(ROWS.root)}, {json_text(ROWS.root)} FROM orders"
        found = dict(store.instance().execute(query).fetchall())
    _require_equal(source, ROWS, found)


def _is_json(text: str) -> bool:
    with suppress(Malformed):
        parsed(text)
        return True
    return False


def _fill(sink: Sink, projection: Projection, envelopes: pa.Table) -> None:
    projected = projection("orders", envelopes)
    sink.prepare()
    sink.write(
        Batch(projected.mutations, projected.range_tombstones, OffsetRange({(TOPIC, 0): 0}, {(TOPIC, 0): len(TEXTS)}))
    )
    sink.cutover()


def _require_equal(source: Connection, subject: ComparisonSet, found: Mapping[str, str]) -> None:
    held = SourceReader("", source).some(subject, KEYS)
    wrong = {key: differences(subject, key, held[key].text, found.get(key)) for key in KEYS}
    assert {TEXTS[int(key) - 1][:80]: one for key, one in wrong.items() if one} == {}
