"""Tests that every PostgreSQL value is stored to the last digit, and that searchable values are found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from sinks.batch import PART_COLUMNS, Batch, Mutations
from sinks.elasticsearch.store import ElasticsearchSink, InvalidMapping
from sinks.errors import MutationRejected
from sinks.ordering.columns import ORDER_COLUMNS
from sinks.shape import DocumentShape
from stack.endpoints import Endpoints
from tests.contract.elasticsearch_harness import ElasticsearchSubject

SHAPE = DocumentShape(
    "things",
    {
        "id": "bigint",
        "small": "smallint",
        "whole": "integer",
        "price": "numeric",
        "ratio": "double precision",
        "text": "text",
        "code": "varchar(10)",
        "yes": "boolean",
        "day": "date",
        "at": "timestamp with time zone",
        "time": "time",
        "facts": "jsonb",
        "record": "json",
        "bytes": "bytea",
        "mark": "uuid",
        "mood": "public.mood",
        "span": "interval",
        "address": "inet",
        "tags": "text[]",
        "prices": "numeric[]",
        "grid": "integer[]",
        "facts_many": "jsonb[]",
        "pairs": "hstore",
    },
    {"items": {"id": "bigint", "sku": "text", "qty": "integer", "facts": "jsonb"}},
)

VALUES: dict[str, list[str]] = {
    "id": ["9223372036854775807", "-9223372036854775808", "9007199254740993"],
    "small": ["32767", "-32768"],
    "whole": ["2147483647", "-2147483648"],
    "price": ['"NaN"', '"Infinity"', '"-Infinity"', '"0.10"', f'"{"9" * 5000}"', f'"0.{"0" * 5000}1"'],
    "ratio": ["1.7976931348623157e308", "5e-324", "-0.0", '"NaN"', '"Infinity"'],
    "text": [
        json.dumps(text) for text in ("", " ", "a" * 1_000_000, "é" * 40_000, "😀" * 20_000, "\x01\x1f\u2028\uffff")
    ],
    "code": [json.dumps(text) for text in ('"\\', "\r\n\t", "readmodels")],
    "yes": ["false"],
    "day": ['"infinity"', '"-infinity"', '"5874897-12-31"', '"4713-01-01 BC"', '"0001-01-01"', '"-4712-01-01"'],
    "at": ['"infinity"', '"294276-12-31T23:59:59.999999Z"', '"1969-12-31T23:59:59.999999Z"', f'"{"x" * 40_000}"'],
    "time": ['"24:00:00"'],
    "facts": [
        *["1", "null", '"text"', "true", "[]", "[1,[2,{}]]", '{"":{"a.b":[{"_id":1}]," ":2}}'],
        *["1e400", "-1e-400", "0.1000000000000000055", "12345678901234567890123", "1.10"],
        *[json.dumps("a" * 40_000), json.dumps({"k" * 60_000: 1}), '{"a":"\\u0001\\"\\\\"}'],
    ],
    "record": ['{ "a" : [ 1 ,\n2 ] }', "\n1\n"],
    "bytes": ['""', '"3q2+7w=="', '"\\\\xdeadbeef"', '"not base64!"'],
    "mark": ['"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'],
    "mood": ['"happy"', json.dumps("é" * 20_000)],
    "span": ['"P1Y2M3DT4H5M6.7S"'],
    "address": ['"10.0.0.0/8"'],
    "tags": ["[]", '["a",null,""]', '[["a"],["b"]]'],
    "prices": ['["1.10","NaN",null]'],
    "grid": ["[[1,2],[3,null]]"],
    "facts_many": ['[1,"a",null,{"b":[]}]'],
    "pairs": ['{"a":null,"b":"1"}', '"\\"a\\"=>\\"1\\""'],
}
"""Values by column, in the form used in an image."""

SHELTERED: list[tuple[str, str]] = [
    ("facts", "1" * 1001),
    ("facts", "[" * 1001 + "]" * 1001),
    ("facts", "[" * 600 + '"[{"' + "]" * 600),
    ("record", '{"a":1,"a":2}'),
    ("record", '{"a":{"b":"é\\"","b":[{"c":1,"c":2}]}}'),
]


@pytest.fixture
def subject(endpoints: Endpoints) -> Iterator[ElasticsearchSubject]:
    """Yield indices of the test's own."""
    made = ElasticsearchSubject(endpoints.elasticsearch)
    yield made
    made.close()


def live_sink(subject: ElasticsearchSubject, shape: DocumentShape = SHAPE) -> ElasticsearchSink:
    sink = subject.store([shape]).sink(1)
    sink.prepare()
    sink.cutover()
    return sink


def inserts(images: Mapping[tuple[str, str], str], shape: DocumentShape = SHAPE, lsn: int = 10) -> Batch:
    """Return a batch of images, by key and part, as streamed changes."""
    place = dict.fromkeys(ORDER_COLUMNS.names, 0) | {"_is_snapshot": False, "_deleted": False}
    rows = [
        {**place, "_lsn": lsn, "_commit_lsn": lsn, "_offset": offset, "key": key, "part": part, "image": image}
        for offset, ((key, part), image) in enumerate(images.items())
    ]
    return Batch(
        (Mutations(shape.name, pa.Table.from_pylist(rows, schema=pa.schema([*ORDER_COLUMNS, *PART_COLUMNS]))),)
    )


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def test_no_value_is_refused_rounded_or_changed(subject: ElasticsearchSubject) -> None:
    rows = {f"{name} {n}": (name, value) for name, values in VALUES.items() for n, value in enumerate(values)}
    live_sink(subject).write(inserts({(key, ""): f'{{"{name}":{value}}}' for key, (name, value) in rows.items()}))
    # A new worker without memory reads every document, adds an item, and writes it again.
    subject.store([SHAPE]).sink(1).write(inserts({(key, "items/1"): '{"id":1}' for key in rows}, lsn=20))
    kept = subject.read([SHAPE])["things"]
    for key, (name, value) in rows.items():
        assert kept[key] == {name: exact(value), "items": [{"id": 1}]}, f"{key}: {value[:60]}"


