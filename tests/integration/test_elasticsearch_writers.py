"""Tests of several workers on one index: none overwrites another's changes, whatever the timing."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator

import pytest

from sinks.batch import Batch
from sinks.elasticsearch.store import ElasticsearchSink, ElasticsearchStore, IndexSettings, connect
from sinks.errors import StoreUnavailable
from stack.endpoints import Endpoints
from tests.contract.elasticsearch_harness import ElasticsearchSubject
from tests.contract.log import SHOP, Event, Log, Row, batch
from tests.contract.memory_harness import MemorySubject
from tests.contract.store_harness import Contents, Form
from tests.support.kafka_proxy import AnswerLost, Interposed

SHAPES = SHOP.shapes(Form.DOCUMENTS)


@pytest.fixture
def subject(endpoints: Endpoints) -> Iterator[ElasticsearchSubject]:
    """Yield indices of the test's own."""
    made = ElasticsearchSubject(endpoints.elasticsearch)
    yield made
    made.close()


@pytest.fixture
def relay(subject: ElasticsearchSubject) -> Iterator[Interposed]:
    """Yield a relay to the same cluster on which a test can act."""
    with Interposed(subject.url) as made:
        yield made


def live_sink(subject: ElasticsearchSubject) -> ElasticsearchSink:
    sink = subject.store(SHAPES).sink(1)
    sink.prepare()
    sink.cutover()
    return sink


def another_worker(subject: ElasticsearchSubject, url: str) -> ElasticsearchSink:
    client = connect(url, request_timeout_s=30)
    return ElasticsearchStore(client, [SHOP.document], IndexSettings(prefix=subject.prefix)).sink(1)


def order(number: int, status: str = "pending") -> Row:
    return {"id": number, "status": status, "total": "10.00"}


def item(number: int, of: int) -> Row:
    return {"id": number, "order_id": of, "sku": "pen"}


def whole(events: list[Event]) -> Batch:
    return batch(events, SHOP, Form.DOCUMENTS)


def in_memory(*batches: Batch) -> Contents:
    """Return the contents of a store without concurrent writers after these batches."""
    subject = MemorySubject(Form.DOCUMENTS)
    sink = subject.store(SHAPES).sink(1)
    sink.prepare()
    sink.cutover()
    for one in batches:
        sink.write(one)
    return subject.read(SHAPES)


def on_a_write_of_documents(act: Callable[[], None], relay: Interposed) -> Callable[[str], None]:
    """Return a callback that acts on the first bulk request, and ignores all requests before it."""

    def on_request(path: str) -> None:
        if "_bulk" in path:
            act()
        else:
            relay.before = on_request

    return on_request


def test_a_change_that_another_worker_wrote_in_between_is_merged_not_lost(
    subject: ElasticsearchSubject, relay: Interposed
) -> None:
    sink, other, log = live_sink(subject), another_worker(subject, relay.url), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.child, (10, 12), after=item(7, of=1))
    sink.write(whole(log.events[:1]))
    relay.before = on_a_write_of_documents(lambda: sink.write(whole(log.events[:1] + late)), relay)
    late = [log.streamed(SHOP.root, (20, 21), before=order(1), after=order(1, "paid"))]
    other.write(whole(log.events[1:2]))
    assert relay.before is None
    assert [tally.conflicts for tally in other.stats.values()] == [1]
    assert subject.read(SHAPES)["orders"] == {"1": {**order(1, "paid"), "items": [item(7, of=1)]}}


def test_a_document_that_another_worker_made_in_between_is_merged_too(
    subject: ElasticsearchSubject, relay: Interposed
) -> None:
    sink, other, log = live_sink(subject), another_worker(subject, relay.url), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.child, (10, 12), after=item(7, of=1))
    relay.before = on_a_write_of_documents(lambda: sink.write(whole(log.events[:1])), relay)
    other.write(whole(log.events[1:]))
    assert [tally.conflicts for tally in other.stats.values()] == [1]
    assert subject.read(SHAPES)["orders"] == {"1": {**order(1), "items": [item(7, of=1)]}}


@pytest.mark.parametrize("documents_per_page", [1, 20_000])
def test_a_truncate_reaches_what_a_slower_worker_writes_after_its_sweep(
    subject: ElasticsearchSubject, relay: Interposed, monkeypatch: pytest.MonkeyPatch, documents_per_page: int
) -> None:
    monkeypatch.setattr("sinks.elasticsearch.document_index.DOCUMENTS_PER_PAGE", documents_per_page)
    sink, slow, log = live_sink(subject), another_worker(subject, relay.url), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.root, (30, 31), after=order(2))
    truncate = Log(SHOP).truncate(SHOP.root, (20, 21))
    relay.before = on_a_write_of_documents(lambda: sink.write(whole([truncate])), relay)
    slow.write(whole(log.events))
    assert relay.before is None
    assert list(subject.read(SHAPES)["orders"]) == ["2"]


