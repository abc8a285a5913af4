"""Tests of documents changed by hand: they block no change, and rewriting all of their parts repairs them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3
from redis import Redis

from sinks.redis.store import RedisStore
from stack.endpoints import Endpoints
from tests.contract.elasticsearch_harness import ElasticsearchSubject
from tests.contract.log import SHOP, Log, Row, batch
from tests.contract.redis_changes import ORDERS, streamed
from tests.contract.redis_changes import batch as redis_batch
from tests.contract.store_harness import Form
from tests.support.redis_server import shared_server

SHAPES = SHOP.shapes(Form.DOCUMENTS)
HTTP = urllib3.PoolManager()
PENS = [{"id": 7, "order_id": 1, "sku": "pen"}, {"id": 8, "order_id": 1, "sku": "ink"}]
WHOLE = {"id": 1, "status": "pending", "total": "10.00", "items": PENS}

Damage = Callable[[dict[str, Any]], object]


@pytest.fixture
def subject(endpoints: Endpoints) -> Iterator[ElasticsearchSubject]:
    made = ElasticsearchSubject(endpoints.elasticsearch)
    yield made
    made.close()


def forget_first_item(registers: list[list[str]]) -> None:
    registers.remove(sorted(registers)[1])


def order(status: str = "pending") -> Row:
    return {"id": 1, "status": status, "total": "10.00"}


def stored_log(log: Log) -> None:
    """Write an order with two items, and a third that was deleted."""
    log.streamed(SHOP.root, (10, 11), after=order())
    for number, pen in enumerate(PENS):
        log.streamed(SHOP.child, (10, 12 + number), after=pen)
    gone = {"id": 9, "order_id": 1, "sku": "cap"}
    log.streamed(SHOP.child, (10, 20), after=gone)
    log.streamed(SHOP.child, (20, 21), before=gone)


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (lambda document: document["items"].pop(), []),
        (lambda document: document["items"].append(PENS[0]), []),
        (lambda document: document.pop("items"), []),
        (lambda document: document.update(items=PENS[0]), []),
        (lambda document: forget_first_item(document["readmodels"]["registers"]), []),
        (lambda document: document["readmodels"]["registers"].append(["items/7", "?"]), []),
        (lambda document: document["readmodels"].pop("registers"), []),
        (lambda document: document["items"][0].update(sku="pencil"), [{**PENS[0], "sku": "pencil"}, PENS[1]]),
    ],
)
def test_a_change_is_applied_to_a_damaged_document_and_a_complete_one_repairs_it(
    subject: ElasticsearchSubject, damage: Damage, left: list[Row]
) -> None:
    log = Log(SHOP)
    stored_log(log)
    sink = subject.store(SHAPES).sink(1)
    sink.prepare()
    sink.cutover()
    sink.write(batch(log.events, SHOP, Form.DOCUMENTS))
    assert subject.read(SHAPES)["orders"] == {"1": WHOLE}
    put_altered(f"{subject.url}/{next(iter(sink.stats))}", damage)
    change = log.streamed(SHOP.root, (30, 31), before=order(), after=order("paid"))
    other = subject.store(SHAPES).sink(1)
    other.write(batch([change], SHOP, Form.DOCUMENTS))
    assert subject.read(SHAPES)["orders"] == {"1": {**WHOLE, "status": "paid", "items": left}}
    assert [tally.damaged for tally in other.stats.values()] == [0 if left else 1]
    again = Log(SHOP)
    again.streamed(SHOP.root, (40, 41), after=order("paid"))
    for number, pen in enumerate(PENS):
        again.streamed(SHOP.child, (40, 42 + number), after=pen)
    sink.write(batch(again.events, SHOP, Form.DOCUMENTS))
    assert subject.read(SHAPES)["orders"] == {"1": {**WHOLE, "status": "paid"}}


def put_altered(index: str, damage: Damage) -> None:
    document = json.loads(HTTP.request("GET", f"{index}/_source/1").data)
    damage(document)
    answer = HTTP.request("PUT", f"{index}/_doc/1?refresh=true", json=document)
    assert answer.status < 300, answer.data


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (("DEL", "orders:1"), WHOLE),
        (("SET", "orders:1", "not even JSON"), WHOLE),
        (("RPUSH", "orders:2", "a list"), WHOLE),
        (("DEL", "{orders:1}:r"), {**WHOLE, "items": []}),
        (("HDEL", "{orders:1}:r", "items/7"), {**WHOLE, "items": PENS[1:]}),
    ],
)
def test_a_change_is_applied_to_a_damaged_document_in_redis(damage: tuple[str, ...], left: dict[str, Any]) -> None:
    store = RedisStore(shared_server().url, [ORDERS])
    with shared_server().client() as client:
        client.flushall()
        sink = store.sink(1)
        sink.prepare()
        parts = [("items/7", PENS[0]), ("items/8", PENS[1])]
        images = [streamed("1", 11 + at, json.dumps(pen), part) for at, (part, pen) in enumerate(parts)]
        sink.write(redis_batch(streamed("1", 10, json.dumps(order())), *images))
        client.execute_command(*damage)
        sink.write(redis_batch(streamed("1", 30, json.dumps(order("paid"))), streamed("2", 30, '{"id":2}')))
        assert shown(client) == {**left, "status": "paid"}
        assert client.get("orders:2") == b'{"id":2,"items":[]}'
        again = [streamed("1", 41 + at, json.dumps(pen), part) for at, (part, pen) in enumerate(parts)]
        sink.write(redis_batch(streamed("1", 40, json.dumps(order("paid"))), *again))
        assert shown(client) == {**WHOLE, "status": "paid"}
    store.close()


def shown(client: Redis) -> dict[str, Any]:
    text = client.get("orders:1")
    assert isinstance(text, bytes)
    return dict(json.loads(text))
