"""Tests of the sink with a Redis server that is killed, full, read-only, silent or unsuitable."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis
from structlog.testing import capture_logs

from pipeline.ingest.retry import Retrier
from sinks.batch import Batch, OffsetRange
from sinks.errors import GenerationMissing, MutationRejected, OffsetGap, StoreBlocked, StoreUnavailable
from sinks.redis.connection import connection_pool, session
from sinks.redis.errors import UnsupportedServer
from sinks.redis.generation import MARKER, RedisGeneration
from sinks.redis.resp import encode_args
from sinks.redis.server_check import check_server
from sinks.redis.store import LIST, RedisStore
from tests.contract.redis_changes import ORDERS, batch, streamed
from tests.remedies.commands import commands, settings
from tests.support.redis_server import OwnServer, shared_server
from tests.support.waiting import wait_for

TOPIC_PARTITION = ("orders", 0)


@pytest.fixture
def server() -> Iterator[OwnServer]:
    """Yield a server that syncs every acknowledged write, and may be killed."""
    started = OwnServer({"appendonly": "yes", "appendfsync": "always"}).start()
    yield started
    started.stop()


@pytest.fixture
def store(server: OwnServer) -> Iterator[RedisStore]:
    """Yield a store with orders in a first generation."""
    made = RedisStore(server.url, [ORDERS])
    made.sink(1).prepare()
    yield made
    made.close()


def numbered(begin: int, end: int) -> Batch:
    """Return the changes of one partition from one offset to another: each updates one of three orders."""
    changes = [streamed(str(at % 3), 10 + at, f'{{"at":{at}}}') for at in range(begin, end)]
    return batch(*changes, begin={TOPIC_PARTITION: begin}, end={TOPIC_PARTITION: end})


def assert_is_at(server: OwnServer, store: RedisStore, end: int) -> None:
    """Check that everything below an offset is visible, and that progress is not beyond the offset."""
    with server.client() as client:
        shown = sorted(client.mget(["orders:0", "orders:1", "orders:2"]))
    assert shown == sorted(f'{{"at":{at},"items":[]}}'.encode() for at in range(end - 3, end))
    assert store.sink(1).progress().next_offset(TOPIC_PARTITION) == end


def put_back(server: OwnServer, older: Path) -> None:
    """Kill the server, and start it from an older copy of its files."""
    server.kill()
    for file in server.folder.iterdir():
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    shutil.copytree(older, server.folder, dirs_exist_ok=True)
    server.start()


@pytest.fixture
def older(tmp_path: Path, server: OwnServer) -> Callable[[], Path]:
    """Return a function that copies the server's current files."""

    def copy() -> Path:
        ignored = shutil.ignore_patterns("socket")
        return Path(shutil.copytree(server.folder, tmp_path / "older", ignore=ignored))

    return copy


def carry_out(client: Redis, remedy: str) -> None:
    """Execute the `redis-cli` commands of a remedy on a server."""
    given = re.findall(r"`redis-cli ([^`]+)`", remedy)
    assert given, remedy
    for command in given:
        client.execute_command(*command.split())  # type: ignore[no-untyped-call]


