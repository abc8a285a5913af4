"""Tests that a search without one shard is an error: that shard's documents must not count as missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.definitions import TableDefinition
from pipeline.stores.read_model import ModelKind
from pipeline.table_view import whole_table
from pipeline.verify.comparison_set import ComparisonSet
from pipeline.verify.readers.elasticsearch import ElasticsearchReader
from sinks.elasticsearch.client import EsClient, connect
from sinks.elasticsearch.scan import AnswerSize, by_id, count, kind_query, refresh, scan
from sinks.elasticsearch.store import ElasticsearchStore
from sinks.errors import StoreUnavailable
from tests.support.elasticsearch_stub import ClusterAnswers

WELL = {"total": 2, "successful": 2, "failed": 0}
HALF = {"total": 2, "successful": 1, "failed": 1}
DOCUMENT = {"_id": "1", "_seq_no": 1, "_primary_term": 1, "_source": {"id": 1}, "sort": [1]}

TABLE = TableDefinition(source="public.orders", key=("id",), columns={"id": "bigint"})
ORDERS = ComparisonSet("orders", whole_table("orders", TABLE), ModelKind.DOCUMENT)

UNASKED = ElasticsearchStore(connect("http://127.0.0.1:1", request_timeout_s=1), [])

Query = Callable[[EsClient, str], object]


@pytest.fixture
def answers() -> Iterator[ClusterAnswers]:
    """Yield a cluster in which every shard answers; the index holds one document."""
    with ClusterAnswers() as made:
        made.answers |= {
            "_refresh": {"_shards": WELL},
            "_pit": {"_shards": WELL, "id": "moment"},
            "_search": {"_shards": WELL, "timed_out": False, "hits": {"hits": [DOCUMENT]}},
            "_count": {"_shards": WELL, "count": 1},
        }
        yield made


@pytest.fixture
def cluster(answers: ClusterAnswers) -> Iterator[EsClient]:
    with connect(answers.url, request_timeout_s=5) as client:
        yield EsClient(client)


QUERIES: dict[str, Query] = {
    "scan": lambda cluster, index: next(scan(cluster, index)),
    "by id": lambda cluster, index: list(by_id(cluster, index, ["1", "2"])),
    "count": lambda cluster, index: count(cluster, index, kind_query("visible")),
    "refresh": refresh,
    "verify": lambda cluster, _: list(compared(cluster).scan(ORDERS)),
    "second look of verify": lambda cluster, _: compared(cluster).lookup(ORDERS, ["1", "2"]),
    "rejections in verify": lambda cluster, _: compared(cluster, generation=1).rejected(ORDERS, ["1", "2"]),
}


def compared(cluster: EsClient, generation: int | None = None) -> ElasticsearchReader:
    """Return a generation, the live one for None, as `verify` reads it."""
    return ElasticsearchReader((ORDERS,), cluster, UNASKED, generation)


@pytest.mark.parametrize(
    ("query", "path", "answer"),
    [
        ("scan", "_refresh", {"_shards": HALF}),
        ("scan", "_pit", {"_shards": HALF, "id": "moment"}),
        ("scan", "_search", {"_shards": HALF, "timed_out": False, "hits": {"hits": []}}),
        ("scan", "_search", {"_shards": WELL, "timed_out": True, "hits": {"hits": [DOCUMENT]}}),
        ("by id", "_refresh", {"_shards": HALF}),
        ("by id", "_search", {"_shards": HALF, "timed_out": False, "hits": {"hits": [DOCUMENT]}}),
        ("by id", "_search", {"_shards": WELL, "timed_out": True, "hits": {"hits": [DOCUMENT]}}),
        ("count", "_count", {"_shards": HALF, "count": 1}),
        ("refresh", "_refresh", {"_shards": HALF}),
        ("verify", "_refresh", {"_shards": HALF}),
        ("verify", "_pit", {"_shards": HALF, "id": "moment"}),
        ("verify", "_search", {"_shards": HALF, "timed_out": False, "hits": {"hits": []}}),
        ("verify", "_search", {"_shards": WELL, "timed_out": True, "hits": {"hits": []}}),
        ("second look of verify", "_search", {"_shards": HALF, "timed_out": False, "hits": {"hits": []}}),
        ("rejections in verify", "_search", {"_shards": HALF, "timed_out": False, "hits": {"hits": []}}),
    ],
)
def test_an_answer_that_lacks_a_shard_is_an_error(
    cluster: EsClient, answers: ClusterAnswers, query: str, path: str, answer: dict[str, Any]
) -> None:
    answers.answers[path] = answer
    with pytest.raises(StoreUnavailable, match="orders"):
        QUERIES[query](cluster, "orders")


def test_every_search_forbids_partial_results(cluster: EsClient, answers: ClusterAnswers) -> None:
    next(scan(cluster, "orders"))
    list(by_id(cluster, "orders", ["1"]))
    searches = [path for path, _ in answers.requests if "_search" in path]
    assert len(searches) == 2
    assert all("allow_partial_search_results=false" in path for path in searches)


def test_a_scan_closes_its_point_in_time_and_logs_a_failure_to_close(
    cluster: EsClient, answers: ClusterAnswers
) -> None:
    pages = scan(cluster, "orders")
    next(pages)
    answers.answers["_search"] = {"_shards": HALF, "timed_out": False, "hits": {"hits": []}}
    answers.statuses["DELETE _pit"] = 503
    with pytest.raises(StoreUnavailable, match="1 shards failed"):
        next(pages)
    assert answers.requests[-1] == ("/_pit", {"id": "moment"})


def test_more_ids_than_one_search_may_ask_for_are_asked_for_in_turn(cluster: EsClient, answers: ClusterAnswers) -> None:
    list(by_id(cluster, "orders", [str(number) for number in range(30_000)]))
    asked = [json.loads(json.dumps(body)) for path, body in answers.requests if "_search" in path]
    found = [one["query"]["bool"]["filter"][0]["ids"]["values"] for one in asked]
    assert [id_ for some in found for id_ in some] == [str(number) for number in range(30_000)]
    assert all(len(some) <= 10_000 for some in found)


def test_large_documents_are_asked_for_a_few_at_a_time() -> None:
    size = AnswerSize()
    size.record(200, 200 * 8 * 2**20)
    assert size.documents == 2
    size.record(2, 400 * 2**20)
    assert size.documents == 1
    for _ in range(10):
        size.record(size.documents, size.documents * 500)
    assert size.documents == 5_000