def test_json_that_elasticsearch_cannot_read_is_kept_and_shown_as_text(subject: ElasticsearchSubject) -> None:
    images = {(str(n), ""): f'{{"id":{n},"{name}":{value}}}' for n, (name, value) in enumerate(SHELTERED)}
    live_sink(subject).write(inserts({**images, ("0", "items/1"): '{"id":1,"facts":' + "2" * 1001 + "}"}))
    again = {(str(n), "items/2"): '{"id":2,"facts":{"plain":1}}' for n in range(len(SHELTERED))}
    subject.store([SHAPE]).sink(1).write(inserts(again, lsn=20))
    kept = subject.read([SHAPE])["things"]
    for n, (name, value) in enumerate(SHELTERED):
        assert kept[str(n)][name] == value, f"{name} {value[:60]}"
    assert kept["0"]["items"] == [{"id": 1, "facts": "2" * 1001}, {"id": 2, "facts": '{"plain":1}'}]
    healed = {(str(n), ""): f'{{"id":{n},"facts":{{"a":1}}}}' for n in range(1, len(SHELTERED))}
    subject.store([SHAPE]).sink(1).write(inserts(healed, lsn=30))
    kept = subject.read([SHAPE])["things"]
    for n in range(1, len(SHELTERED)):
        assert kept[str(n)] == {"id": n, "facts": {"a": 1}, "items": [{"id": 2, "facts": {"plain": 1}}]}


@pytest.mark.parametrize(
    "key", ["_mapping", "a/b?c#d", " ", "..", "é" * 256, "é" * 257, "readmodels:fences", '"\n\\', ""]
)
def test_any_text_is_a_key(subject: ElasticsearchSubject, key: str) -> None:
    sink = live_sink(subject)
    sink.write(inserts({(key, ""): '{"id":1}'}))
    sink.write(inserts({(key, "items/1"): '{"id":2}'}))
    assert list(subject.read([SHAPE])["things"].values()) == [{"id": 1, "items": [{"id": 2}]}]


def test_a_document_may_have_more_items_than_elasticsearch_allows_by_default(subject: ElasticsearchSubject) -> None:
    sink = live_sink(subject)
    sink.write(inserts({("1", ""): '{"id":1}', **{("1", f"items/{n:06d}"): f'{{"id":{n}}}' for n in range(10_500)}}))
    assert [one["id"] for one in subject.read([SHAPE])["things"]["1"]["items"]] == [*range(10_500)]


def test_a_column_that_the_index_does_not_know_is_refused_by_its_name_and_not_its_value(
    subject: ElasticsearchSubject,
) -> None:
    sink = live_sink(subject)
    with pytest.raises(MutationRejected, match=r"'7'.*strict_dynamic.*'added'") as refused:
        sink.write(inserts({("7", ""): '{"added":"secret"}'}))
    assert "secret" not in str(refused.value)
    assert subject.read([SHAPE])["things"] == {}


def test_a_field_that_elasticsearch_itself_needs_is_refused_before_anything_is_written(
    subject: ElasticsearchSubject,
) -> None:
    with pytest.raises(InvalidMapping):
        live_sink(subject, DocumentShape("odd", {"": "text"}))


def found(subject: ElasticsearchSubject, query: dict[str, Any]) -> set[str]:
    subject.http("POST", "things/_refresh")
    return {hit["_id"] for hit in subject.http("POST", "things/_search", {"query": query})["hits"]["hits"]}


def test_documents_are_found_by_word_by_value_by_range_and_by_item(subject: ElasticsearchSubject) -> None:
    live_sink(subject).write(
        inserts(
            {
                ("1", ""): '{"id":1,"text":"Two blue pens","price":"12.30","at":"2026-01-02T03:04:05.000006Z"}',
                ("1", "items/1"): '{"sku":"PEN-1","qty":1}',
                ("1", "items/2"): '{"sku":"INK-2","qty":5}',
                ("2", ""): '{"id":2,"text":"paid","price":"NaN","at":"infinity"}',
                ("3", "items/3"): '{"sku":"PEN-1","qty":5}',
            }
        )
    )
    assert found(subject, {"match_all": {}}) == {"1", "2"}
    assert found(subject, {"match": {"text": "pens"}}) == {"1"}
    assert found(subject, {"term": {"text.keyword": "Two blue pens"}}) == {"1"}
    assert found(subject, {"range": {"price": {"gte": 12.3, "lt": 12.31}}}) == {"1"}
    assert found(subject, {"range": {"at": {"gte": "2026-01-02", "lt": "2026-01-03"}}}) == {"1"}
    assert found(subject, {"term": {"items.sku.keyword": "INK-2"}}) == {"1"}
    assert found(subject, {"nested": {"path": "items", "query": both("INK-2", 5)}}) == {"1"}
    assert found(subject, {"nested": {"path": "items", "query": both("PEN-1", 5)}}) == set()


def both(sku: str, qty: int) -> dict[str, Any]:
    return {"bool": {"filter": [{"term": {"items.sku.keyword": sku}}, {"term": {"items.qty": qty}}]}}
