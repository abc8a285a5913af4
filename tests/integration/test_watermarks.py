"""Tests of watermarks on real servers: changes committed before a watermark lie below the ends that it freezes."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors.kafka_connect import ConnectClient
from pipeline.demo.order_generator import OrderGenerator, Traffic
from pipeline.demo.tables import open_engine
from pipeline.postgres import database
from pipeline.postgres.database import Connection
from pipeline.postgres.watermark import WatermarkInsideTransaction, WatermarkReached, Watermarks, WatermarkTimeout
from pipeline.setup.source import Deployment, init_steps, run_steps
from stack.endpoints import Endpoints
from tests.integration.isolated_source import own_deployment, own_tables, teardown_steps

TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def deployment(endpoints: Endpoints) -> Iterator[Deployment]:
    with own_tables(endpoints, "marks_test") as source:
        made = own_deployment(endpoints, "marks_test", source)
        run_steps(init_steps(made), lambda *_: None)
        yield made
        run_steps(teardown_steps(made), lambda *_: None)


@pytest.fixture
def watermarks(deployment: Deployment) -> Watermarks:
    return Watermarks(deployment.kafka, deployment.connector, deployment.connect_url)


@pytest.fixture
def connection(deployment: Deployment) -> Iterator[Connection]:
    with database.connect(deployment.source.url) as opened:
        yield opened


def keys_before(reached: WatermarkReached, deployment: Deployment, topic: str) -> set[bytes]:
    """Return the keys of one topic from its start to the frozen ends, as a worker reads it."""
    consumer = Consumer(
        deployment.kafka.with_client(group_id="marks_test", enable_auto_commit=False, enable_partition_eof=True)
    )
    ends = {partition: end for (name, partition), end in reached.end_offsets.items() if name == topic and end}
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    keys = set()
    behind = set(ends)
    while behind:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            keys.add(message.key() or b"")
        places = consumer.position([TopicPartition(topic, partition) for partition in behind])
        behind -= {place.partition for place in places if place.offset >= ends[place.partition]}
    consumer.close()
    return keys


def test_everything_committed_before_a_watermark_lies_before_its_end_offsets(
    deployment: Deployment, watermarks: Watermarks, connection: Connection
) -> None:
    OrderGenerator(open_engine(deployment.source.url), Traffic(deletions=0)).place(300)
    reached = watermarks.wait_for(watermarks.set(connection), TIMEOUT_S)
    for table, topic in zip(deployment.connector.tables, deployment.connector.table_topics, strict=True):
        rows = connection.execute(f"SELECT format('{{\"id\":%s}}', id) FROM {table}").fetchall()
        assert len(rows) >= 300
        assert keys_before(reached, deployment, topic) >= {str(row[0]).encode() for row in rows}


def test_a_watermark_fixes_the_end_offsets_of_the_models_topics_and_of_no_other(
    deployment: Deployment, connection: Connection
) -> None:
    described = deployment.connector.table_topics[:1]
    watermarks = Watermarks(deployment.kafka, deployment.connector, deployment.connect_url, described)
    connection.execute("INSERT INTO order_items (order_id, sku) VALUES (1, 'a')")
    reached = watermarks.wait_for(watermarks.set(connection), TIMEOUT_S)
    assert {topic for topic, _ in reached.end_offsets} == set(described)


def test_watermarks_are_found_in_the_order_in_which_they_were_set(
    watermarks: Watermarks, connection: Connection
) -> None:
    first, second = watermarks.set(connection), watermarks.set(connection)
    assert first.lsn < second.lsn
    assert watermarks.wait_for(second, TIMEOUT_S).watermark == second
    assert watermarks.wait_for(first, TIMEOUT_S).watermark == first


def test_a_watermark_is_not_set_inside_an_open_transaction(watermarks: Watermarks, connection: Connection) -> None:
    with connection.transaction(), pytest.raises(WatermarkInsideTransaction):
        watermarks.set(connection)


def test_a_watermark_that_does_not_arrive_reports_the_state_of_the_connector(
    deployment: Deployment, watermarks: Watermarks, connection: Connection
) -> None:
    client = ConnectClient(deployment.connect_url)
    client.stop(deployment.connector.name)
    client.wait_until_stopped(deployment.connector.name, TIMEOUT_S)
    watermark = watermarks.set(connection)
    with pytest.raises(WatermarkTimeout, match="connector marks_test is STOPPED"):
        watermarks.wait_for(watermark, timeout_s=1.0)
    client.resume(deployment.connector.name)
    assert watermarks.wait_for(watermark, TIMEOUT_S).watermark == watermark
