"""Tests of concurrent generations, the cutover between them, and indices that operators remove or restore."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest
from elasticsearch import Elasticsearch

from sinks.batch import Batch, OffsetRange
from sinks.elasticsearch.document_index import DocumentIndex
from sinks.elasticsearch.store import (
    AliasesAstray,
    AliasTaken,
    ElasticsearchSink,
    ElasticsearchStore,
    IndexSettings,
    InvalidMapping,
    connect,
)
from sinks.errors import GenerationMissing, OffsetGap, StoreUnavailable
from sinks.generation import GenerationMetadata, GenerationState
from sinks.shape import DocumentShape
from stack.endpoints import Endpoints
from tests.contract.elasticsearch_harness import ElasticsearchSubject
from tests.contract.log import LIBRARY, SHOP, Log, Row, batch
from tests.contract.store_harness import Form
from tests.support.waiting import wait_for

SHAPES = SHOP.shapes(Form.DOCUMENTS)


@pytest.fixture
def subject(endpoints: Endpoints) -> Iterator[ElasticsearchSubject]:
    """Yield indices of the test's own."""
    made = ElasticsearchSubject(endpoints.elasticsearch)
    yield made
    made.close()


def order(number: int, status: str = "pending") -> Row:
    return {"id": number, "status": status, "total": "10.00"}


def orders(count: int, status: str = "pending", at: int = 10) -> Batch:
    log = Log(SHOP)
    for number in range(count):
        log.streamed(SHOP.root, (at, at + number), after=order(number, status))
    return batch(log.events, SHOP, Form.DOCUMENTS)


def written(subject: ElasticsearchSubject, generation: int, content: Batch) -> ElasticsearchSink:
    sink = subject.store(SHAPES).sink(generation)
    sink.prepare()
    sink.write(content)
    return sink


def test_readers_see_one_complete_generation_at_every_time_of_a_cutover(subject: ElasticsearchSubject) -> None:
    first, second = (written(subject, n, orders(5, f"generation {n}")) for n in (1, 2))
    first.cutover()
    subject.http("POST", "*/_refresh")
    seen: list[Any] = []
    swapped = threading.Event()

    def read() -> None:
        while not swapped.is_set() or seen[-1] != ("generation 2", 5):
            hits = subject.http("POST", "orders/_search?size=50")["hits"]["hits"]
            statuses = {hit["_source"]["status"] for hit in hits}
            seen.append((*statuses, len(hits)))

    reader = threading.Thread(target=read)
    reader.start()
    for sink in (second, first) * 10 + (second,):
        sink.cutover()
    swapped.set()
    reader.join(timeout=60)
    assert not reader.is_alive()
    assert set(seen) == {("generation 1", 5), ("generation 2", 5)}


def test_readers_cannot_write_through_their_alias(subject: ElasticsearchSubject) -> None:
    written(subject, 1, orders(1)).cutover()
    with pytest.raises(HTTPError, match="400"):
        subject.http("PUT", "orders/_doc/1", order(1))


def test_a_search_never_finds_progress_range_tombstones_or_deleted_documents(subject: ElasticsearchSubject) -> None:
    log = Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.root, (20, 21), before=order(1))
    log.truncate(SHOP.child, (30, 31))
    log.streamed(SHOP.child, (40, 41), after={"id": 7, "order_id": 2, "sku": "pen"})
    written(subject, 1, batch(log.events, SHOP, Form.DOCUMENTS)).cutover()
    subject.http("POST", "orders/_refresh")
    assert subject.http("POST", "orders/_search")["hits"]["hits"] == []
    assert subject.http("GET", "orders/_count")["count"] == 0
    kinds = {hit["_source"]["readmodels"]["kind"] for hit in everything(subject)}
    assert kinds == {"hidden", "progress", "shards", "fences"}


def everything(subject: ElasticsearchSubject) -> list[Any]:
    hits: list[Any] = subject.http("POST", "orders-000001/_search?size=100")["hits"]["hits"]
    return hits


def test_an_index_that_an_operator_removed_is_reported_missing_and_not_recreated(subject: ElasticsearchSubject) -> None:
    sink = written(subject, 1, orders(2))
    subject.http("DELETE", "orders-000001")
    with pytest.raises(GenerationMissing):
        sink.write(orders(2, "paid", at=20))
    with pytest.raises(GenerationMissing):
        sink.progress()
    assert subject.http("GET", "*/_alias") == {}


