"""Tests of the local stack on its real servers. Every test leaves all of them running."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil
import psycopg
import pytest
import urllib3
from confluent_kafka.admin import AdminClient, NewTopic
from redis import Redis

from stack.endpoints import Endpoints
from stack.errors import PortTaken, ServerDied
from stack.local import SERVERS, LocalStack
from stack.process import read_pid_file

HTTP = urllib3.PoolManager()
MOST_MEMORY_BYTES = 2.5 * 2**30
WARM_START_WITHIN_S = 60


@dataclass(frozen=True)
class Restart:
    """Results of one stop and one start, with two starts in between that were killed half-way."""

    before: Endpoints
    written: dict[str, str]
    left_by_stops: list[str]
    begun: dict[str, int]
    after: Endpoints
    finished: dict[str, int | None]
    processor_s: float


@pytest.fixture(scope="module")
def restart(local_stack: LocalStack) -> Iterator[Restart]:
    """Write to every server, stop all, kill a start, stop its remains, kill another start, and finish that one."""
    before = local_stack.up()
    written = {name: write(before) for name, (write, _) in STORES.items()}
    local_stack.down()
    left_by_stops = [name for name, pid in pids(local_stack).items() if pid]
    begin_and_kill(local_stack)
    local_stack.down()
    left_by_stops += [name for name, pid in pids(local_stack).items() if pid]
    begin_and_kill(local_stack)
    begun = {name: pid for name, pid in pids(local_stack).items() if pid}
    after = local_stack.up()
    spent = [process.cpu_times() for process in servers(local_stack)]
    processor_s = sum(times.user + times.system for times in spent)
    yield Restart(before, written, left_by_stops, begun, after, pids(local_stack), processor_s)
    with Redis.from_url(local_stack.up().redis) as client:
        # A read model rejects a Redis database with foreign keys.
        client.delete("survivor")


def test_rows_topics_schemas_documents_and_keys_survive_a_stop(restart: Restart) -> None:
    assert restart.after == restart.before
    assert {name: read(restart.after) for name, (_, read) in STORES.items()} == restart.written


def test_a_stop_leaves_nothing_not_even_of_a_start_that_was_killed(restart: Restart) -> None:
    assert restart.left_by_stops == []


def test_a_start_finishes_what_a_killed_one_began(restart: Restart) -> None:
    assert restart.begun
    assert restart.begun.items() <= restart.finished.items()
    assert None not in restart.finished.values()


def test_a_warm_start_takes_less_than_a_minute_of_one_processor(restart: Restart) -> None:
    # Processor time does not depend on other processes of the machine.
    assert restart.processor_s < WARM_START_WITHIN_S


def test_a_second_start_starts_nothing(local_stack: LocalStack) -> None:
    before = pids(local_stack)
    assert None not in before.values()
    local_stack.up()
    assert pids(local_stack) == before


def test_a_start_brings_back_only_what_died(local_stack: LocalStack) -> None:
    before = pids(local_stack)
    local_stack.kill("kafka")
    assert local_stack.pid("kafka") is None
    local_stack.up()
    after = pids(local_stack)
    assert after.pop("kafka") not in {None, before.pop("kafka")}
    assert after == before


def test_servers_run_without_rights_in_sessions_of_their_own_on_loopback_only(local_stack: LocalStack) -> None:
    for process in servers(local_stack):
        assert process.uids().real != 0
        assert os.getsid(process.pid) != os.getsid(0)
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for process in servers(local_stack)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_all_servers_together_stay_within_their_memory(local_stack: LocalStack) -> None:
    # Proportional set size, so that memory shared by PostgreSQL's processes counts once.
    assert sum(process.memory_full_info().pss for process in servers(local_stack)) < MOST_MEMORY_BYTES


def test_addresses_and_secrets_are_for_their_owner_only(local_stack: LocalStack) -> None:
    for name in ("endpoints.json", "secrets.json"):
        assert stat.S_IMODE((local_stack.home / name).stat().st_mode) == 0o600
    password = psycopg.conninfo.conninfo_to_dict(local_stack.up().postgres)["password"]
    assert str(password) not in repr(local_stack.up())
    for process in servers(local_stack):
        # A connection's process may end during the check.
        with suppress(psutil.NoSuchProcess):
            assert str(password) not in " ".join(process.cmdline())


def test_a_port_in_use_is_named_with_the_process_that_uses_it(local_stack: LocalStack) -> None:
    port = json.loads((local_stack.home / "ports.json").read_text())["redis"]
    local_stack.stop("redis")
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTaken) as caught:
        local_stack.start("redis")
    assert f"Port {port}, which redis has" in str(caught.value)
    assert f"process {os.getpid()}" in str(caught.value)
    assert "ports.json" in caught.value.remedy
    local_stack.start("redis")


def test_a_server_that_dies_at_boot_is_reported_with_the_end_of_its_log(local_stack: LocalStack) -> None:
    local_stack.stop("redis")
    log_of_writes = next((local_stack.home / "data/redis").rglob("*.aof"))
    kept = log_of_writes.read_bytes()
    log_of_writes.write_text("this is no log of writes\n")
    with pytest.raises(ServerDied) as caught:
        local_stack.up()
    assert "redis ended before it was ready" in str(caught.value)
    assert "Bad file format reading the append only file" in caught.value.log_tail
    log_of_writes.write_bytes(kept)
    local_stack.up()


def begin_and_kill(stack: LocalStack) -> None:
    """Run `up` in a separate process and kill it when it has begun to start Elasticsearch."""
    program = (
        "import sys; from pathlib import Path; from stack.local import LocalStack; LocalStack(Path(sys.argv[1])).up()"
    )
    starter = subprocess.Popen([sys.executable, "-c", program, str(stack.home)])
    while read_pid_file(stack.home / "run/elasticsearch.json") is None:
        assert starter.poll() is None
        time.sleep(0.01)
    starter.send_signal(signal.SIGKILL)
    starter.wait()


def pids(stack: LocalStack) -> dict[str, int | None]:
    return {name: stack.pid(name) for name in SERVERS}


def servers(stack: LocalStack) -> list[psutil.Process]:
    mains = [psutil.Process(pid) for pid in pids(stack).values() if pid]
    return mains + [child for main in mains for child in main.children(recursive=True)]


def write_row(endpoints: Endpoints) -> str:
    with psycopg.connect(endpoints.postgres) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS survivors (word text)")
        connection.execute("INSERT INTO survivors SELECT 'row' WHERE NOT EXISTS (SELECT FROM survivors)")
    return read_row(endpoints)


def read_row(endpoints: Endpoints) -> str:
    with psycopg.connect(endpoints.postgres) as connection:
        return str(connection.execute("SELECT word FROM survivors").fetchall())


def write_topic(endpoints: Endpoints) -> str:
    client = AdminClient({"bootstrap.servers": endpoints.kafka})
    if "survivors" not in client.list_topics(timeout=10).topics:
        client.create_topics([NewTopic("survivors", 3, 1)])["survivors"].result(10)
    return read_topic(endpoints)


def read_topic(endpoints: Endpoints) -> str:
    topics = AdminClient({"bootstrap.servers": endpoints.kafka}).list_topics(timeout=10).topics
    return f"{len(topics['survivors'].partitions)} partitions"


def write_document(endpoints: Endpoints) -> str:
    HTTP.request("PUT", f"{endpoints.elasticsearch}/survivors/_doc/1?refresh=true", json={"word": "document"})
    return read_document(endpoints)


def read_document(endpoints: Endpoints) -> str:
    return str(HTTP.request("GET", f"{endpoints.elasticsearch}/survivors/_source/1").json())


def write_schema(endpoints: Endpoints) -> str:
    schema = json.dumps({"type": "record", "name": "Survivor", "fields": [{"name": "word", "type": "string"}]})
    HTTP.request("POST", f"{endpoints.schema_registry}/subjects/survivors/versions", json={"schema": schema})
    return read_schema(endpoints)


def read_schema(endpoints: Endpoints) -> str:
    return str(HTTP.request("GET", f"{endpoints.schema_registry}/subjects/survivors/versions/1").json()["schema"])


def write_key(endpoints: Endpoints) -> str:
    with Redis.from_url(endpoints.redis) as client:
        client.set("survivor", "key")
    return read_key(endpoints)


def read_key(endpoints: Endpoints) -> str:
    with Redis.from_url(endpoints.redis) as client:
        return str(client.get("survivor"))


STORES: dict[str, tuple[Callable[[Endpoints], str], Callable[[Endpoints], str]]] = {
    "row": (write_row, read_row),
    "topic": (write_topic, read_topic),
    "document": (write_document, read_document),
    "schema": (write_schema, read_schema),
    "key": (write_key, read_key),
}
