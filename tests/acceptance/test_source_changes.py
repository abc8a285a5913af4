"""Tests of source changes under running workers: a change that loses records stops them permanently."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from connectors.errors import MissingBeforeImage, UnreadableRecord
from pipeline.cli import demo_screen
from pipeline.cli.demo_screen import DemoFailed, catch_up
from tests.acceptance.cli_runner import MODELS
from tests.acceptance.isolated_pipeline import OwnPipeline, own_pipeline
from tests.acceptance.pipeline_fixture import Pipeline
from tests.remedies.commands import commands, statements

NAME = "own_source"
UNREAD = "public.unread"


@pytest.fixture(scope="module")
def own(deployed: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPipeline]:
    """Yield a pipeline whose connector captures a table without a read model."""
    with own_pipeline(deployed, NAME, tmp_path_factory.mktemp("own")) as made:
        made.command("init", "--execute")
        made.sql(f"CREATE TABLE {UNREAD} (id int PRIMARY KEY)")
        made.sql(f"ALTER TABLE {UNREAD} REPLICA IDENTITY FULL")
        made.sql(f"ALTER PUBLICATION readmodels ADD TABLE {UNREAD}")
        made.sql("INSERT INTO orders (customer_id) SELECT generate_series(1, 30)")
        made.sql("INSERT INTO order_items (order_id, sku) SELECT generate_series(1, 30), 'a'")
        with made.command.config.open("a") as config:
            config.write(f'"table.include.list" = "public.orders,public.order_items,{UNREAD}"\n')
        made.succeeds("init", "--execute")
        yield made


def test_a_captured_table_without_a_model_blocks_no_command(own: OwnPipeline) -> None:
    own.sql(f"INSERT INTO {UNREAD} VALUES (1)")
    own.succeeds("run", "--until-caught-up")
    run = own.start()
    run.is_working()
    own.succeeds("verify", "elasticsearch", "redis")
    own.succeeds("replay", "redis", "--execute")
    own.end_equal(run)


def test_changes_of_the_source_that_lose_nothing_stop_no_worker(own: OwnPipeline) -> None:
    run = own.start()
    own.settle(run)
    own.sql("ALTER TABLE orders ADD added text DEFAULT 'x'")
    own.sql("CREATE INDEX ON orders (customer_id)")
    own.sql("VACUUM FULL orders")
    own.sql("TRUNCATE order_items")
    own.sql("GRANT SELECT ON orders TO CURRENT_USER")
    own.sql("INSERT INTO orders (customer_id) VALUES (31)")
    own.settle(run)
    assert own.command("epoch", "show").returncode == 0
    own.end_equal(run)


def test_a_table_that_is_taken_out_of_the_publication_stops_the_workers_until_a_snapshot_makes_up_for_it(
    own: OwnPipeline,
) -> None:
    run = own.start()
    own.settle(run)
    own.sql("ALTER PUBLICATION readmodels DROP TABLE public.orders")
    own.sql("DELETE FROM orders WHERE id % 3 = 0")
    own.stopped(run, "publication readmodels leaves out public.orders", "since a moment between", "LSN")
    own.sql("ALTER PUBLICATION readmodels ADD TABLE public.orders")
    checked = own.command("status", "--check")
    assert (checked.returncode, "log incomplete" in checked.stdout) == (1, True)
    again = own.command("run", "--until-caught-up")
    assert (again.returncode, "epoch open --resnapshot" in again.stderr) == (1, True)
    own.succeeds("epoch", "open", "--resnapshot", "--execute")
    run = own.start()
    for model in MODELS:
        run.says('event="snapshot complete"', f"model={model}")
    own.end_equal(run)
    assert "log incomplete" not in own.command("status", "--check").stdout


def test_a_deletion_while_the_replica_identity_was_another_one_stops_the_workers(own: OwnPipeline) -> None:
    run = own.start()
    own.sql("INSERT INTO order_items (order_id, sku) SELECT id, 'a' FROM orders, generate_series(1, 5)")
    own.settle(run)
    own.sql("DELETE FROM order_items WHERE id % 5 = 1")
    own.sql("GRANT SELECT ON order_items TO CURRENT_USER")
    own.settle(run)
    with own.source.transaction():
        own.sql("ALTER TABLE order_items REPLICA IDENTITY DEFAULT")
        own.sql("DELETE FROM order_items WHERE id % 5 = 0")
        own.sql("ALTER TABLE order_items REPLICA IDENTITY FULL")
    own.stopped(run, "replica identity of public.order_items was changed and set back", "since a moment between")
    again = own.command("run", "--until-caught-up")
    assert (again.returncode, "epoch open --resnapshot" in again.stderr) == (1, True)
    own.succeeds("epoch", "open", "--resnapshot", "--execute")
    run = own.start()
    for model in MODELS:
        run.says('event="snapshot complete"', f"model={model}")
    own.end_equal(run)


def test_a_change_that_was_reverted_while_no_worker_ran_is_detected_at_the_next_start(own: OwnPipeline) -> None:
    own.sql("ALTER PUBLICATION readmodels SET (publish = 'insert, update, truncate')")
    own.sql("DELETE FROM orders WHERE id % 5 = 0")
    own.sql("ALTER PUBLICATION readmodels SET (publish = 'insert, update, delete, truncate')")
    refused = own.command("run")
    assert refused.returncode == 1
    assert "the publication's operations were changed and set back" in refused.stderr
    own.succeeds("epoch", "open", "--resnapshot", "--execute")
    own.succeeds("run", "--until-caught-up")


def test_records_that_cannot_be_read_are_left_behind_by_a_new_epoch_and_what_the_demo_missed_is_made_up_for(
    own: OwnPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = Producer(own.settings.kafka.with_client(acks="all"))
    producer.produce(f"{NAME}.public.orders", b"nonsense", b"", 0)
    producer.flush()
    own.stopped(own.start(), "RecordRejected", f"{NAME}.public.orders/0 offset ", UnreadableRecord.remedy)
    with own.source.transaction():
        own.sql("ALTER TABLE orders REPLICA IDENTITY DEFAULT")
        own.sql("UPDATE orders SET note = 'without the row before' WHERE id % 2 = 0")
    own.ends()
    assert "a change without the row before it" in own.command("replay", "redis").stdout
    before_missing = MissingBeforeImage("", "public.orders").remedy
    for statement in statements(before_missing):
        own.sql(statement)
    [begin_behind] = commands(before_missing)
    assert commands(UnreadableRecord.remedy) == [begin_behind]
    own.succeeds(*begin_behind)
    monkeypatch.setattr(demo_screen, "CATCH_UP_TIMEOUT_S", 0.0)
    with pytest.raises(DemoFailed) as behind:
        catch_up(own.settings)
    for command in commands(behind.value.remedy):
        own.succeeds(*command)
    assert catch_up(own.settings) >= 0.0
