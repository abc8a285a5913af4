"""A separate pipeline for one test on the shared servers, to be broken: database, connector, topics, read models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from connectors.kafka_connect import ConnectClient
from pipeline import read_models
from pipeline.cli.context import local_defaults
from pipeline.config import load
from pipeline.demo.tables import create_tables
from pipeline.epochs.offset_sink import open_sink
from pipeline.postgres import database as source_database
from pipeline.postgres.database import Connection
from pipeline.postgres.watermark import Watermarks
from pipeline.setup.generations import first_generation_steps
from pipeline.setup.source import connector_step, deployment_of, init_steps, run_steps
from sinks.batch import TopicPartition
from sinks.errors import SinkError
from tests.acceptance.cli_runner import MODELS, Command, Run
from tests.acceptance.expected import contents
from tests.acceptance.models import found_in_elasticsearch, got_from_redis, selected_from_duckdb
from tests.acceptance.pipeline_fixture import SETTLES_WITHIN_S, Pipeline, missing, require_equal
from tests.integration.isolated_source import own_database, teardown_steps
from tests.support.redis_server import OwnServer
from tests.support.waiting import wait_for

STOPS_WITHIN_S = 60.0
SLOWLY = "SELECT * FROM public.orders WHERE pg_sleep(0.008) IS NOT NULL"
"""Query for a snapshot of some thousand orders that is slow enough to be interrupted."""


class OwnPipeline:
    """Read models called `name` of a database of that name, by a connector of that name.

    Args:
        pipeline: the pipeline whose servers are used, except Redis; its workers are stopped, because both use the same
            consumer groups.
        source: a connection to the database, whose tables exist.
        folder: directory of the definitions, DuckDB's files and the logs.
        more: additional definitions after those of the orders; the text begins within the settings of the connector.
    """

    def __init__(
        self, pipeline: Pipeline, name: str, source: Connection, redis: OwnServer, folder: Path, more: str = ""
    ) -> None:
        pipeline.end()
        self.name = name
        self.stack = pipeline.stack
        self.source = source
        self._endpoints = pipeline.endpoints
        self._redis = redis
        self._runs: list[Run] = []
        self._logs = (folder / f"run-{number}.log" for number in count(1))
        own = {
            "source": {
                "url": _at(pipeline.endpoints.postgres, name),
                "admin_url": _at(pipeline.endpoints.postgres_admin, name),
            },
            "redis": {"url": redis.url},
            "duckdb": {"directory": str(folder / "duckdb"), "serve": "", "copy_to": ""},
        }
        config = folder / "readmodels.toml"
        config.write_text(_described(pipeline.command.config.read_text(), name) + more)
        environment = {
            f"READMODELS_{section}__{key}".upper(): value
            for section, values in own.items()
            for key, value in values.items()
        }
        self.command = Command(pipeline.stack.home, config, environment)
        self.settings = load(config, local_defaults(pipeline.endpoints, pipeline.stack.home), _merged(pipeline, own))
        self.connect = ConnectClient(pipeline.endpoints.connect)
        self.admin = self.settings.kafka.admin()
        self._watermarks = Watermarks(self.settings.kafka, self.settings.connector, self.settings.connect.url)

    def succeeds(self, *words: str) -> str:
        """Run a command that must succeed, and return its output."""
        done = self.command(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> Run:
        """Start workers of all three models."""
        self._runs.append(self.command.start(next(self._logs), "run"))
        return self._runs[-1]

    def set_up_all_but_connector(self) -> None:
        """Set up everything except the connector, and the models."""
        *before, _ = init_steps(deployment_of(self.settings))
        run_steps([*before, *first_generation_steps(self.settings)], lambda *_: None)

    def set_up_connector(self) -> None:
        """Create the connector."""
        run_steps([connector_step(deployment_of(self.settings))], lambda *_: None)

    def stop_connector(self) -> None:
        """Stop the connector; its slot stays."""
        self.connect.stop(self.name)
        self.connect.wait_until_stopped(self.name, STOPS_WITHIN_S)

    def resume_connector(self) -> None:
        """Resume the connector, which may fail."""
        self.connect.resume(self.name)

    def sql(self, query: str, *values: object) -> None:
        """Execute a statement in the source."""
        self.source.execute(query, values or None)

    def progress(self, model: str) -> Mapping[TopicPartition, int]:
        """Return the progress of a model's live generation, in the log's offsets; empty while its store is locked."""
        try:
            with read_models.open_store(model, self.settings) as store:
                return open_sink(store, store.live() or 1).progress().offsets
        except SinkError:
            return {}

    def declare(self, column: str, before: str, now: str) -> None:
        """Change the declared type of a column."""
        described = self.command.config.read_text()
        assert f'{column} = "{before}"' in described
        self.command.config.write_text(described.replace(f'{column} = "{before}"', f'{column} = "{now}"'))

    def ends(self) -> Mapping[TopicPartition, int]:
        """Return the ends of the log once everything committed so far is in it."""
        return self._watermarks.wait_for(self._watermarks.set(self.source), SETTLES_WITHIN_S).end_offsets

    def settle(self, run: Run) -> None:
        """Wait until all workers are running, and the models hold everything committed so far."""
        run.is_working()
        ends = self.ends()

        def lacking() -> dict[str, dict[TopicPartition, int]]:
            return {model: lacks for model in MODELS if (lacks := missing(self.progress(model), ends))}

        wait_for(lambda: not lacking(), SETTLES_WITHIN_S, lambda: f"{lacking()}\n{run.end_of_log()}")

    def stopped(self, run: Run, *words: str) -> None:
        """Wait until all workers have stopped, and have logged these words and a remedy."""
        for model in MODELS:
            [said, *_] = run.says('event="worker failed"', f"model={model}", *words)
            assert "remedy=" in said
        assert run.process.wait(STOPS_WITHIN_S) == 1

    def end_equal(self, run: Run) -> None:
        """End the workers once they hold everything, and check that every model equals the source, value by value."""
        self.settle(run)
        assert run.end() == 0
        expected = contents(self.source)
        orders, items = selected_from_duckdb(self.settings)
        require_equal("Elasticsearch", found_in_elasticsearch(self._endpoints, self.name), expected.documents)
        require_equal("Redis", got_from_redis(self._redis.url, self.name), expected.documents)
        require_equal("DuckDB's orders", orders, expected.orders)
        require_equal("DuckDB's order_items", items, expected.items)

    def remove(self) -> None:
        """Remove connector, slot, topics and models; the database and the Redis server are removed by their owners."""
        for run in self._runs:
            if run.is_running:
                run.kill_all()
        for model in MODELS:
            with read_models.open_store(model, self.settings) as store:
                store.drop_all()
        # The other pipeline uses the control topic and the role, too.
        steps = teardown_steps(replace(deployment_of(self.settings), worker_topics=()))
        run_steps([step for step in steps if step.name != "replication role"], lambda *_: None)
        self.connect.close()


@contextmanager
def own_pipeline(pipeline: Pipeline, name: str, folder: Path, more: str = "") -> Iterator[OwnPipeline]:
    """Yield a pipeline whose database has the tables; nothing else is set up, and everything is removed."""
    redis = OwnServer().start()
    try:
        with (
            own_database(pipeline.endpoints, name) as database,
            closing(source_database.connect(database.url)) as source,
        ):
            create_tables(source)
            own = OwnPipeline(pipeline, name, source, redis, folder, more)
            try:
                yield own
            finally:
                own.remove()
    finally:
        redis.stop()


def _at(url: str, database: str) -> str:
    return url.rpartition("/")[0] + f"/{database}"


def _described(text: str, name: str) -> str:
    """Return the definitions under another name, with a connector slow enough to be interrupted in its snapshot."""
    connector = {
        "name": name,
        "database.dbname": name,
        "topic.prefix": name,
        "slot.name": name,
        "notification.sink.topic.name": f"{name}.notification",
        "max.batch.size": "20",
        "max.queue.size": "40",
        "snapshot.fetch.size": "50",
        "snapshot.select.statement.overrides": "public.orders",
        "snapshot.select.statement.overrides.public.orders": SLOWLY,
    }
    settings = "\n".join(f'"{key}" = "{value}"' for key, value in connector.items())
    described = text.replace('topic_prefix = "cdc"', f'topic_prefix = "{name}"')
    return described.replace("[documents.orders", f"[documents.{name}") + f"\n[envelopes.connector]\n{settings}\n"


def _merged(pipeline: Pipeline, own: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    return {**own, "source": {**own["source"], "replication_password": pipeline.endpoints.replication_password}}
