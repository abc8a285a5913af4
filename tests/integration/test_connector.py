"""Tests of the connector on real servers, with values as JSON: the Kafka records of each kind of change."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from connectors.kafka import end_offsets
from connectors.kafka_connect import ConnectClient
from pipeline.postgres import database
from pipeline.postgres.database import Connection
from pipeline.postgres.watermark import Watermarks
from pipeline.setup.source import Deployment, init_steps, run_steps
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_deployment, own_tables, teardown_steps

NAME = "connector_test"
POLLS = 300


@pytest.fixture(scope="module")
def deployment(endpoints: Endpoints) -> Iterator[Deployment]:
    with own_tables(endpoints, NAME) as source:
        made = own_deployment(endpoints, NAME, source)
        quick = made.connector.with_json_values().with_settings({"heartbeat.interval.ms": "500"})
        made = replace(made, connector=quick)
        run_steps(init_steps(made), lambda *_: None)
        yield made
        run_steps(teardown_steps(made), lambda *_: None)


@pytest.fixture
def connection(deployment: Deployment) -> Iterator[Connection]:
    with database.connect(deployment.source.url) as opened:
        yield opened


@dataclass(frozen=True)
class Record:
    topic: str
    key: Any
    value: Any
    headers: frozenset[str]


class Log:
    """The connector's records from now on."""

    def __init__(self, deployment: Deployment) -> None:
        self._watermarks = Watermarks(deployment.kafka, deployment.connector, deployment.connect_url)
        names = (*deployment.connector.table_topics, *deployment.connector.service_topics)
        self._starts = end_offsets(deployment.kafka.admin(), names)
        # Only an end-of-partition event moves the position past a commit marker.
        self._consumer = Consumer(
            deployment.kafka.with_client(group_id=NAME, enable_auto_commit=False, enable_partition_eof=True)
        )
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in self._starts.items()])

    def read_until(self, is_last: Callable[[Record], bool]) -> list[Record]:
        """Read up to and including the first record that matches."""
        records: list[Record] = []
        for _ in range(POLLS):
            if record := self._poll():
                records.append(record)
                if is_last(record):
                    return records
        pytest.fail(f"the awaited record did not come; these did: {[record.topic for record in records]}")

    def read_to_now(self, connection: Connection, table: str) -> list[Record]:
        """Read the records of every change to `table` committed so far."""
        topic = f"{NAME}.public.{table}"
        ends = self._watermarks.wait_for(self._watermarks.set(connection), timeout_s=60).end_offsets
        behind = {place for place, end in ends.items() if place[0] == topic and end > self._starts[place]}
        records: list[Record] = []
        while behind:
            if (record := self._poll()) and record.topic == topic:
                records.append(record)
            positions = self._consumer.position([TopicPartition(*place) for place in behind])
            behind -= {(topic, place.partition) for place in positions if place.offset >= ends[topic, place.partition]}
        return records

    def close(self) -> None:
        self._consumer.close()

    def _poll(self) -> Record | None:
        message = self._consumer.poll(0.2)
        return None if message is None or message.error() else _record(message)


@pytest.fixture
def log(deployment: Deployment) -> Iterator[Log]:
    opened = Log(deployment)
    yield opened
    opened.close()


def _record(message: Message) -> Record:
    key, value = (json.loads(part) if part else None for part in (message.key(), message.value()))
    headers = message.headers() or []
    return Record(str(message.topic()), key, value, frozenset(str(header[0]) for header in headers))


def _insert(connection: Connection) -> int:
    query = "INSERT INTO orders (customer_id, total, note) VALUES (7, 12.30, 'Grüße') RETURNING id"
    found = connection.execute(query).fetchone()
    assert found is not None
    return int(str(found[0]))


def test_a_row_becomes_a_record_with_its_key_and_both_images(connection: Connection, log: Log) -> None:
    order_id = _insert(connection)
    connection.execute("UPDATE orders SET status = 'paid' WHERE id = %s", [order_id])
    created, updated = log.read_to_now(connection, "orders")
    assert created.key == updated.key == {"id": order_id}
    assert (created.value["op"], created.value["before"]) == ("c", None)
    assert created.value["after"]["total"] == "12.30"
    assert created.value["after"]["note"] == "Grüße"
    assert created.value["after"]["shipping_address"] is None
    assert updated.value["before"] == created.value["after"]
    assert updated.value["after"]["status"] == "paid"
    assert created.headers == frozenset()


