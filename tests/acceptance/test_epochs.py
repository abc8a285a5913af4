"""Tests of logs that end: connector killed in its snapshot, slot lost, topics recreated, segments deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, ResourceType

from connectors.errors import TypeWidened
from connectors.kafka import end_offsets
from pipeline.health.problem import Problem
from pipeline.log_scan.finding import FindingReason
from pipeline.postgres import database, replication
from pipeline.status import collect
from tests.acceptance.cli_runner import MODELS
from tests.acceptance.isolated_pipeline import OwnPipeline, own_pipeline
from tests.acceptance.pipeline_fixture import Pipeline
from tests.remedies.commands import commands
from tests.support.waiting import wait_for

NAME = "own_epochs"
ORDERS = f"{NAME}.public.orders"
ROWS, SENT, DELETED = 1500, 100, 400
IN_FLIGHT = 1300
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def own(deployed: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPipeline]:
    """Yield a pipeline whose connector was killed in its first snapshot, under the most dangerous conditions.

    Rows that the connector had sent were deleted before it took another snapshot, and a transaction was open meanwhile.
    """
    with own_pipeline(deployed, NAME, tmp_path_factory.mktemp("own")) as made:
        made.sql("INSERT INTO orders (customer_id) SELECT generate_series(1, %s)", ROWS)
        made.sql("INSERT INTO order_items (order_id, sku) SELECT generate_series(1, 50), 'a'")
        made.set_up_all_but_connector()
        run = made.start()
        run.is_working()
        made.set_up_connector()
        wait_for(lambda: sum(end_offsets(made.admin, [ORDERS]).values()) > SENT, WITHIN_S, lambda: "no rows came")
        made.stack.kill("connect")
        made.sql("DELETE FROM orders WHERE id <= %s", DELETED)
        with closing(database.connect(made.settings.source.url)) as other, other.transaction():
            other.execute("UPDATE orders SET note = 'in flight' WHERE id = %s", [IN_FLIGHT])
            made.stack.start("connect")
            for model in MODELS:
                run.says('event="snapshot complete"', f"model={model}", "sweeps=2")
        made.end_equal(run)
        yield made


def remake(own: OwnPipeline, topic: str) -> None:
    """Delete a topic and create another with its name."""
    partitions = len(end_offsets(own.admin, [topic]))
    own.admin.delete_topics([topic])[topic].result()

    def made() -> bool:
        return own.admin.create_topics([NewTopic(topic, partitions, 1)])[topic].exception() is None

    wait_for(made, WITHIN_S, lambda: f"{topic} is still being deleted")


def slot_problem(own: OwnPipeline, words: str) -> Problem | None:
    """Return the problem of the slot whose text has these words."""
    return next((one for one in collect(own.settings, []).problems if words in one.problem), None)


def test_a_transaction_in_flight_at_a_snapshot_is_shown_and_its_phantoms_are_swept(own: OwnPipeline) -> None:
    [(note, count)] = own.source.execute(
        "SELECT (SELECT note FROM orders WHERE id = %s), count(*) FROM orders", [IN_FLIGHT]
    ).fetchall()
    assert (note, count) == ("in flight", ROWS - DELETED)


def test_a_slot_that_is_dropped_stops_the_workers_and_a_new_epoch_sweeps_what_was_deleted_in_the_gap(
    own: OwnPipeline,
) -> None:
    run = own.start()
    own.settle(run)
    own.stop_connector()
    unread = wait_for(lambda: slot_problem(own, "no connector reads slot"), WITHIN_S, lambda: "its slot is read")
    for command in commands(unread.remedy):
        own.succeeds(*command)
    assert slot_problem(own, "no connector reads slot") is None
    own.stop_connector()
    with database.connect(own.settings.source.admin_url) as admin:
        assert replication.drop_slot(admin, NAME, WITHIN_S)
    own.sql("DELETE FROM orders WHERE id % 10 = 0")
    own.sql("DELETE FROM order_items WHERE id % 10 = 0")
    own.sql("INSERT INTO orders (customer_id) VALUES (1)")
    own.stopped(run, f"slot {NAME} is gone", "epoch open --resnapshot")
    gone = slot_problem(own, "does not exist")
    assert gone is not None
    [init] = commands(gone.remedy)
    told = own.command(*init)
    assert (told.returncode, "epoch open --resnapshot --execute" in told.stderr) == (1, True)
    shown = own.command("epoch", "show")
    assert (shown.returncode, "slot gone" in shown.stdout) == (1, True)
    refused = own.command("epoch", "open", "--continue", "--execute")
    assert (refused.returncode, "CannotContinue" in refused.stderr) == (1, True)
    assert "nothing was done" in own.succeeds("epoch", "open", "--resnapshot")
    own.succeeds("epoch", "open", "--resnapshot", "--execute")
    run = own.start()
    for model in MODELS:
        run.says('event="snapshot complete"', f"model={model}", "sweeps=2")
    own.end_equal(run)


def test_a_recreated_topic_stops_the_workers_before_its_first_record(own: OwnPipeline) -> None:
    run = own.start()
    own.settle(run)
    own.stop_connector()
    before = {model: own.progress(model) for model in MODELS}
    remake(own, ORDERS)
    own.resume_connector()
    # Write more records than before, so that every offset that a worker could request exists again.
    own.sql("UPDATE orders SET note = 'in the new topic'")
    own.sql("UPDATE orders SET note = 'in the new topic, again'")
    own.stopped(run, "topic recreated", "epoch open --continue")
    assert {model: own.progress(model) for model in MODELS} == before
    own.succeeds("epoch", "open", "--continue", "--execute")
    own.end_equal(own.start())


def test_partitions_that_are_added_stop_the_workers_and_rows_may_move_between_them(own: OwnPipeline) -> None:
    run = own.start()
    own.settle(run)
    partitions = len(end_offsets(own.admin, [ORDERS])) + 2
    own.admin.create_partitions([NewPartitions(ORDERS, partitions)])[ORDERS].result()
    own.stopped(run, "partitions changed", f"{ORDERS} has {partitions} partitions")
    own.sql("UPDATE orders SET note = 'moved'")
    own.succeeds("epoch", "open", "--continue", "--execute")
    own.end_equal(own.start())


def test_a_log_that_lost_what_was_not_read_yet_stops_the_workers_and_a_snapshot_makes_up_for_it(
    own: OwnPipeline,
) -> None:
    own.sql("UPDATE orders SET note = 'lost'")
    own.sql("DELETE FROM orders WHERE id % 7 = 0")
    run = own.start()
    own.settle(run)
    assert run.end() == 0
    own.sql("UPDATE orders SET status = 'paid' WHERE id % 2 = 0")
    own.sql("DELETE FROM orders WHERE id % 11 = 0")
    ends = own.ends()
    # Use a new client: that of the other tests has stale metadata of the number of partitions.
    admin = own.settings.kafka.admin()
    for deleted in admin.delete_records(
        [TopicPartition(*topic_partition, end) for topic_partition, end in ends.items()]
    ).values():
        deleted.result()
    own.stopped(own.start(), "no longer has the offset", "epoch open")
    assert own.command("epoch", "show").stdout.count("offset gone") > 0
    own.stop_connector()
    with closing(database.connect(own.settings.source.admin_url)) as source:
        assert replication.drop_slot(source, NAME, WITHIN_S)
        source.execute("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", [NAME])
    other = slot_problem(own, "belongs to the decoder")
    assert other is not None
    [begin_anew] = commands(other.remedy)
    own.succeeds(*begin_anew)
    run = own.start()
    for model in MODELS:
        run.says('event="snapshot complete"', f"model={model}")
    own.end_equal(run)


def test_a_column_that_was_widened_stops_the_workers_and_its_remedy_rebuilds_the_models(own: OwnPipeline) -> None:
    own.sql("ALTER TABLE order_items ALTER COLUMN quantity TYPE bigint")
    own.sql("INSERT INTO order_items (order_id, sku, quantity) VALUES (1, 'many', 5000000000)")
    own.stopped(own.start(), "TypeWidened", f"{NAME}.public.order_items/", "column quantity")
    assert FindingReason.CONTRACT_BROKEN.remedy in plan(own)
    own.declare("quantity", "integer", "bigint")
    damage_log(own)
    # Without the log's beginning, the first command recommends the second.
    rebuild, rebuild_without_the_log, *_ = commands(TypeWidened.remedy)
    said = plan(own)
    for reason in (*DAMAGED, FindingReason.CONTRACT_BROKEN):
        assert reason is FindingReason.CONTRACT_BROKEN or reason.remedy in said, reason
        assert commands(reason.remedy) == [rebuild_without_the_log]
    assert own.command(*rebuild).returncode == 1
    own.succeeds(*rebuild_without_the_log)
    own.end_equal(own.start())
    for reason in DAMAGED:
        configure(own, reason.remedy)
    assert FindingReason.COMPACTED.remedy not in plan(own)


DAMAGED = (
    FindingReason.OFFSET_ZERO_GONE,
    FindingReason.COMPACTED,
    FindingReason.SCHEMA_UNKNOWN,
    FindingReason.RECORD_UNREADABLE,
)


def damage_log(own: OwnPipeline) -> None:
    """Write unreadable records to the orders' log, delete its beginning, and have it compacted."""
    producer = Producer(own.settings.kafka.with_client(acks="all"))
    for value in (b"nonsense", b"\x00" + (999_999).to_bytes(4, "big") + b"of an unknown schema"):
        producer.produce(ORDERS, value, b"", 0)
    producer.flush()
    # Use a new client: that of the other tests may have stale metadata of the number of partitions.
    admin, first = own.settings.kafka.admin(), TopicPartition(ORDERS, 0, 1)
    admin.delete_records([first])[first].result()
    configure(own, "`cleanup.policy=compact`")


def configure(own: OwnPipeline, text: str) -> None:
    """Set the orders' topic settings that a text names."""
    wanted = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in re.findall(r"`([a-z.]+)=([a-z0-9-]+)`", text)
    ]
    if wanted:
        resource = ConfigResource(ResourceType.TOPIC, ORDERS, incremental_configs=wanted)
        [altered] = own.admin.incremental_alter_configs([resource]).values()
        altered.result()


def plan(own: OwnPipeline) -> str:
    """Return the plan of a replay of the whole log, in one line."""
    return " ".join(own.command("replay", "redis").stdout.split())
