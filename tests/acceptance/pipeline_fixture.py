"""The pipeline as its users run it, with the final check of every acceptance test that all models are equal."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from confluent_kafka import ConsumerGroupTopicPartitions
from redis import Redis

from pipeline import read_models
from pipeline.cli.context import local_defaults
from pipeline.config import load
from pipeline.demo.order_generator import OrderGenerator, Traffic
from pipeline.demo.tables import open_engine
from pipeline.postgres.watermark import Watermarks
from pipeline.query.query import QuackNotServed, QueryFailed, run_query
from pipeline.stores.duckdb.read_model import open_duckdb
from sinks.batch import TopicPartition
from sinks.errors import SinkError
from stack.local import LocalStack
from tests.acceptance.cli_runner import MODELS, Command, Run
from tests.acceptance.expected import Contents, Document, Row, contents
from tests.acceptance.models import found_in_elasticsearch, got_from_redis, selected_from_duckdb
from tests.support.waiting import wait_for

SETTLES_WITHIN_S = 180.0
SHOWN_DIFFERENCES = 5


class Pipeline:
    """The read models of one stack, and their workers.

    Args:
        folder: directory of the workers' logs.
    """

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        endpoints = stack.up()
        self.stack = stack
        self.endpoints = endpoints
        self.command = Command(stack.home)
        self.settings = load(self.command.config, local_defaults(endpoints, stack.home))
        self.source = psycopg.connect(endpoints.postgres, autocommit=True)
        self.runs: list[Run] = []
        self._watermarks = Watermarks(self.settings.kafka, self.settings.connector, self.settings.connect.url)
        self._logs = (folder / f"run-{number}.log" for number in count(1))

    @property
    def workers(self) -> Run:
        """The current or last run of all three models."""
        return self.runs[0]

    def keep_running(self) -> None:
        """Start a run of all three models, unless one with all of its workers is running."""
        if self.runs and (not self.workers.is_running or len(self.workers.workers()) < len(MODELS)):
            self.end()
        if not self.runs:
            self.start()
            self.workers.is_working()

    def start(self, *models: str, environment: Mapping[str, str] | None = None) -> Run:
        """Start another `readmodels run`."""
        command = replace(self.command, environment=environment or {})
        run = command.start(next(self._logs), "run", *models)
        self.runs.append(run)
        return run

    def end(self) -> None:
        """End every run."""
        runs, self.runs = self.runs, []
        for run in runs:
            if run.is_running:
                run.end()

    def sql(self, query: str, *values: object) -> None:
        """Execute a statement in the source."""
        self.source.execute(query, values)

    def progress(self, model: str) -> Mapping[TopicPartition, int]:
        """Return the progress of a model's live generation from its store; empty while the store does not answer."""
        try:
            if model == "duckdb":
                return self._progress_of_duckdb()
            with read_models.open_store(model, self.settings) as store:
                generation = store.live()
                return store.sink(generation).progress().offsets if generation is not None else {}
        except (SinkError, QuackNotServed, QueryFailed, duckdb.Error):
            return {}

    def logged(self) -> Contents:
        """Wait until everything committed so far is in the log, and return it."""
        self._ends()
        return contents(self.source)

    def settle(self, *models: str) -> None:
        """Wait until these models, by default all, hold everything committed so far."""
        ends = self._ends()
        for model in models or MODELS:
            self._await(model, ends)

    def settled(self) -> Contents:
        """Wait until the models hold everything, and check that each equals the source, value by value."""
        self.settle()
        return self.equal()

    def equal(self) -> Contents:
        """Check that every model equals the source now, value by value."""
        expected = contents(self.source)
        orders, items = selected_from_duckdb(self.settings)
        require_equal("Elasticsearch", found_in_elasticsearch(self.endpoints), expected.documents)
        require_equal("Redis", got_from_redis(self.endpoints.redis), expected.documents)
        require_equal("DuckDB's orders", orders, expected.orders)
        require_equal("DuckDB's order_items", items, expected.items)
        return expected

    @contextmanager
    def load(self, orders_per_s: float = 6.0) -> Iterator[None]:
        """Run the order generator, with every kind of change, while the block runs."""
        until = threading.Event()
        generator = OrderGenerator(
            open_engine(self.endpoints.postgres), Traffic(orders_per_s=orders_per_s, moves=0.4, deletions=0.3)
        )
        failures: list[Exception] = []

        def serve() -> None:
            try:
                for _ in generator.run(until):
                    pass
            except Exception as error:  # noqa: BLE001 - raised below, in the test's own thread
                failures.append(error)

        shop = threading.Thread(target=serve, name="shop")
        shop.start()
        try:
            yield
        finally:
            until.set()
            shop.join()
        assert not failures, failures

    def redis(self) -> Redis:
        """Return a client of logical database 0."""
        return Redis.from_url(self.endpoints.redis)

    def live(self, model: str) -> int:
        """Return the generation that readers see; an earlier test may have built it."""
        with read_models.open_store(model, self.settings) as store:
            live = store.live()
        assert live is not None
        return live

    def group(self, model: str) -> str:
        """Return the consumer group of that generation."""
        return read_models.consumer_group(model, self.live(model))

    def mirrored(self, model: str) -> dict[TopicPartition, int]:
        """Return the offsets that a model's group has committed, except zero, which no progress contains."""
        group = self.group(model)
        admin = self.settings.kafka.admin()
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result()
        return {(place.topic, place.partition): place.offset for place in asked.topic_partitions if place.offset > 0}

    def forget_mirrored(self) -> None:
        """Delete the groups, as Kafka itself does a week after the last member left."""
        admin = self.settings.kafka.admin()
        for forgotten in admin.delete_consumer_groups([self.group(model) for model in MODELS]).values():
            forgotten.result()

    def history(self, table: str, row_id: int) -> list[dict[str, Any]]:
        """Return every change of a row that DuckDB stores, in the log's order."""
        kept = f"generation_{self.live('duckdb'):06}.versions.{table}"
        query = f"SELECT * FROM {kept} WHERE id = {row_id} ORDER BY _partition, _offset"
        versions: list[dict[str, Any]] = run_query(self.settings, query).to_pylist()
        return versions

    def _ends(self) -> Mapping[TopicPartition, int]:
        """Return the ends of the log once everything committed so far is in it."""
        return self._watermarks.wait_for(self._watermarks.set(self.source), SETTLES_WITHIN_S).end_offsets

    def _await(self, model: str, ends: Mapping[TopicPartition, int]) -> None:
        def has_reached() -> bool:
            return not missing(self.progress(model), ends)

        def lacks() -> str:
            return f"{model} lacks {missing(self.progress(model), ends)}\n{self._said()}"

        wait_for(has_reached, SETTLES_WITHIN_S, lacks)

    def _progress_of_duckdb(self) -> Mapping[TopicPartition, int]:
        generation = open_duckdb(self.settings).live()
        books = f"generation_{generation:06}.readmodels.progress"
        rows = run_query(self.settings, f"SELECT topic, partition, next_offset FROM {books}").to_pylist()
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    def _said(self) -> str:
        return "\n".join(f"{run.log.name}:\n{run.end_of_log()}" for run in self.runs)


def missing(progress: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Return the topic partitions whose ends progress has not reached, with the number of missing records."""
    return {
        topic_partition: end - progress.get(topic_partition, 0)
        for topic_partition, end in ends.items()
        if progress.get(topic_partition, 0) < end
    }


def require_equal(name: str, seen: Mapping[int, Document | Row], expected: Mapping[int, Document | Row]) -> None:
    """Fail, with some of the differences, unless all values are the same."""
    wrong = [key for key in seen.keys() | expected.keys() if seen.get(key) != expected.get(key)]
    shown = "\n".join(
        f"  {key}: {seen.get(key)!r}\n  not {expected.get(key)!r}" for key in sorted(wrong)[:SHOWN_DIFFERENCES]
    )
    assert not wrong, f"{name} differs in {len(wrong)} of {len(expected)}:\n{shown}"