def test_an_alias_of_the_wrong_index_is_reported_with_the_requests_that_correct_it(
    subject: ElasticsearchSubject,
) -> None:
    written(subject, 1, orders(2)).cutover()
    written(subject, 2, orders(2)).cutover()
    store = subject.store(SHAPES)
    assert store.live() == 2
    subject.http("PUT", "foreign")
    for index in ("orders-000001", "foreign"):
        subject.http("PUT", f"{index}/_alias/{subject.prefix}orders")
    with pytest.raises(AliasesAstray) as astray:
        store.live()
    requests = re.findall(r"DELETE /(\S+?)[,.] ", astray.value.remedy)
    assert len(requests) == 2
    for request in requests:
        subject.http("DELETE", request.removeprefix(subject.prefix))
    assert store.live() == 2


def test_an_alias_that_was_removed_is_missed_and_given_back_by_a_cutover(subject: ElasticsearchSubject) -> None:
    sink = written(subject, 1, orders(2))
    sink.cutover()
    subject.http("DELETE", f"orders-000001/_alias/{subject.prefix}orders")
    assert subject.store(SHAPES).live() is None
    subject.http("PUT", "orders")
    with pytest.raises(AliasTaken):
        sink.cutover()
    subject.http("DELETE", "orders")
    sink.cutover()
    assert subject.store(SHAPES).live() == 1


def test_an_index_without_its_write_alias_is_missed(subject: ElasticsearchSubject) -> None:
    sink = written(subject, 1, orders(2))
    subject.http("DELETE", f"orders-000001/_alias/{subject.prefix}orders-000001-write")
    with pytest.raises(GenerationMissing):
        sink.write(orders(2, "paid", at=20))
    sink.prepare()
    sink.write(orders(2, "paid", at=20))


def test_an_index_restored_from_an_older_copy_is_replayed_from_its_own_progress(
    subject: ElasticsearchSubject,
) -> None:
    sink = written(subject, 1, orders(4))
    sink.cutover()
    old = sink.progress()
    copy(subject, "orders-000001", "copy")
    sink.write(orders(6, "paid", at=20))
    subject.http("DELETE", "orders-000001")
    copy(subject, "copy", "orders-000001")
    subject.store(SHAPES).sink(1).prepare()
    sink.cutover()
    beyond = OffsetRange({topic_partition: offset + 1 for topic_partition, offset in old.offsets.items()}, {})
    with pytest.raises(OffsetGap) as lost:
        sink.write(Batch(span=beyond))
    assert lost.value.stored == old.offsets
    assert sink.progress() == old
    sink.write(orders(6, "paid", at=20))
    assert {row["status"] for row in subject.read(SHAPES)["orders"].values()} == {"paid"}


def copy(subject: ElasticsearchSubject, index: str, to: str) -> None:
    """Copy an index, as restoring a snapshot does."""
    subject.http("PUT", f"{index}/_settings", {"index.blocks.write": True})
    subject.http("PUT", f"{index}/_clone/{subject.prefix}{to}", {"settings": {"index.blocks.write": None}})
    subject.http("PUT", f"{index}/_settings", {"index.blocks.write": None})


def test_an_index_that_refuses_writes_for_now_is_waited_for(subject: ElasticsearchSubject) -> None:
    sink = written(subject, 1, orders(2))
    subject.http("PUT", "orders-000001/_settings", {"index.blocks.write": True})
    with pytest.raises(StoreUnavailable):
        sink.write(orders(2, "paid", at=20))
    subject.http("PUT", "orders-000001/_settings", {"index.blocks.write": None})
    sink.write(orders(2, "paid", at=20))


def test_a_client_that_would_round_numbers_is_not_taken(endpoints: Endpoints) -> None:
    with Elasticsearch(endpoints.elasticsearch) as client, pytest.raises(TypeError, match="connect"):
        ElasticsearchStore(client, [SHOP.document]).generations()


def test_a_cluster_that_does_not_answer_is_waited_for() -> None:
    with connect("http://127.0.0.1:1", request_timeout_s=1) as client, pytest.raises(StoreUnavailable):
        ElasticsearchStore(client, [SHOP.document]).generations()


def test_generations_are_listed_dropped_and_shown(subject: ElasticsearchSubject) -> None:
    store = subject.store(SHAPES)
    assert (tuple(store.generations()), store.live()) == ((), None)
    for generation in (1, 2, 1_000_000):
        written(subject, generation, orders(1))
    store.sink(2).cutover()
    assert (tuple(store.generations()), store.live()) == ((1, 2, 1_000_000), 2)
    store.drop(1)
    store.drop(1)
    assert (tuple(store.generations()), store.live()) == ((2, 1_000_000), 2)
    store.drop_all()
    assert (tuple(store.generations()), store.live()) == ((), None)


def test_an_alias_of_another_index_is_not_a_generation(subject: ElasticsearchSubject) -> None:
    written(subject, 1, orders(1)).cutover()
    subject.http("PUT", "legacy?wait_for_active_shards=0", {"aliases": {f"{subject.prefix}orders": {}}})
    with pytest.raises(GenerationMissing):
        subject.store(SHAPES).live()


