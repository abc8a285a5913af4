"""Tests of documents that Elasticsearch rejects: they block no other, are named, and return with a later change."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping

import pytest

from sinks.elasticsearch.store import ElasticsearchSink, ElasticsearchStore
from sinks.errors import MutationRejected, StoreBlocked
from sinks.shape import DocumentShape
from stack.endpoints import Endpoints
from tests.contract.elasticsearch_harness import ElasticsearchSubject
from tests.integration.test_elasticsearch_values import SHAPE, inserts, live_sink

LARGE = json.dumps("word " * 3_000_000)
"""15 MB, more than a node with a heap of 512 MB accepts as one document."""


@pytest.fixture
def subject(endpoints: Endpoints) -> Iterator[ElasticsearchSubject]:
    """Yield indices of the test's own."""
    made = ElasticsearchSubject(endpoints.elasticsearch)
    yield made
    made.close()


def shown(subject: ElasticsearchSubject) -> Mapping[str, object]:
    return subject.read([SHAPE])["things"]


def rejected(store: ElasticsearchStore) -> dict[str, str]:
    found = store.rejections(1)
    assert found.count == len(found.first)
    return {one.key: one.reason for one in found.first}


def again(subject: ElasticsearchSubject) -> ElasticsearchSink:
    """Return the sink of a new worker without memory of earlier writes."""
    return subject.store([SHAPE]).sink(1)


REFUSED = [
    ("text", LARGE, "15,0.* bytes"),
    ("whole", "99999999999", "field 'whole'"),
    ("yes", '"perhaps"', "field 'yes'"),
    ("small", '"secret"', "field 'small'"),
]
"""Column, value and reported reason: a size, a mapping that another type had, and values out of range."""


@pytest.mark.parametrize(("column", "value", "reason"), REFUSED)
def test_a_refused_document_is_named_hidden_and_replaced_by_its_next_version(
    subject: ElasticsearchSubject, column: str, value: str, reason: str
) -> None:
    sink = live_sink(subject)
    sink.write(inserts({("1", ""): '{"id":1}', ("1", "items/7"): '{"id":7}'}))
    images = {("1", ""): f'{{"id":1,"{column}":{value}}}', **{(str(n), ""): f'{{"id":{n}}}' for n in range(2, 50)}}
    sink.write(inserts(images, lsn=20))
    assert sorted(map(int, shown(subject))) == [*range(2, 50)]
    [(key, said)] = rejected(subject.store([SHAPE])).items()
    assert key == "1"
    assert "secret" not in said
    assert reason.rsplit(".*", maxsplit=1)[-1] in said
    again(subject).write(inserts({("1", "items/8"): '{"id":8}'}, lsn=30))
    assert "1" not in shown(subject)
    again(subject).write(inserts({("1", ""): '{"id":1}'}, lsn=40))
    assert shown(subject)["1"] == {"id": 1, "items": [{"id": 7}, {"id": 8}]}
    assert rejected(subject.store([SHAPE])) == {}


def test_a_document_grown_too_large_by_its_items_is_shown_again_once_enough_of_them_are_gone(
    subject: ElasticsearchSubject,
) -> None:
    sink = live_sink(subject)
    sku = "s" * 10_000
    items = {("1", f"items/{n:04d}"): f'{{"id":{n},"sku":"{sku}"}}' for n in range(1_500)}
    sink.write(inserts({("1", ""): '{"id":1}', **items, ("2", ""): '{"id":2}'}))
    assert list(shown(subject)) == ["2"]
    assert list(rejected(subject.store([SHAPE]))) == ["1"]
    again(subject).write(inserts({key: f'{{"id":{n},"sku":"small"}}' for n, key in enumerate(items)}, lsn=20))
    assert rejected(subject.store([SHAPE])) == {}
    assert len(subject.read([SHAPE])["things"]["1"]["items"]) == 1_500


