"""Tests of index settings and field mappings that a document declares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sinks.elasticsearch.overrides import InvalidOverride
from sinks.shape import DocumentShape
from stack.endpoints import Endpoints
from tests.contract.elasticsearch_harness import ElasticsearchSubject
from tests.integration.test_elasticsearch_values import inserts

ANALYSIS = {"analyzer": {"short": {"type": "standard", "max_token_length": 3}}}
FIELDS = {
    "note": {"type": "text", "analyzer": "short"},
    "items": {"properties": {"sku": {"fields": {"exact": {"type": "keyword"}}}}},
}
SHAPE = DocumentShape(
    "things",
    {"id": "bigint", "note": "text"},
    {"items": {"id": "bigint", "sku": "text"}},
    {
        "settings": {"number_of_shards": 2, "refresh_interval": "7s", "analysis": ANALYSIS},
        "mappings": {"properties": FIELDS},
    },
)


@pytest.fixture
def subject(endpoints: Endpoints) -> Iterator[ElasticsearchSubject]:
    """Yield indices of the test's own."""
    made = ElasticsearchSubject(endpoints.elasticsearch)
    yield made
    made.close()


def test_an_index_has_the_settings_and_fields_that_its_document_declares(subject: ElasticsearchSubject) -> None:
    store = subject.store([SHAPE])
    store.check_indices()
    sink = store.sink(1)
    sink.prepare()
    sink.cutover()
    sink.write(inserts({("1", ""): '{"id":1,"note":"Käsebrot"}', ("1", "items/1"): '{"id":1,"sku":"A-1"}'}, SHAPE))
    subject.http("POST", "things/_refresh")
    for query in ({"match": {"note": "käs"}}, {"term": {"items.sku.exact": "A-1"}}):
        [hit] = subject.http("POST", "things/_search", {"query": query})["hits"]["hits"]
        assert hit["_id"] == "1"
    store.mark_complete(1)
    [index] = subject.http("GET", "things-*/_settings").values()
    held = index["settings"]["index"]
    assert (held["number_of_shards"], held["refresh_interval"]) == ("2", "7s")


def declared(settings: dict[str, Any] | None = None, **fields: Any) -> DocumentShape:
    return replace(SHAPE, index={"settings": settings or {}, "mappings": {"properties": fields}})


@pytest.mark.parametrize(
    "wrong",
    [
        declared(note={"type": "text", "analyzer": "nobody"}),
        declared(note={"type": "txt"}),
        declared({"number_of_shards": 0}),
        declared({"number_of_replicas": "many"}),
        declared({"codec": "unknown"}),
    ],
)
def test_what_elasticsearch_does_not_accept_is_refused_at_init_and_leaves_nothing(
    subject: ElasticsearchSubject, wrong: DocumentShape
) -> None:
    with pytest.raises(InvalidOverride) as refused:
        subject.store([wrong]).check_indices()
    assert "Correct `settings` or `mappings` below `elasticsearch` of the document" in refused.value.remedy
    assert "things" in str(refused.value)
    subject.store([SHAPE]).check_indices()
    assert subject.http("GET", "things*/_settings") == {}


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (declared({"blocks.write": True}), "setting 'blocks.write' is not one of"),
        (declared({"default_pipeline": "theirs"}), "'default_pipeline' is not one of"),
        (declared(readmodels={"type": "keyword"}), "no field 'readmodels'"),
        (declared(missing={"type": "keyword"}), "no field 'missing'"),
        (declared(items={"properties": {}, "dynamic": True}), "`dynamic` of 'items'"),
        (declared(items={"type": "object"}), "type cannot be declared"),
        (replace(SHAPE, index={"mappings": {"dynamic": True}}), "dynamic cannot be declared, only `properties`"),
        (replace(SHAPE, index={"mappings": {"_source": {"enabled": False}}}), "_source cannot be declared"),
    ],
)
def test_what_the_sink_itself_needs_cannot_be_declared(
    subject: ElasticsearchSubject, wrong: DocumentShape, complaint: str
) -> None:
    with pytest.raises(InvalidOverride, match=complaint):
        subject.store([wrong]).check_indices()