def test_a_generation_may_have_another_shape(subject: ElasticsearchSubject) -> None:
    written(subject, 1, orders(1)).cutover()
    wider = DocumentShape("orders", {**SHOP.document.columns, "note": "text"}, SHOP.document.collections)
    second = subject.store([wider]).sink(2)
    second.prepare()
    log = Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after={**order(1), "note": "new"})
    second.write(batch(log.events, SHOP, Form.DOCUMENTS))
    second.cutover()
    assert subject.read(SHAPES)["orders"]["1"]["note"] == "new"


def test_two_documents_have_an_index_each_and_progress_is_that_of_the_slower(subject: ElasticsearchSubject) -> None:
    store = subject.store([SHOP.document, LIBRARY.document])
    sink = store.sink(1)
    sink.prepare()
    sink.cutover()
    sink.write(orders(3))
    reached = sink.progress()
    assert sorted(reached.offsets.values()) == [1, 2]
    subject.http("DELETE", "shelves-000001")
    sink.prepare()
    assert set(sink.progress().offsets.values()) == {0}
    with pytest.raises(OffsetGap):
        sink.write(Batch(span=OffsetRange(reached.offsets, reached.offsets)))


@pytest.mark.parametrize("name", ["Orders", "_orders", "a/b", "", "ö", "a,b"])
def test_a_name_that_no_index_can_have_is_refused(endpoints: Endpoints, name: str) -> None:
    with connect(endpoints.elasticsearch, request_timeout_s=5) as client, pytest.raises(InvalidMapping):
        ElasticsearchStore(client, [DocumentShape(name, {"id": "bigint"})])


def test_the_number_of_shards_and_copies_is_the_operators(subject: ElasticsearchSubject) -> None:
    settings = IndexSettings(prefix=subject.prefix, shards=2, replicas=0)
    store = ElasticsearchStore(subject.client, [SHOP.document], settings)
    store.sink(1).prepare()
    index = next(iter(subject.http("GET", "orders-000001/_settings").values()))["settings"]["index"]
    assert (index["number_of_shards"], index["number_of_replicas"]) == ("2", "0")
    assert index["translog"]["durability"] == "request"


def test_a_first_generation_is_filled_as_by_a_rebuild_and_readers_find_what_was_written(
    subject: ElasticsearchSubject,
) -> None:
    sink = first_fill(subject)
    assert settings(subject) == {"refresh_interval": "5s", "number_of_replicas": "0", "auto_expand_replicas": "false"}
    sink.write(orders(3))
    wait_for(lambda: found(subject) == 3, 30, lambda: f"{found(subject)} of 3 are found")
    subject.store(SHAPES).mark_complete(1)
    assert settings(subject) == {"number_of_replicas": "0", "auto_expand_replicas": "0-1"}
    assert subject.store(SHAPES).generations()[1].state(is_live=True) is GenerationState.LIVE


@pytest.mark.parametrize("action", ["refresh", "record_metadata"])
def test_a_first_generation_whose_completion_was_killed_half_way_is_completed_by_the_next_worker(
    subject: ElasticsearchSubject, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    first_fill(subject).write(orders(3))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(DocumentIndex, action, killed)
        with pytest.raises(KeyboardInterrupt):
            subject.store(SHAPES).mark_complete(1)
    assert subject.store(SHAPES).generations()[1].state(is_live=True) is GenerationState.BUILDING
    subject.store(SHAPES).mark_complete(1)
    assert found(subject) == 3
    assert settings(subject) == {"number_of_replicas": "0", "auto_expand_replicas": "0-1"}
    assert subject.store(SHAPES).generations()[1].state(is_live=True) is GenerationState.LIVE


def first_fill(subject: ElasticsearchSubject) -> ElasticsearchSink:
    """Return the sink of a first generation, as set-up makes it."""
    store = subject.store(SHAPES)
    store.create(1, GenerationMetadata(shapes=tuple(SHAPES), is_complete=False))
    sink = store.sink(1)
    sink.cutover()
    return sink


def found(subject: ElasticsearchSubject) -> int:
    """Return the number of orders that a reader's search finds without a refresh."""
    return int(subject.http("GET", "orders/_count")["count"])


def settings(subject: ElasticsearchSubject) -> dict[str, str]:
    """Return the settings of the first generation's index that a fill changes, except defaults."""
    index: dict[str, Any] = subject.http("GET", "orders-000001/_settings")[f"{subject.prefix}orders-000001"]
    named = ("refresh_interval", "number_of_replicas", "auto_expand_replicas")
    return {name: value for name, value in index["settings"]["index"].items() if name in named}