def test_a_changed_key_becomes_a_deletion_a_tombstone_and_a_creation(connection: Connection, log: Log) -> None:
    order_id = _insert(connection)
    moved = order_id + 1_000_000
    connection.execute("UPDATE orders SET id = %s WHERE id = %s", [moved, order_id])
    records = log.read_to_now(connection, "orders")
    kinds = {
        key: [record.value["op"] if record.value else "tombstone" for record in records if record.key["id"] == key]
        for key in (order_id, moved)
    }
    assert kinds == {order_id: ["c", "d", "tombstone"], moved: ["c"]}
    assert frozenset().union(*(record.headers for record in records)) == {"__debezium.newkey", "__debezium.oldkey"}


def test_a_row_of_megabytes_arrives_whole(connection: Connection, log: Log) -> None:
    order_id = _insert(connection)
    connection.execute("UPDATE orders SET note = repeat('ü', 3000000) WHERE id = %s", [order_id])
    connection.execute("UPDATE orders SET status = 'paid' WHERE id = %s", [order_id])
    *_, paid = log.read_to_now(connection, "orders")
    assert paid.value["before"]["note"] == paid.value["after"]["note"] == "ü" * 3_000_000


def test_an_item_that_moves_changes_both_orders(connection: Connection, log: Log) -> None:
    connection.execute("INSERT INTO order_items (order_id, sku) VALUES (77, 'a')")
    connection.execute("UPDATE order_items SET order_id = 78 WHERE order_id = 77")
    _, moved = log.read_to_now(connection, "order_items")
    assert (moved.value["before"]["order_id"], moved.value["after"]["order_id"]) == (77, 78)


@pytest.mark.parametrize("table", ["orders", "order_items"])
def test_a_truncate_is_a_record_without_a_key(connection: Connection, log: Log, table: str) -> None:
    connection.execute("TRUNCATE orders, order_items")
    (truncated,) = log.read_to_now(connection, table)
    assert (truncated.key, truncated.value["op"]) == (None, "t")


def test_rolled_back_changes_never_reach_kafka(connection: Connection, log: Log) -> None:
    with connection.transaction(force_rollback=True):
        _insert(connection)
    kept = _insert(connection)
    assert [record.key for record in log.read_to_now(connection, "orders")] == [{"id": kept}]


def test_messages_that_are_no_watermarks_stay_out_of_kafka(connection: Connection, log: Log) -> None:
    for prefix in ("another", "readmodels"):
        connection.execute("SELECT pg_logical_emit_message(true, %s, 'content')", [prefix])
    watermark = log.read_until(lambda record: record.topic == f"{NAME}.message")[-1]
    assert watermark.key == {"prefix": "readmodels"}


def test_a_heartbeat_comes_while_the_orders_are_quiet(connection: Connection, log: Log) -> None:
    log.read_until(lambda record: record.topic == f"__debezium-heartbeat.{NAME}")
    log.read_until(lambda record: record.topic == f"__debezium-heartbeat.{NAME}")
    assert connection.execute("SELECT count(*) FROM readmodels.heartbeat").fetchone() == (1,)


def test_a_signal_snapshots_a_table_again_with_the_rights_the_role_has(connection: Connection, log: Log) -> None:
    order_id = _insert(connection)
    signal = json.dumps({"type": "incremental", "data-collections": ["public.orders"]})
    connection.execute("INSERT INTO readmodels.signal VALUES ('again', 'execute-snapshot', %s)", [signal])
    records = log.read_until(
        lambda record: (
            record.topic == f"{NAME}.notification"
            and (record.value["aggregate_type"], record.value["type"]) == ("Incremental Snapshot", "COMPLETED")
        )
    )
    read_again = [record for record in records if record.value and record.value.get("op") == "r"]
    assert {"id": order_id} in [record.key for record in read_again]
    assert {record.value["source"]["snapshot"] for record in read_again} == {"incremental"}


def test_a_stopped_connector_keeps_its_offset_and_resumes(
    deployment: Deployment, connection: Connection, log: Log
) -> None:
    client = ConnectClient(deployment.connect_url)
    client.stop(NAME)
    client.wait_until_stopped(NAME, timeout_s=60)
    assert client.status(NAME).is_stopped
    assert client.offsets(NAME)[0]["partition"] == {"server": NAME}
    order_id = _insert(connection)
    client.resume(NAME)
    client.wait_until_running(NAME, timeout_s=60)
    assert client.status(NAME).is_running
    log.read_until(lambda record: record.key == {"id": order_id})


def test_a_paused_connector_reports_it_and_restarts(deployment: Deployment, log: Log) -> None:
    client = ConnectClient(deployment.connect_url)
    client.pause(NAME)
    while client.status(NAME).state != "PAUSED":
        assert not client.status(NAME).has_failed
    client.resume(NAME)
    client.restart(NAME)
    client.wait_until_running(NAME, timeout_s=60)
    client.restart_failed(NAME)
    log.read_until(lambda record: record.topic == f"__debezium-heartbeat.{NAME}")