def in_place_of_progress(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Call `happens` once, after the last merge and before progress is stored."""
    move = RedisGeneration.move_progress

    def interrupted(generation: RedisGeneration, span: OffsetRange) -> None:
        monkeypatch.setattr(RedisGeneration, "move_progress", move)
        happens()
        move(generation, span)

    monkeypatch.setattr(RedisGeneration, "move_progress", interrupted)


def test_a_server_killed_before_progress_moves_and_back_without_the_merge_is_written_again(
    server: OwnServer, store: RedisStore, older: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.sink(1).write(numbered(0, 5))
    copy = older()
    in_place_of_progress(monkeypatch, lambda: put_back(server, copy))
    with pytest.raises(StoreUnavailable):
        store.sink(1).write(numbered(5, 9))
    assert_is_at(server, store, 5)
    store.sink(1).write(numbered(5, 9))
    assert_is_at(server, store, 9)


def test_a_server_that_lost_acknowledged_batches_is_replayed_from_its_own_progress(
    server: OwnServer, store: RedisStore, older: Callable[[], Path]
) -> None:
    sink = store.sink(1)
    sink.write(numbered(0, 5))
    copy = older()
    sink.write(numbered(5, 9))
    put_back(server, copy)
    with pytest.raises(OffsetGap) as lost:
        sink.write(numbered(9, 12))
    assert lost.value.stored == {TOPIC_PARTITION: 5}
    sink.write(numbered(5, 12))
    assert_is_at(server, store, 12)


def test_a_generation_recreated_during_a_batch_does_not_get_its_progress(
    server: OwnServer, store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_anew() -> None:
        with server.client() as client:
            client.flushall()
        store.sink(1).prepare()

    in_place_of_progress(monkeypatch, make_anew)
    with pytest.raises(GenerationMissing):
        store.sink(1).write(numbered(0, 5))
    assert store.sink(1).progress().next_offset(TOPIC_PARTITION) == 0
    store.sink(1).write(numbered(0, 5))
    assert_is_at(server, store, 5)


def test_every_generation_outlives_a_killed_server(server: OwnServer, store: RedisStore) -> None:
    store.sink(2).prepare()
    store.sink(1).write(numbered(0, 5))
    store.sink(2).write(numbered(0, 9))
    server.kill()
    server.start()
    assert (list(store.generations()), store.live()) == ([1, 2], 1)
    assert_is_at(server, store, 5)
    store.sink(2).cutover()
    server.kill()
    server.start()
    assert store.live() == 2
    store.sink(2).write(numbered(9, 12))
    store.sink(1).write(numbered(5, 7))
    with server.client() as client:
        assert client.get("orders:2") == b'{"at":11,"items":[]}'
    with server.client(database=1) as client:
        assert client.get("orders:0") == b'{"at":6,"items":[]}'


def test_a_lost_connection_is_not_renewed_in_the_middle(server: OwnServer) -> None:
    connections = connection_pool(server.url)
    with session(connections) as opened:
        connections.disconnect()
        with pytest.raises(StoreUnavailable):
            opened.call(LIST, [encode_args(MARKER)], [])


def test_scripts_that_the_server_forgot_are_loaded_again(server: OwnServer, store: RedisStore) -> None:
    store.sink(1).write(numbered(0, 5))
    with server.client() as client:
        client.script_flush()
    store.sink(1).write(numbered(5, 9))
    assert_is_at(server, store, 9)


def test_a_key_of_another_type_is_named_and_the_others_are_written(server: OwnServer, store: RedisStore) -> None:
    with server.client() as client:
        client.set("{orders:1}:r", "somebody's")
        changes = [streamed(str(key), 10, '{"note":"secret"}') for key in range(3)]
        with pytest.raises(MutationRejected) as refused:
            store.sink(1).write(batch(*changes, begin={TOPIC_PARTITION: 0}, end={TOPIC_PARTITION: 3}))
        assert "{orders:1}:r" in str(refused.value)
        assert "secret" not in str(refused.value)
        assert commands(refused.value.remedy)[0] == ["replay", "redis", "--execute"]
        assert [bool(client.exists(f"orders:{key}")) for key in range(3)] == [True, False, True]
    assert store.sink(1).progress().next_offset(TOPIC_PARTITION) == 0


def test_a_server_without_memory_takes_the_batch_once_it_has_some(server: OwnServer, store: RedisStore) -> None:
    with server.client() as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreBlocked, match="OOM") as blocked:
            store.sink(1).write(numbered(0, 5))
        carry_out(client, blocked.value.remedy)
    store.sink(1).write(numbered(0, 5))
    assert_is_at(server, store, 5)


def test_a_replica_takes_the_batch_once_it_is_promoted_and_the_primary_at_once(
    server: OwnServer, store: RedisStore
) -> None:
    with server.client() as client:
        client.replicaof("127.0.0.1", 1)
        with pytest.raises(StoreBlocked, match="READONLY") as blocked:
            store.sink(1).write(numbered(0, 5))
        assert settings(blocked.value.remedy) == [("redis", "url")]
        primary = RedisStore(shared_server().url, [ORDERS])
        primary.sink(9).prepare()
        primary.sink(9).write(numbered(0, 5))
        primary.drop_all()
        carry_out(client, blocked.value.remedy)
    store.sink(1).write(numbered(0, 5))
    assert_is_at(server, store, 5)


def test_a_server_that_could_not_save_takes_the_batch_once_its_disk_has_room(
    server: OwnServer, store: RedisStore
) -> None:
    with server.client() as client:
        client.config_set("dbfilename", "full.rdb")
        # A directory at the file's path makes the final rename fail, as a full disk makes the write fail.
        (server.folder / "full.rdb").mkdir()
        (server.folder / "full.rdb" / "something").touch()
        client.config_set("save", "1 1")
        client.set("changed", 1)
        wait_for(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", 30, lambda: "saved")
        with pytest.raises(StoreBlocked, match="MISCONF") as blocked:
            store.sink(1).write(numbered(0, 5))
        assert blocked.value.remedy.startswith("Free space on the disk of the Redis server")
        shutil.rmtree(server.folder / "full.rdb")
        wait_for(lambda: not client.info("persistence")["rdb_bgsave_in_progress"], 30, lambda: "still saving")
        carry_out(client, blocked.value.remedy)
        wait_for(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", 30, lambda: "not saved")
    store.sink(1).write(numbered(0, 5))
    assert_is_at(server, store, 5)


def test_a_user_without_rights_or_with_another_password_is_corrected(server: OwnServer, store: RedisStore) -> None:
    as_user = RedisStore(server.url.replace("unix://", "unix://readmodels:right@"), [ORDERS])
    mistaken = RedisStore(server.url.replace("unix://", "unix://readmodels:wrong@"), [ORDERS])
    with server.client() as client:
        client.acl_setuser("readmodels", enabled=True, passwords=["+right"], categories=["+@read"], keys=["*"])
        for user in (as_user, mistaken):
            with pytest.raises(StoreUnavailable) as refused:
                user.sink(1).write(numbered(0, 5))
            assert settings(refused.value.remedy) == [("redis", "url")]
        carry_out(client, refused.value.remedy)
    as_user.sink(1).write(numbered(0, 5))
    assert_is_at(server, store, 5)


def test_a_worker_resumes_automatically_once_the_store_is_started(server: OwnServer, store: RedisStore) -> None:
    server.kill()
    with pytest.raises(StoreUnavailable) as refused:
        store.sink(1).write(numbered(0, 5))
    assert ("redis", "url") in settings(refused.value.remedy)
    waiting = threading.Thread(
        target=Retrier(threading.Event()), args=("write", lambda: store.sink(1).write(numbered(0, 5)))
    )
    waiting.start()
    server.start()
    waiting.join()
    assert_is_at(server, store, 5)


def test_a_server_in_cluster_mode_gives_way_to_one_that_is_not() -> None:
    cluster = OwnServer({"cluster-enabled": "yes"}).start()
    try:
        with cluster.client() as client:
            [finding] = [one for one in check_server(client) if one.is_fatal]
        assert settings(finding.remedy) == [("redis", "url")]
        [_, setting, *_] = finding.remedy.split("`")
        name, value = setting.split()
        other = OwnServer({name: value}).start()
        try:
            with other.client() as client:
                assert not [one for one in check_server(client) if one.is_fatal]
        finally:
            other.stop()
    finally:
        cluster.stop()


def test_a_server_that_is_too_old_gives_way_to_the_oldest_that_is_supported(
    server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.client() as client:
        told = client.info()
        with monkeypatch.context() as older:
            older.setattr(client, "info", lambda: {**told, "redis_version": "6.0.16"})
            [finding] = check_server(client)
        assert settings(finding.remedy) == [("redis", "url")]
        [oldest] = re.findall(r"Redis (\d+\.\d+)", finding.remedy)
        monkeypatch.setattr(client, "info", lambda: {**told, "redis_version": f"{oldest}.0"})
        assert check_server(client) == []


def test_a_server_that_hung_accepts_the_batch_once_it_responds(server: OwnServer, store: RedisStore) -> None:
    hurried = RedisStore(f"{server.url}&socket_timeout=0.2", [ORDERS])
    server.pause()
    with pytest.raises(StoreUnavailable):
        hurried.sink(1).write(numbered(0, 5))
    server.resume()
    hurried.sink(1).write(numbered(0, 5))
    assert_is_at(server, store, 5)
    hurried.close()


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    store = RedisStore(f"unix://{tmp_path / 'socket'}", [ORDERS])
    with pytest.raises(StoreUnavailable):
        store.sink(1).prepare()
    with pytest.raises(StoreUnavailable):
        store.live()


def test_a_wrong_password_is_reported_without_the_password(server: OwnServer) -> None:
    with server.client() as client:
        client.config_set("requirepass", "right")
    store = RedisStore(server.url.replace("unix://", "unix://:wr0ng@"), [ORDERS])
    with pytest.raises(StoreUnavailable) as refused:
        store.live()
    assert "wr0ng" not in str(refused.value)


@pytest.mark.parametrize(("policy", "is_refused"), [("allkeys-lru", True), ("volatile-lru", False)])
def test_a_server_that_evicts_registers_is_refused(server: OwnServer, policy: str, is_refused: bool) -> None:
    store = RedisStore(server.url, [ORDERS])
    with server.client() as client:
        client.config_set("maxmemory-policy", policy)
        assert [finding.is_fatal for finding in check_server(client)] == [True] * is_refused
    if is_refused:
        with pytest.raises(UnsupportedServer) as refused:
            store.sink(1).prepare()
        with server.client() as client:
            carry_out(client, refused.value.remedy)
        store.sink(1).prepare()
        assert tuple(store.generations()) == (1,)
    else:
        store.sink(1).prepare()
    assert tuple(store.generations()) == (1,)
    store.close()


def test_a_worker_warns_of_a_server_without_an_append_only_file(server: OwnServer) -> None:
    store = RedisStore(server.url, [ORDERS])
    with server.client() as client, closing(store):
        client.config_set("appendonly", "no")
        with capture_logs() as logs:
            store.sink(1).prepare()
        [warning] = [line for line in logs if line["log_level"] == "warning"]
        assert "appendonly is off" in warning["reason"]
        carry_out(client, warning["remedy"])
        with capture_logs() as later:
            store.sink(1).prepare()
        assert later == []
