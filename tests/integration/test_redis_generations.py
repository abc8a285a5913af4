"""Tests of generations in the databases of one Redis server, and the cutover between them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis import Redis

from pipeline.config import Settings, load
from pipeline.generations.cutover import prunable
from pipeline.generations.disk_space import disk_space
from pipeline.log_scan.finding import FindingReason
from pipeline.runtime import process
from pipeline.runtime.activity import Activity
from pipeline.verify.readers.redis import GenerationMoved, open_redis_reader
from sinks.errors import GenerationBroken, GenerationInUse, GenerationMissing, OffsetGap
from sinks.generation import GenerationMetadata
from sinks.ordering.range_tombstone import RangeTombstone, TombstoneKind
from sinks.redis.errors import UnsupportedServer
from sinks.redis.generation import MARKER, RECORD
from sinks.redis.store import RedisStore
from sinks.shape import ROOT, tombstone_scope
from tests.contract.redis_changes import ORDERS, batch, streamed
from tests.remedies.commands import commands
from tests.remedies.shell import SETTINGS, SHIPPED
from tests.support.redis_server import OwnServer, shared_server
from tests.support.waiting import wait_for

TOPIC_PARTITION = ("orders", 0)


@pytest.fixture
def store(redis: Redis) -> Iterator[RedisStore]:
    """Yield an empty store."""
    made = RedisStore(shared_server().url, [ORDERS])
    yield made
    made.close()


def test_the_first_generation_is_live_and_the_next_is_built_aside(store: RedisStore, redis: Redis) -> None:
    store.sink(7).prepare()
    store.sink(8).prepare()
    store.sink(8).write(batch(streamed("1", 10, '{"id":1}')))
    assert (tuple(store.generations()), store.live()) == ((7, 8), 7)
    assert redis.get("orders:1") is None


def test_a_live_generation_without_its_marker_is_rebuilt_while_readers_see_it(store: RedisStore, redis: Redis) -> None:
    store.sink(1).prepare()
    store.sink(1).write(batch(streamed("1", 10, '{"id":1}')))
    redis.delete(MARKER)
    assert store.live() is None
    store.sink(2).prepare()
    store.sink(2).write(batch(streamed("1", 20, '{"id":2}')))
    assert redis.get("orders:1") == b'{"id":1,"items":[]}'
    store.sink(2).cutover()
    assert (store.live(), redis.get("orders:1")) == (2, b'{"id":2,"items":[]}')
    assert list(redis.info("keyspace")) == ["db0"]


def test_a_sink_writes_on_into_its_own_generation_across_cutovers(store: RedisStore, redis: Redis) -> None:
    kept, built = store.sink(1), store.sink(2)
    kept.prepare()
    built.prepare()
    for number, show in enumerate([built, kept, built, kept, built]):
        kept.write(batch(streamed("kept", 10 + number, f'{{"number":{number}}}')))
        built.write(batch(streamed("built", 10 + number, f'{{"number":{number}}}')))
        show.cutover()
        show.cutover()
        own, other = ("built", "kept") if show is built else ("kept", "built")
        assert redis.get(f"orders:{own}") == f'{{"number":{number},"items":[]}}'.encode()
        assert redis.get(f"orders:{other}") is None


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return settings of this server, and of other servers that do not answer."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"READMODELS_{name}", value)
    return load(SHIPPED, {}, {"redis": {"url": shared_server().url}})


def test_a_generation_whose_metadata_is_damaged_gives_way_to_the_one_that_a_replay_builds(
    store: RedisStore, redis: Redis, settings: Settings
) -> None:
    store.sink(1).prepare()
    redis.set(RECORD, "nonsense")
    with pytest.raises(GenerationBroken, match="the metadata of generation 1 of redis is damaged") as broken:
        process._worker("redis", settings, store, 1, Activity())
    assert commands(broken.value.remedy) == [["replay", "all", "--execute"]]
    store.sink(2).prepare()
    store.sink(2).write(batch(streamed("1", 10, '{"id":1}')))
    store.sink(2).cutover()
    assert (store.live(), redis.get("orders:1")) == (2, b'{"id":1,"items":[]}')
    assert not store.generations()[2].is_unreadable


@pytest.mark.parametrize(("room", "reason"), [(0.5, FindingReason.INSUFFICIENT_SPACE), (1.5, FindingReason.LOW_SPACE)])
def test_a_rebuild_has_room_once_unneeded_generations_are_pruned(
    store: RedisStore, redis: Redis, settings: Settings, room: float, reason: FindingReason
) -> None:
    for number in (1, 2, 3):
        store.sink(number).prepare()
        store.sink(number).write(batch(*(streamed(str(key), 10, f'"{key:01000}"') for key in range(2000))))
        store.sink(number).cutover()
    before = disk_space("redis", settings)
    redis.config_set("maxmemory", redis.info("memory")["used_memory"] + int(room * before.needed_bytes))
    try:
        [finding] = disk_space("redis", settings).findings()
        assert (finding.reason, commands(finding.remedy)) == (reason, [["prune", "--execute"]])
        [unneeded] = prunable(store.generations(), store.live(), keep=1)
        store.drop(unneeded)
        # Redis frees the memory of a generation in the background.
        wait_for(
            lambda: reason not in {one.reason for one in disk_space("redis", settings).findings()}, 60.0, lambda: "full"
        )
    finally:
        redis.config_set("maxmemory", 0)


def test_a_generation_that_moved_while_it_was_verified_is_read_where_readers_see_it(
    store: RedisStore, settings: Settings
) -> None:
    for number in (1, 2):
        store.sink(number).prepare()
        store.sink(number).write(batch(streamed("1", 10, f'{{"id":{number}}}')))
    with open_redis_reader(settings, 2) as shown:
        [subject] = shown.subjects
        assert shown.lookup(subject, ["1"])
        store.sink(2).cutover()
        with pytest.raises(GenerationMoved) as moved:
            shown.lookup(subject, ["1"])
    assert commands(moved.value.remedy) == [["verify", "redis"]]
    with open_redis_reader(settings) as shown:
        assert shown.lookup(subject, ["1"]) == {"1": '{"id":2,"items":[]}'}


def test_readers_see_one_generation_or_the_other_and_writers_never_mix_them(store: RedisStore, redis: Redis) -> None:
    sinks = {number: store.sink(number) for number in (1, 2)}
    for sink in sinks.values():
        sink.prepare()
    is_over = threading.Event()

    def write(number: int) -> None:
        for lsn in range(10, 400):
            sinks[number].write(batch(*(streamed(str(key), lsn, f'{{"by":{number}}}') for key in range(20))))

    def swap() -> None:
        while not is_over.is_set():
            sinks[2].cutover()
            sinks[1].cutover()

    swapping = threading.Thread(target=swap)
    writers = [threading.Thread(target=write, args=(number,)) for number in sinks]
    for thread in (swapping, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    is_over.set()
    swapping.join()
    for number, sink in sinks.items():
        sink.cutover()
        assert redis.mget([f"orders:{key}" for key in range(20)]) == [f'{{"by":{number},"items":[]}}'.encode()] * 20


def test_a_range_tombstone_reaches_every_document_during_cutovers(store: RedisStore, redis: Redis) -> None:
    sinks = {number: store.sink(number) for number in (1, 2)}
    for sink in sinks.values():
        sink.prepare()
    sinks[1].write(batch(*(streamed(str(key), 10, '{"id":1}') for key in range(3000))))
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.is_set():
            sinks[2].cutover()
            sinks[1].cutover()

    swapping = threading.Thread(target=swap)
    swapping.start()
    truncate = RangeTombstone(
        scope=tombstone_scope("orders", ROOT), kind=TombstoneKind.TRUNCATE, epoch=0, commit_lsn=50, lsn=50
    )
    sinks[1].write(batch(range_tombstones=[truncate]))
    is_over.set()
    swapping.join()
    sinks[1].cutover()
    assert redis.keys("orders:*") == []
    assert len(redis.keys("{orders:*}:r")) == 3000


def test_a_dropped_generation_takes_its_progress_with_it(store: RedisStore) -> None:
    for number in (1, 2):
        store.sink(number).prepare()
        store.sink(number).write(batch(streamed("1", 10, '{"id":1}'), end={TOPIC_PARTITION: 5}))
    store.drop(2)
    store.drop(2)
    assert tuple(store.generations()) == (1,)
    with pytest.raises(GenerationMissing):
        store.sink(2).write(batch())
    store.sink(2).prepare()
    assert store.sink(2).progress().next_offset(TOPIC_PARTITION) == 0
    assert store.sink(1).progress().next_offset(TOPIC_PARTITION) == 5


def test_the_live_generation_is_not_dropped(store: RedisStore, redis: Redis) -> None:
    store.sink(1).prepare()
    store.sink(1).write(batch(streamed("1", 10, '{"id":1}')))
    with pytest.raises(GenerationInUse):
        store.drop(1)
    assert redis.exists("orders:1")


def test_clearing_leaves_the_keys_of_others(store: RedisStore, redis: Redis) -> None:
    for number in (1, 2):
        store.sink(number).prepare()
        store.sink(number).write(
            batch(*(streamed(str(key), 10, '{"id":1}') for key in range(700)), end={TOPIC_PARTITION: 5})
        )
    redis.set("sessions:1", "kept")
    store.drop_all()
    assert (tuple(store.generations()), store.live()) == ((), None)
    assert redis.info("keyspace").keys() == {"db0"}
    assert redis.keys() == [b"sessions:1"]


def test_clearing_beside_many_keys_of_others_ends_well(store: RedisStore, redis: Redis) -> None:
    """Check a scan of many pages: the marker by which the generation is found may be on any of them."""
    store.sink(1).prepare()
    redis.mset({f"sessions:{number}": "kept" for number in range(20_000)})
    store.drop_all()
    assert redis.dbsize() == 20_000


def test_a_database_that_others_use_is_not_taken(store: RedisStore, redis: Redis) -> None:
    redis.set("sessions:1", "somebody's")
    with pytest.raises(UnsupportedServer, match="another application") as refused:
        store.sink(1).prepare()
    assert "server of its own" in refused.value.remedy
    with shared_server().client(database=1) as other:
        redis.flushdb()
        other.set("sessions:1", "somebody's")
        store.sink(1).prepare()
        store.sink(2).prepare()
        store.sink(2).cutover()
        assert other.get("sessions:1") == b"somebody's"


def test_one_generation_too_many_is_refused() -> None:
    server = OwnServer({"databases": "2"}).start()
    store = RedisStore(server.url, [ORDERS])
    for number in (1, 2):
        store.sink(number).prepare()
    with pytest.raises(UnsupportedServer, match="no database is empty"):
        store.sink(3).prepare()
    assert tuple(store.generations()) == (1, 2)
    store.close()
    server.stop()


def test_a_generation_that_was_emptied_and_recreated_refuses_later_batches(store: RedisStore, redis: Redis) -> None:
    sink = store.sink(1)
    sink.prepare()
    sink.write(batch(streamed("1", 10, '{"id":1}'), end={TOPIC_PARTITION: 5}))
    redis.flushall()
    with pytest.raises(GenerationMissing):
        sink.progress()
    sink.prepare()
    with pytest.raises(OffsetGap):
        sink.write(batch(begin={TOPIC_PARTITION: 5}, end={TOPIC_PARTITION: 9}))


def test_everything_is_removed_also_where_the_documents_have_other_names_by_now(
    store: RedisStore, redis: Redis
) -> None:
    store.create(1, GenerationMetadata(shapes=(ORDERS,)))
    store.sink(1).write(batch(streamed("1", 10, '{"id":1}')))
    renamed = RedisStore(shared_server().url, [replace(ORDERS, name="purchases")])
    renamed.drop_all()
    renamed.close()
    assert redis.dbsize() == 0
