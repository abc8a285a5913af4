"""Limits on Python calls: none per record for a real Redis, and only document building for a real Elasticsearch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing

from pipeline.ingest.projection import DocumentProjection
from sinks.redis.store import RedisStore
from stack.endpoints import Endpoints
from tests.contract.elasticsearch_harness import ElasticsearchSubject
from tests.support.hot_path import calls, carry, grown, messages, settings, told
from tests.support.redis_server import OwnServer

FEW, MANY = 1_000, 10_000

BUILDING_DOCUMENTS = {
    *("register", "range_tombstone", "document", "shape", "version_text"),
    *("codec", "json_fallback", "document_index", "register_text", "versioned_index", "document_cache", "bulk"),
    # Constructors of named tuples and dataclasses.
    *("<string>", "__init__"),
}
"""Modules whose functions are called per document or part: they merge registers, and write and frame the JSON."""


def test_no_python_call_is_made_per_record_from_poll_to_redis() -> None:
    few, many = _few_and_many(_into_redis)
    assert grown(few, many, by=_added_documents() // 4) == {}


def test_only_the_building_of_documents_is_python_on_the_way_to_elasticsearch(endpoints: Endpoints) -> None:
    few, many = _few_and_many(lambda count: _into_elasticsearch(count, endpoints.elasticsearch))
    per_document = grown(few, many, by=_added_documents() // 4)
    assert {name.partition(".")[0] for name in per_document} - BUILDING_DOCUMENTS == set()
    assert "codec.DocumentCodec.encode" in per_document


def _added_documents() -> int:
    return len(told(MANY).orders) - len(told(FEW).orders)


def _few_and_many(measure: Callable[[int], Counter[str]]) -> tuple[Counter[str], Counter[str]]:
    for count in (FEW, MANY):
        assert len(messages(count)) >= count
    # Run once first: imports and compilation on first use are not a cost per record.
    measure(FEW)
    return measure(FEW), measure(MANY)


def _into_redis(count: int) -> Counter[str]:
    server = OwnServer().start()
    shapes = settings().definitions.document_shapes()
    try:
        with closing(RedisStore(server.url, shapes)) as store:
            sink = store.sink(1)
            return calls(lambda: carry(count, sink, DocumentProjection(settings().definitions)))
    finally:
        server.stop()


def _into_elasticsearch(count: int, url: str) -> Counter[str]:
    with closing(ElasticsearchSubject(url)) as subject:
        sink = subject.store(settings().definitions.document_shapes()).sink(1)
        return calls(lambda: carry(count, sink, DocumentProjection(settings().definitions)))