def test_a_batch_of_many_documents_is_written_whole(
    subject: ElasticsearchSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.elasticsearch.document_index.DOCUMENTS_PER_PAGE", 2)
    sink, log = live_sink(subject), Log(SHOP)
    for number in range(5):
        log.streamed(SHOP.root, (10, 11 + number), after=order(number))
    for number in range(5):
        log.streamed(SHOP.child, (20, 21 + number), after=item(number + 10, of=number))
    sink.write(whole(log.events))
    assert subject.read(SHAPES) == in_memory(whole(log.events))
    assert len(subject.read(SHAPES)["orders"]) == 5


def test_changes_of_one_document_in_several_topics_are_one_write(subject: ElasticsearchSubject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.child, (10, 12), after=item(7, of=1))
    root, child = whole(log.events[:1]), whole(log.events[1:])
    sink.write(root)
    before = [tally.written for tally in sink.stats.values()]
    sink.write(Batch((*root.mutations, *child.mutations)))
    assert [tally.written for tally in sink.stats.values()] == [before[0] + 1]
    log.streamed(SHOP.root, (20, 21), before=order(1), after=order(1, "paid"))
    log.streamed(SHOP.child, (20, 22), before=item(7, of=1))
    root, child = whole(log.events[2:3]), whole(log.events[3:])
    sink.write(Batch((*root.mutations, *child.mutations)))
    assert [tally.written for tally in sink.stats.values()] == [before[0] + 2]
    assert subject.read(SHAPES)["orders"] == {"1": {**order(1, "paid"), "items": []}}


def test_a_truncate_reaches_what_was_added_behind_a_workers_memory(subject: ElasticsearchSubject) -> None:
    first, second, log = live_sink(subject), another_worker(subject, subject.url), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.child, (10, 12), after=item(7, of=1))
    first.write(whole(log.events[:1]))
    second.write(whole(log.events))
    first.write(whole([Log(SHOP).truncate(SHOP.child, (20, 21))]))
    assert subject.read(SHAPES)["orders"] == {"1": {**order(1), "items": []}}


def test_an_answer_that_was_lost_does_no_harm(subject: ElasticsearchSubject, relay: Interposed) -> None:
    live_sink(subject)
    sink, log = another_worker(subject, relay.url), Log(SHOP)
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.root, (20, 21), before=order(1), after=order(1, "paid"))

    def lose(path: str) -> None:
        if "_bulk" not in path:
            relay.after = lose
            return
        raise AnswerLost

    relay.after = lose
    with pytest.raises(StoreUnavailable):
        sink.write(whole(log.events))
    assert sink.progress().offsets == {}
    sink.write(whole(log.events))
    assert subject.read(SHAPES)["orders"] == {"1": {**order(1, "paid"), "items": []}}


@pytest.mark.parametrize("seed", range(3))
def test_workers_that_write_the_same_documents_at_once_end_as_one_would(
    subject: ElasticsearchSubject, seed: int
) -> None:
    first, log, chance = live_sink(subject), history(), random.Random(seed)
    second = another_worker(subject, subject.url)
    started = threading.Barrier(2)
    failures: list[BaseException] = []

    def work(sink: ElasticsearchSink, batches: list[Batch]) -> None:
        try:
            started.wait()
            for one in batches:
                sink.write(one)
        except BaseException as failure:  # noqa: BLE001 (handed to the test)
            failures.append(failure)

    workers = [threading.Thread(target=work, args=(sink, shuffled(log, chance))) for sink in (first, second)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    assert sum(tally.conflicts for sink in (first, second) for tally in sink.stats.values()) > 0
    assert subject.read(SHAPES) == in_memory(whole(log.events))


def history() -> Log:
    """Return a log of three orders and their items, changed, moved, truncated and deleted many times."""
    log, chance = Log(SHOP), random.Random(7)
    orders: dict[int, Row] = {}
    items: dict[int, Row] = {}
    for lsn in range(10, 130, 2):
        number = chance.randrange(3)
        if chance.random() < 0.5:
            after = order(number, f"at {lsn}") if chance.random() < 0.8 else None
            if after or number in orders:
                log.streamed(SHOP.root, (lsn, lsn + 1), before=orders.get(number), after=after)
            orders = {**orders, number: after} if after else {k: row for k, row in orders.items() if k != number}
        else:
            before, after = items.get(number), item(number, of=chance.randrange(3))
            log.streamed(SHOP.child, (lsn, lsn + 1), before=before, after=after)
            items[number] = after
        if lsn == 60:
            log.truncate(SHOP.child, (lsn, lsn + 1))
            items.clear()
    return log


def shuffled(log: Log, chance: random.Random) -> list[Batch]:
    """Return every event, in batches of one to eight, in any order."""
    events = [*log.events]
    chance.shuffle(events)
    batches = []
    while events:
        size = chance.randint(1, 8)
        batches.append(whole(events[:size]))
        events = events[size:]
    return batches


def test_a_replay_writes_nothing(subject: ElasticsearchSubject) -> None:
    first, log = live_sink(subject), history()
    first.write(whole(log.events))
    before = versions(subject)
    first.write(whole(log.events))
    another_worker(subject, subject.url).write(whole(log.events))
    assert versions(subject) == before


def versions(subject: ElasticsearchSubject) -> dict[str, int]:
    """Return the sequence number of every document, including those hidden from readers."""
    subject.http("POST", "orders-000001/_refresh")
    hits = subject.http("POST", "orders-000001/_search?size=1000&seq_no_primary_term=true")["hits"]["hits"]
    return {hit["_id"]: hit["_seq_no"] for hit in hits}


def test_a_deletion_is_remembered_longer_than_elasticsearch_remembers_one(subject: ElasticsearchSubject) -> None:
    sink, log = live_sink(subject), Log(SHOP)
    subject.http("PUT", "orders-000001/_settings", {"index.gc_deletes": "1ms"})
    log.streamed(SHOP.root, (10, 11), after=order(1))
    log.streamed(SHOP.root, (20, 21), before=order(1))
    sink.write(whole(log.events))
    for number in range(2, 5):
        log.streamed(SHOP.root, (30, 30 + number), after=order(number))
        sink.write(whole(log.events[1:]))
        subject.http("POST", "orders-000001/_flush?force=true")
    another_worker(subject, subject.url).write(whole(log.events[:1]))
    assert sorted(subject.read(SHAPES)["orders"]) == ["2", "3", "4"]
