"""Tests of the end of `readmodels run`, and of the takeover by another run."""

from __future__ import annotations

import psutil
from confluent_kafka import ConsumerGroupState

from tests.acceptance.cli_runner import MODELS
from tests.acceptance.pipeline_fixture import Pipeline
from tests.acceptance.shop import place

AT_ONCE_S = 10.0


def test_sigterm_finishes_the_batch_mirrors_the_offsets_and_leaves_the_group(pipeline: Pipeline) -> None:
    with pipeline.load(100):
        pipeline.settle()
        run = pipeline.workers
        assert run.end() == 0
    admin = pipeline.settings.kafka.admin()
    for model in MODELS:
        assert len(run.lines(f'event="worker stopped" model={model} generation={pipeline.live(model)}')) == 1
        group = pipeline.group(model)
        described = admin.describe_consumer_groups([group])[group].result()
        assert (described.state, described.members) == (ConsumerGroupState.EMPTY, [])
        assert pipeline.mirrored(model) == pipeline.progress(model)


def test_a_second_interrupt_ends_at_once_and_leaves_no_child(pipeline: Pipeline) -> None:
    run = pipeline.workers
    children = run.workers()
    children["redis"].suspend()
    run.interrupt()
    run.says('event="worker stopped"', "model=elasticsearch")
    assert run.is_running
    run.interrupt()
    assert run.process.wait(AT_ONCE_S) == 130
    children["redis"].resume()
    assert psutil.wait_procs(children.values(), timeout=60)[1] == []


def test_a_second_writer_of_duckdb_stands_by_and_takes_over(pipeline: Pipeline, order_id: int) -> None:
    standby = pipeline.start("duckdb")
    standby.says("event=retrying", "open DuckDB")
    place(pipeline.source, order_id)
    pipeline.settle("duckdb")
    assert standby.lines('event="worker started"') == []
    pipeline.workers.kill_all()
    standby.is_working("duckdb")
    pipeline.sql("UPDATE orders SET note = 'taken over' WHERE id = %s", order_id)
    pipeline.settle("duckdb")
    assert pipeline.history("orders", order_id)[-1]["note"] == "taken over"
    standby.end()


def test_a_model_that_cannot_continue_stops_alone_and_resumes_once_it_is_repaired(
    pipeline: Pipeline, order_id: int
) -> None:
    registers = f"{{orders:{order_id}}}:r"
    with pipeline.redis() as redis:
        redis.set(registers, "somebody else's")
        place(pipeline.source, order_id)
        pipeline.workers.says('event="worker failed"', "model=redis", registers, "remedy=")
        pipeline.sql("UPDATE orders SET note = 'others go on' WHERE id = %s", order_id)
        pipeline.settle("elasticsearch", "duckdb")
        assert pipeline.workers.workers().keys() == {"elasticsearch", "duckdb"}
        redis.delete(registers)
    pipeline.keep_running()
    assert pipeline.settled().documents[order_id]["note"] == "others go on"
