"""Tests of the bytes that readers get from Redis."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import pytest
from redis import Redis

from sinks.batch import Batch
from sinks.memory import MemoryStore
from sinks.ordering.document import render
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.redis.store import RedisStore
from sinks.shape import ROOT, tombstone_scope
from tests.contract.redis_changes import ORDERS, PartChange, batch, snapshot, streamed
from tests.support.redis_server import shared_server


@pytest.fixture
def store(redis: Redis) -> Iterator[RedisStore]:
    """Yield a store with orders in a first generation."""
    made = RedisStore(shared_server().url, [ORDERS])
    made.sink(1).prepare()
    yield made
    made.close()


@pytest.mark.parametrize(
    "image",
    [
        '{"sku":"\'; return redis.call(\'FLUSHALL\')"}',
        '{"address":{"a":1e400,"b":1.10,"c":9007199254740993,"d":[0.1,-0,null,true],"a ":"\\u0000"}}',
        '{"note":"ünïcode \U0001f600 \\" \\\\ \u2028 ]},{ %d $1 \\r\\n*3"}',
        '{"note":"\\r\\n$-1\\r\\n"}',
    ],
)
def test_images_reach_readers_byte_for_byte(store: RedisStore, redis: Redis, image: str) -> None:
    store.sink(1).write(batch(streamed("1", 10, '{"id":1}'), streamed("1", 11, image, "items/7")))
    assert redis.get("orders:1") == f'{{"id":1,"items":[{image}]}}'.encode()


@pytest.mark.parametrize("key", ["9007199254740993", "a b\r\n", "{x}", "*", "é/ü", ""])
def test_any_key_names_its_document(store: RedisStore, redis: Redis, key: str) -> None:
    sweep = RangeTombstone(
        scope=tombstone_scope("orders", ROOT), kind=TombstoneKind.SNAPSHOT_END, epoch=0, commit_lsn=5, lsn=5
    )
    store.sink(1).write(batch(streamed(key, 10, '{"id":1}'), range_tombstones=[sweep]))
    assert redis.get(f"orders:{key}") == b'{"id":1,"items":[]}'
    truncate = RangeTombstone(
        scope=tombstone_scope("orders", ROOT), kind=TombstoneKind.TRUNCATE, epoch=0, commit_lsn=50, lsn=50
    )
    store.sink(1).write(batch(range_tombstones=[truncate]))
    assert redis.get(f"orders:{key}") is None


def test_a_batch_of_many_documents_is_written_whole(
    store: RedisStore, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.redis.generation.DOCUMENTS_PER_PAGE", 2)
    roots = [streamed(str(key), 10, f'{{"id":{key}}}') for key in range(5)]
    items = [streamed(str(key), 11, f'{{"id":{key + 10}}}', f"items/{key + 10}") for key in range(5)]
    store.sink(1).write(batch(*roots, *items))
    for key in range(5):
        assert redis.get(f"orders:{key}") == f'{{"id":{key},"items":[{{"id":{key + 10}}}]}}'.encode()


def test_a_dead_document_leaves_its_registers_and_nothing_for_readers(store: RedisStore, redis: Redis) -> None:
    store.sink(1).write(batch(streamed("1", 10, '{"id":1}'), streamed("1", 11, '{"id":7}', "items/7")))
    store.sink(1).write(batch(streamed("1", 20, None)))
    assert not redis.exists("orders:1")
    assert redis.ttl("{orders:1}:r") == -1
    store.sink(1).write(batch(streamed("1", 10, '{"id":1}')))
    assert not redis.exists("orders:1")
    store.sink(1).write(batch(streamed("1", 30, '{"id":1,"status":"paid"}')))
    assert redis.get("orders:1") == b'{"id":1,"status":"paid","items":[{"id":7}]}'


def test_a_replay_writes_nothing(store: RedisStore, redis: Redis) -> None:
    history = [streamed("1", lsn, f'{{"lsn":{lsn}}}') for lsn in (10, 20, 30)]
    store.sink(1).write(batch(*history, streamed("1", 15, '{"id":7}', "items/7")))
    changes = redis.info("persistence")["rdb_changes_since_last_save"]
    store.sink(1).write(batch(*history[::-1]))
    assert redis.info("persistence")["rdb_changes_since_last_save"] == changes


def test_an_order_may_have_more_items_than_a_script_hands_over_at_once(store: RedisStore, redis: Redis) -> None:
    numbers = range(10_000)
    items = [streamed("1", 100 + number, f'{{"id":{number}}}', f"items/{number:05}") for number in numbers]
    store.sink(1).write(batch(streamed("1", 10, '{"id":1}'), *items))
    expected = f'{{"id":1,"items":[{",".join(f"""{{"id":{number}}}""" for number in numbers)}]}}'
    assert redis.get("orders:1") == expected.encode()
    truncate = RangeTombstone(
        scope=tombstone_scope("orders", "items"), kind=TombstoneKind.TRUNCATE, epoch=0, commit_lsn=10**6, lsn=10**6
    )
    store.sink(1).write(batch(range_tombstones=[truncate]))
    assert redis.get("orders:1") == b'{"id":1,"items":[]}'


def history(random: Random) -> list[PartChange]:
    """Return changes of 20 orders; each order and item is changed and deleted several times, around a snapshot."""
    changes = []
    for key in range(20):
        for part in ("", "items/1", "items/2", "items/3"):
            for lsn in random.sample(range(100, 900), 4):
                image = None if random.random() < 0.3 else f'{{"key":{key},"lsn":{lsn}}}'
                changes.append(streamed(str(key), lsn, image, part))
            changes.append(snapshot(str(key), 500, random.randrange(1000), f'{{"key":{key},"row":500}}', part))
    return changes


def test_concurrent_writers_end_as_one_would(store: RedisStore, redis: Redis) -> None:
    random = Random(7)
    changes = history(random)
    truncate = RangeTombstone(
        scope=tombstone_scope("orders", "items"), kind=TombstoneKind.TRUNCATE, epoch=0, commit_lsn=400, lsn=400
    )
    work: list[list[Batch]] = []
    for _ in range(3):
        mine = random.sample(changes, len(changes))
        batches = [batch(*mine[at : at + 25]) for at in range(0, len(mine), 25)]
        batches.insert(random.randrange(len(batches)), batch(range_tombstones=[truncate]))
        work.append(batches)
    together = threading.Barrier(len(work))

    def write(batches: list[Batch]) -> None:
        sink = store.sink(1)
        together.wait()
        for each in batches:
            sink.write(each)

    with ThreadPoolExecutor(len(work)) as writers:
        list(writers.map(write, work))

    memory = MemoryStore([ORDERS])
    memory.sink(1).prepare()
    memory.sink(1).write(batch(*changes, range_tombstones=[truncate]))
    registers = memory.held[1].registers
    for key in range(20):
        parts = {str(name[2]): register for name, register in registers.items() if name[1] == str(key)}
        document = render(parts, ORDERS)
        assert redis.get(f"orders:{key}") == (None if document is None else document.encode())


def test_a_document_has_the_keys_that_its_definition_declares(redis: Redis) -> None:
    store = RedisStore(shared_server().url, [replace(ORDERS, key_prefix="shop/order:")])
    store.sink(1).prepare()
    store.sink(1).write(batch(streamed("1", 10, '{"id":1}')))
    assert redis.get("shop/order:1") == b'{"id":1,"items":[]}'
    truncate = RangeTombstone(
        scope=tombstone_scope("orders", ROOT), kind=TombstoneKind.TRUNCATE, epoch=0, commit_lsn=50, lsn=50
    )
    store.sink(1).write(batch(range_tombstones=[truncate]))
    assert redis.get("shop/order:1") is None
    store.remove(1)
    store.close()
    assert redis.keys("*order*") == []
