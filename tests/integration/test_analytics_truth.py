"""Tests of every view, at a watermark, against an independently written query of PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import psycopg
import pytest

from pipeline import read_models
from pipeline.cli.context import local_defaults
from pipeline.config import Settings, load
from pipeline.demo.order_generator import OrderGenerator, Traffic
from pipeline.demo.tables import open_engine
from pipeline.ingest.source import KafkaSource
from pipeline.ingest.worker import Worker, caught_up_to
from pipeline.postgres.watermark import Watermarks
from pipeline.query.query import run_query
from pipeline.setup.source import init_steps, run_steps
from pipeline.stores.duckdb.read_model import open_duckdb
from sinks.batch import TopicPartition
from sinks.duckdb.analytics_views import shipped_views
from stack.endpoints import Endpoints
from tests.integration.independent_views import AUDIT, QUESTIONS, ZONE
from tests.integration.isolated_source import own_deployment, own_tables, teardown_steps
from tests.support.checkout import CHECKOUT

NAME = "analytics_test"
DESCRIPTION = CHECKOUT / "readmodels.toml"
ORDERS = 400
BUSY = Traffic(advances=0.9, amendments=0.6, moves=0.4, deletions=0.2)
TIMEOUT_S = 120.0

Answers = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def answers(local_endpoints: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Answers, Answers]]:
    """Yield the answers of DuckDB and PostgreSQL, by view, once the model holds everything committed."""
    folder = tmp_path_factory.mktemp("analytics")
    with own_tables(local_endpoints, NAME) as source:
        made = own_deployment(local_endpoints, NAME, source)
        defaults = local_defaults(local_endpoints, folder)
        settings = load(DESCRIPTION, defaults, {"topic_prefix": NAME, "duckdb": {"time_zone": ZONE}})
        run_steps(init_steps(made), lambda *_: None)
        with psycopg.connect(source.admin_url, autocommit=True) as postgres:
            postgres.execute(AUDIT)
            OrderGenerator(open_engine(source.url), BUSY).place(ORDERS)
            watermarks = Watermarks(made.kafka, made.connector, made.connect_url)
            take_in(settings, watermarks.wait_for(watermarks.set(postgres), TIMEOUT_S).end_offsets)
            views = [view.name for view in shipped_views(ZONE).views]
            told = {
                view: [tuple(row.values()) for row in run_query(settings, f"FROM {view}").to_pylist()] for view in views
            }
            yield told, {view: postgres.execute(query.encode()).fetchall() for view, query in QUESTIONS.items()}
        run_steps(teardown_steps(made), lambda *_: None)


def take_in(settings: Settings, ends: Mapping[TopicPartition, int]) -> None:
    """Apply the log up to these ends to a new model."""
    with closing(open_duckdb(settings)) as store:
        store.create(1, read_models.new_metadata("duckdb", settings))
        sink = store.sink(1)
        sink.cutover()
        topics = settings.definitions.topics
        Worker(
            KafkaSource(settings.kafka, NAME, list(topics), settings.batches),
            read_models.decoder(settings),
            read_models.projection("duckdb", settings),
            sink,
            topics,
        ).run(threading.Event(), caught_up_to(ends))


def test_every_view_is_asked_for() -> None:
    assert {view.name for view in shipped_views(ZONE).views} == QUESTIONS.keys()


@pytest.mark.parametrize("view", QUESTIONS)
def test_a_view_answers_what_postgresql_does(answers: tuple[Answers, Answers], view: str) -> None:
    told, asked = answers
    assert told[view]
    assert sorted(told[view], key=str) == sorted(asked[view], key=str)
