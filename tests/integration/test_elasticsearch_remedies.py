"""Tests of the remedies of Elasticsearch, carried out verbatim on a real node: problem, printed text, solution."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

from sinks.elasticsearch.client import UnreadableResponse
from sinks.elasticsearch.errors import IndexClosed
from sinks.elasticsearch.store import AliasTaken
from sinks.errors import MutationRejected, StoreBlocked
from stack.endpoints import Endpoints
from tests.contract.elasticsearch_harness import ElasticsearchSubject
from tests.integration.test_elasticsearch_values import SHAPE, inserts, live_sink
from tests.remedies.commands import commands


@pytest.fixture
def subject(endpoints: Endpoints) -> Iterator[ElasticsearchSubject]:
    made = ElasticsearchSubject(endpoints.elasticsearch)
    yield made
    made.close()


def send(subject: ElasticsearchSubject, method: str, path: str, body: object = None) -> Any:
    """Send a request, as an operator does."""
    sent = None if body is None else json.dumps(body).encode()
    request = Request(f"{subject.url}{path}", sent, {"content-type": "application/json"}, method=method)
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


def set_cluster(subject: ElasticsearchSubject, **settings: object) -> None:
    named = {name.replace("__", "."): value for name, value in settings.items()}
    send(subject, "PUT", "/_cluster/settings", {"persistent": named})


def test_a_block_of_the_cluster_is_released(subject: ElasticsearchSubject) -> None:
    sink = live_sink(subject)
    set_cluster(subject, cluster__blocks__read_only=True)
    try:
        with pytest.raises(StoreBlocked) as blocked:
            sink.write(inserts({("1", ""): '{"id":1}'}))
        [(method, path, body)] = re.findall(r"`(\w+) (/\S+)` with (\{.*\})", blocked.value.remedy)
        send(subject, method, path, json.loads(body))
        sink.write(inserts({("1", ""): '{"id":1}'}))
    finally:
        set_cluster(subject, cluster__blocks__read_only=None)


def test_a_cluster_with_too_many_shards_makes_an_index_once_it_may_have_more(subject: ElasticsearchSubject) -> None:
    set_cluster(subject, cluster__max_shards_per_node=1)
    try:
        with pytest.raises(StoreBlocked) as blocked:
            subject.store([SHAPE]).sink(1).prepare()
        assert ["prune"] in commands(blocked.value.remedy)
        [setting] = re.findall(r"`(cluster\.\S+)`", blocked.value.remedy)
        send(subject, "PUT", "/_cluster/settings", {"persistent": {setting: 1000}})
        subject.store([SHAPE]).sink(1).prepare()
    finally:
        set_cluster(subject, cluster__max_shards_per_node=None)


def test_an_index_in_the_place_of_an_alias_is_deleted_and_the_generation_shown_again(
    subject: ElasticsearchSubject,
) -> None:
    sink = live_sink(subject)
    subject.http("DELETE", f"things-000001/_alias/{subject.prefix}things")
    subject.http("PUT", "things")
    with pytest.raises(AliasTaken) as taken:
        sink.cutover()
    [(method, path)] = re.findall(r"`(DELETE) (/\S+)`", taken.value.remedy)
    send(subject, method, path)
    assert commands(taken.value.remedy) == [["init"]]
    sink.cutover()
    assert subject.store([SHAPE]).live() == 1


def test_a_document_that_cannot_be_read_is_kept_as_text_by_the_new_generation_of_a_replay(
    subject: ElasticsearchSubject,
) -> None:
    live_sink(subject)
    subject.http("PUT", "things-000001/_doc/1", {"id": 1, "facts": {"half": "\ud800"}})
    change = inserts({("1", ""): '{"id":1,"facts":{"half":"\\ud800"}}'})
    with pytest.raises(UnreadableResponse) as unreadable:
        subject.store([SHAPE]).sink(1).write(change)
    assert commands(unreadable.value.remedy) == [["replay", "elasticsearch", "--execute"]]
    new = subject.store([SHAPE]).sink(2)
    new.prepare()
    new.write(change)
    new.cutover()
    assert subject.read([SHAPE])["things"]["1"]["facts"] == '{"half":"\\ud800"}'


def test_a_batch_that_an_index_refuses_is_written_into_the_new_generation_of_a_replay(
    subject: ElasticsearchSubject,
) -> None:
    sink, things = live_sink(subject), inserts({("1", ""): '{"id":1,"text":"one"}'})
    [mapping] = subject.http("GET", "things-000001/_mapping").values()
    del mapping["mappings"]["properties"]["text"]
    subject.http("DELETE", "things-000001")
    aliases: dict[str, object] = {f"{subject.prefix}things-000001-write": {}, f"{subject.prefix}things": {}}
    subject.http("PUT", "things-000001", {"mappings": mapping["mappings"], "aliases": aliases})
    sink.prepare()
    with pytest.raises(MutationRejected) as refused:
        sink.write(things)
    [replay, snapshot] = commands(refused.value.remedy)
    assert (replay, snapshot) == (
        ["replay", "elasticsearch", "--execute"],
        ["replay", "elasticsearch", "--snapshot", "--execute"],
    )
    new = subject.store([SHAPE]).sink(2)
    new.prepare()
    new.write(things)
    new.cutover()
    assert subject.read([SHAPE])["things"]["1"] == {"id": 1, "text": "one", "items": []}


def test_a_closed_index_is_replaced_by_a_new_generation_or_opened_again(subject: ElasticsearchSubject) -> None:
    sink, things = live_sink(subject), inserts({("1", ""): '{"id":1,"text":"one"}'})
    subject.http("POST", "things-000001/_close")
    store = subject.store([SHAPE])
    for use in (lambda: sink.write(things), sink.progress, lambda: store.rejections(1)):
        with pytest.raises(IndexClosed, match="things-000001 is closed") as closed:
            use()
    assert (store.live(), [*store.generations()], store.size_bytes(1) > 0) == (1, [1], True)
    assert commands(closed.value.remedy) == [["run"], ["replay", "elasticsearch", "--execute"]]
    new = store.sink(2)
    new.prepare()
    new.write(things)
    new.cutover()
    assert (store.live(), [*subject.read([SHAPE])["things"]]) == (2, ["1"])
    [(method, path)] = re.findall(r"`(POST) (/\S+)`", closed.value.remedy)
    send(subject, method, path)
    sink.write(things)
    store.drop(1)
