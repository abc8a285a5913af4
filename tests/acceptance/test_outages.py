"""Tests of stores that stop, restart, or come back without data that they had acknowledged."""

from __future__ import annotations

import time
from pathlib import Path

from tests.acceptance.cli_runner import MODELS
from tests.acceptance.pipeline_fixture import Pipeline

STOPPED_S = 30.0


def test_while_elasticsearch_is_stopped_the_others_continue_and_it_catches_up(pipeline: Pipeline) -> None:
    workers = {model: worker.pid for model, worker in pipeline.workers.workers().items()}
    with pipeline.load():
        pipeline.stack.stop("elasticsearch")
        stopped_at = time.monotonic()
        pipeline.settle("redis", "duckdb")
        pipeline.workers.says("event=retrying", "model=elasticsearch")
        while time.monotonic() - stopped_at < STOPPED_S:
            pipeline.settle("redis", "duckdb")
        pipeline.stack.start("elasticsearch")
    pipeline.settled()
    assert {model: worker.pid for model, worker in pipeline.workers.workers().items()} == workers


def test_elasticsearch_that_is_killed_under_load_ends_equal(pipeline: Pipeline) -> None:
    with pipeline.load():
        pipeline.settle()
        pipeline.stack.kill("elasticsearch")
        pipeline.stack.start("elasticsearch")
    pipeline.settled()


def test_redis_without_its_last_writes_is_detected_and_replayed(pipeline: Pipeline) -> None:
    folder = pipeline.stack.home / "data/redis"
    with pipeline.load():
        pipeline.settle()
        older = {file: file.read_bytes() for file in folder.rglob("appendonly*") if file.is_file()}
        pipeline.settle()
        pipeline.stack.kill("redis")
        for file, content in older.items():
            file.write_bytes(content)
        pipeline.stack.start("redis")
        pipeline.workers.says('event="store rolled back, replaying"', "model=redis")
    pipeline.settled()


def test_duckdb_restored_from_an_older_copy_is_replayed_from_its_progress(pipeline: Pipeline, tmp_path: Path) -> None:
    folder = pipeline.settings.duckdb.directory
    pipeline.settle()
    pipeline.end()
    older = {file: file.read_bytes() for file in folder.glob("*.duckdb")}
    restored_to = pipeline.progress("duckdb")
    pipeline.keep_running()
    with pipeline.load():
        pipeline.settle()
    pipeline.settle()
    pipeline.end()
    reached = pipeline.progress("duckdb")
    for file in folder.glob("*.duckdb*"):
        file.unlink()
    for file, content in older.items():
        file.write_bytes(content)
    assert pipeline.progress("duckdb") == restored_to != reached
    assert pipeline.mirrored("duckdb") == reached
    pipeline.keep_running()
    pipeline.settled()


def test_a_group_without_offsets_resumes_at_the_progress_of_its_store(pipeline: Pipeline) -> None:
    pipeline.settle()
    pipeline.end()
    pipeline.forget_mirrored()
    assert not any(pipeline.mirrored(model) for model in MODELS)
    pipeline.keep_running()
    pipeline.settled()
    pipeline.end()
    for model in MODELS:
        assert pipeline.mirrored(model) == pipeline.progress(model)
    pipeline.keep_running()
    with pipeline.load():
        pipeline.settle()
    pipeline.settled()
