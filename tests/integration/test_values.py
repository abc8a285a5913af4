"""Tests of every type with its extreme values, from a real connector into the three real stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from pipeline.ingest.projection import DocumentProjection, RowProjection
from pipeline.verify.comparison_set import documents, tables
from pipeline.verify.difference import differences
from pipeline.verify.json_value import json_equal, parsed
from pipeline.verify.readers.duckdb_text import json_text, key_text
from pipeline.verify.readers.elasticsearch import ElasticsearchReader
from pipeline.verify.readers.redis import RedisReader
from pipeline.verify.source.reader import open_source_reader
from sinks.batch import Batch, OffsetRange
from sinks.duckdb.store import DuckdbStore
from sinks.elasticsearch.client import EsClient
from sinks.elasticsearch.store import ElasticsearchStore, connect
from sinks.redis.store import RedisStore
from sinks.sink import Sink
from stack.endpoints import Endpoints
from tests.support.redis_server import shared_server
from tests.values.extremes import COLUMNS
from tests.values.logged import CONTRACT, GENERATED, TOPIC, Logged, logged
from tests.values.page import PAGE, page

(DOCUMENTS,) = documents(CONTRACT)
(ROWS,) = tables(CONTRACT)
MODELS = ("elasticsearch", "redis", "duckdb")


@dataclass(frozen=True)
class Shown:
    """The value of every row in each store, and the value expected by PostgreSQL, by key.

    Attributes:
        printed: every value as PostgreSQL prints it.
        special: values that DuckDB stores beside a row.
    """

    log: Logged
    found: Mapping[str, Mapping[str, str]]
    expected: Mapping[str, Mapping[str, str]]
    printed: Mapping[str, Mapping[str, str | None]]
    special: Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def shown(endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with logged(endpoints) as log:
        keys = [str(number) for number in range(1, log.snapshot.num_rows + 1)]
        with open_source_reader(log.url) as side:
            held = {"documents": side.some(DOCUMENTS, keys), "rows": side.some(ROWS, keys)}
            printed = _printed(side)
        texts = {form: {key: one.text for key, one in found.items()} for form, found in held.items()}
        duckdb, special = _duckdb(log, tmp_path_factory.mktemp("duckdb"))
        found = {"elasticsearch": _elasticsearch(log, endpoints, keys), "redis": _redis(log, keys), "duckdb": duckdb}
        expected = {model: texts["rows" if model == "duckdb" else "documents"] for model in MODELS}
        yield Shown(log, found, expected, printed, special)


def test_a_row_arrives_the_same_in_a_snapshot_and_in_a_change(shown: Shown) -> None:
    projected = [DocumentProjection(CONTRACT)("extremes", table) for table in (shown.log.snapshot, shown.log.streamed)]
    snapshot, streamed = ([parsed(text) for text in _images(one)] for one in projected)
    assert len(snapshot) == len(streamed) > 0
    different = [
        (COLUMNS[name], one[name], other[name])
        for one, other in zip(snapshot, streamed, strict=True)
        for name in COLUMNS
        if not json_equal(one[name], other[name])
    ]
    assert different == []


@pytest.mark.parametrize("model", MODELS)
def test_every_extreme_value_is_as_in_postgresql(shown: Shown, model: str) -> None:
    subject = ROWS if model == "duckdb" else DOCUMENTS
    expected, found = shown.expected[model], shown.found[model]
    assert found.keys() == expected.keys()
    assert {key: differences(subject, key, expected[key], found[key]) for key in expected} == {
        key: [] for key in expected
    }


@pytest.mark.parametrize("model", MODELS)
def test_a_stored_generated_column_arrives(shown: Shown, model: str) -> None:
    sent = {key: Decimal(parsed(text)[GENERATED]) for key, text in shown.found[model].items()}
    assert sent == {key: int(key) * Decimal("1.50") for key in shown.printed}


@pytest.mark.parametrize("model", MODELS)
def test_no_null_arrives_as_the_default_of_its_column(shown: Shown, model: str) -> None:
    nulls = [(key, name) for key, row in shown.printed.items() for name, value in row.items() if value is None]
    assert {name for _, name in nulls} == {name for name in COLUMNS if name != "id"}
    found = {key: parsed(text) for key, text in shown.found[model].items()}
    assert [(key, name) for key, name in nulls if found[key][name] is not None] == []


@pytest.mark.parametrize("model", MODELS)
def test_no_value_is_null_unless_it_is_named_beside_the_row(shown: Shown, model: str) -> None:
    for key, text in shown.found[model].items():
        row = parsed(text)
        beside = shown.special[key] if model == "duckdb" else {}
        lost = [name for name, value in row.items() if value is None and shown.printed[key][name] is not None]
        assert [name for name in lost if name not in beside and shown.printed[key][name] != "null"] == []


def test_the_page_of_values_shows_what_the_stores_show(shown: Shown, tmp_path: Path) -> None:
    made = page(shown.printed, shown.found, shown.special)
    new = tmp_path / PAGE.name
    new.write_text(made)
    assert PAGE.read_text() == made, f"copy {new} to {PAGE}"


def _images(projected: Any) -> list[str]:
    texts: list[str] = projected.mutations[0].changes["image"].to_pylist()
    return texts


def _printed(side: Any) -> dict[str, dict[str, str | None]]:
    names = ", ".join(f"{name}::text" for name in COLUMNS)
    found = side.connection.execute(f"SELECT {names} FROM extremes ORDER BY id").fetchall()
    return {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in found}


def _fill(sink: Sink, batch: Batch) -> None:
    sink.prepare()
    sink.write(batch)
    sink.cutover()


def _batch(projected: Any) -> Batch:
    return Batch(projected.mutations, projected.range_tombstones, OffsetRange({(TOPIC, 0): 0}, {(TOPIC, 0): 999}))


def _documents(log: Logged) -> Batch:
    return _batch(DocumentProjection(CONTRACT)("extremes", log.streamed))


def _elasticsearch(log: Logged, endpoints: Endpoints, keys: list[str]) -> dict[str, str]:
    with connect(endpoints.elasticsearch, request_timeout_s=60) as client:
        store = ElasticsearchStore(client, CONTRACT.document_shapes())
        try:
            _fill(store.sink(1), _documents(log))
            return ElasticsearchReader((DOCUMENTS,), EsClient(client), store, None).lookup(DOCUMENTS, keys)
        finally:
            store.drop_all()


def _redis(log: Logged, keys: list[str]) -> dict[str, str]:
    server = shared_server()
    with server.client() as client, closing(RedisStore(server.url, CONTRACT.document_shapes())) as store:
        client.flushall()
        _fill(store.sink(1), _documents(log))
        reader: Redis = client
        return RedisReader((DOCUMENTS,), reader, store, None, None).lookup(DOCUMENTS, keys)


def _duckdb(log: Logged, folder: Path) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    with closing(DuckdbStore(folder, CONTRACT.row_shapes())) as store:
        _fill(store.sink(1), _batch(RowProjection(CONTRACT)("extremes", log.streamed)))
        instance = store.instance()
        shown = instance.execute(f"SELECT {key_text(ROWS.root)}, {json_text(ROWS.root)} FROM extremes").fetchall()
        beside = instance.execute("SELECT id::VARCHAR, _special FROM extremes_history").fetchall()
        return dict(shown), {key: parsed(special or "{}") for key, special in beside}