def test_images_that_cannot_even_be_packed_are_awaited_before_the_document_is_shown(
    subject: ElasticsearchSubject,
) -> None:
    noise = "".join(
        random.Random(1).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", k=16 * 2**20)
    )
    sink = live_sink(subject)
    large = {("1", ""): '{"id":1}', ("1", "items/1"): f'{{"id":1,"sku":"{noise}"}}', ("1", "items/2"): '{"id":2}'}
    sink.write(inserts(large))
    assert list(rejected(subject.store([SHAPE]))) == ["1"]
    again(subject).write(inserts({("1", ""): '{"id":1,"text":"new"}'}, lsn=20))
    assert shown(subject) == {}
    assert list(rejected(subject.store([SHAPE]))) == ["1"]
    again(subject).write(inserts({("1", "items/1"): '{"id":1,"sku":"small"}'}, lsn=30))
    assert shown(subject)["1"] == {"id": 1, "text": "new", "items": [{"id": 1, "sku": "small"}, {"id": 2}]}


def test_a_request_longer_than_the_cluster_takes_is_not_waited_for(subject: ElasticsearchSubject) -> None:
    sink = live_sink(subject)
    images = {("1", ""): f'{{"id":1,"text":"{"a " * (53 * 2**20)}"}}', ("2", ""): '{"id":2}'}
    sink.write(inserts(images))
    assert list(shown(subject)) == ["2"]
    assert list(rejected(subject.store([SHAPE]))) == ["1"]


def test_the_real_key_of_a_rejected_document_is_named(subject: ElasticsearchSubject) -> None:
    key = "k" * 600
    live_sink(subject).write(inserts({(key, ""): '{"whole":"no number"}'}))
    assert list(rejected(subject.store([SHAPE]))) == [key]


def test_a_rejected_document_may_be_deleted(subject: ElasticsearchSubject) -> None:
    sink = live_sink(subject)
    sink.write(inserts({("1", ""): '{"whole":"no number"}'}))
    batch = inserts({("1", ""): ""}, lsn=20)
    changes = batch.mutations[0].changes
    deleted = changes.set_column(changes.schema.get_field_index("_deleted"), "_deleted", [[True]])
    sink.write(type(batch)((type(batch.mutations[0])("things", deleted),)))
    assert rejected(subject.store([SHAPE])) == {}
    assert shown(subject) == {}


def test_an_index_that_refuses_nearly_all_documents_stops_the_worker(subject: ElasticsearchSubject) -> None:
    sink = live_sink(subject)
    with pytest.raises(MutationRejected, match="field 'whole'"):
        sink.write(inserts({(str(n), ""): '{"whole":"no number"}' for n in range(300)}))
    assert rejected(subject.store([SHAPE])) == {}


def test_an_index_made_by_an_earlier_version_takes_rejections_too(subject: ElasticsearchSubject) -> None:
    shape = DocumentShape("things", SHAPE.columns, SHAPE.collections)
    sink = live_sink(subject, shape)
    mapping = subject.http("GET", "things-000001/_mapping")
    [old] = mapping.values()
    ours = old["mappings"]["properties"]["readmodels"]["properties"]
    for name in ("rejection", "packed"):
        del ours[name]
    subject.http("DELETE", "things-000001")
    aliases: dict[str, object] = {f"{subject.prefix}things-000001-write": {}}
    subject.http("PUT", "things-000001", {"mappings": old["mappings"], "aliases": aliases})
    sink.prepare()
    sink.write(inserts({("1", ""): '{"whole":"no number"}'}))
    assert list(rejected(subject.store([SHAPE]))) == ["1"]


@pytest.mark.parametrize(
    ("setting", "remedy"),
    [
        ({"index.blocks.read_only_allow_delete": True}, "Free disk space"),
        ({"index.blocks.write": True}, "index.blocks.write"),
    ],
)
def test_a_block_of_the_index_is_waited_for_and_never_the_documents_fault(
    subject: ElasticsearchSubject, setting: dict[str, bool], remedy: str
) -> None:
    sink = live_sink(subject)
    subject.http("PUT", "things-000001/_settings", setting)
    with pytest.raises(StoreBlocked) as blocked:
        sink.write(inserts({("1", ""): '{"id":1}'}))
    assert remedy in blocked.value.remedy
    # Carry out the remedy verbatim.
    if "`PUT /" in blocked.value.remedy:
        _, path, text = blocked.value.remedy.split("`")
        subject.http("PUT", path.removeprefix(f"PUT /{subject.prefix}"), json.loads(text[text.index("{") : -1]))
    else:
        subject.http("PUT", "things-000001/_settings", dict.fromkeys(setting))
    sink.write(inserts({("1", ""): '{"id":1}'}))
    assert list(shown(subject)) == ["1"]
