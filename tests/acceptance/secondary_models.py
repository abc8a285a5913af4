"""A second set of read models in separate stores, filled from topics into which a test writes arbitrary records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as KafkaTopicPartition
from confluent_kafka.admin import NewTopic

from connectors.kafka import end_offsets
from pipeline import read_models
from pipeline.cli.context import local_defaults
from pipeline.config import load
from pipeline.setup.generations import first_generation_steps
from pipeline.setup.source import run_steps
from sinks.batch import TopicPartition
from tests.acceptance.cli_runner import MODELS, Command, Run
from tests.acceptance.expected import Contents
from tests.acceptance.models import found_in_elasticsearch, got_from_redis, selected_from_duckdb
from tests.acceptance.pipeline_fixture import Pipeline, missing, require_equal
from tests.support.redis_server import OwnServer
from tests.support.waiting import wait_for

CATCHES_UP_WITHIN_S = 120.0


class SidePipeline:
    """Read models called `name` instead of `orders`, of the topics `NAME.public.orders` and `NAME.public.order_items`.

    Args:
        pipeline: the pipeline whose servers are used, except Redis; its workers are stopped, because both use the same
            consumer groups.
        folder: directory of the definitions, DuckDB's files and the log.
    """

    def __init__(self, pipeline: Pipeline, name: str, redis: OwnServer, folder: Path) -> None:
        pipeline.end()
        self._pipeline = pipeline
        self._name = name
        self._redis = redis
        self._folder = folder
        self._kafka = pipeline.settings.kafka
        self._admin = self._kafka.admin()
        self._producer = Producer(self._kafka.with_client(acks="all"))
        described = pipeline.command.config.read_text()
        described = described.replace('topic_prefix = "cdc"', f'topic_prefix = "{name}"')
        config = folder / "readmodels.toml"
        config.write_text(described.replace("[documents.orders", f"[documents.{name}"))
        own = {"redis": {"url": redis.url}, "duckdb": {"directory": str(folder / "duckdb"), "serve": "", "copy_to": ""}}
        environment = {
            f"READMODELS_{section}__{key}".upper(): value
            for section, values in own.items()
            for key, value in values.items()
        }
        self.command = Command(pipeline.stack.home, config, environment)
        self.settings = load(config, local_defaults(pipeline.endpoints, pipeline.stack.home), own)
        self._topics = {f"{name}.{topic.partition('.')[2]}": topic for topic in pipeline.settings.definitions.topics}
        self._create()

    def copy_log(self) -> None:
        """Copy every record that the connector has written so far, each to the same partition."""
        for topic, original in self._topics.items():
            for _, partition, key, value in self._records(original):
                self._producer.produce(topic, value, key, partition)
        self._producer.flush()

    def write(self, partition: int, key: bytes, value: bytes) -> int:
        """Write one record to the topic of orders, and return its offset."""
        offsets: list[int] = []
        topic = f"{self._name}.public.orders"
        self._producer.produce(
            topic, value, key, partition, on_delivery=lambda _, message: offsets.append(message.offset() or 0)
        )
        self._producer.flush()
        return offsets[0]

    def record_of(self, order_id: int) -> tuple[int, bytes, bytes]:
        """Return partition, key and value of the connector's last record of an order."""
        topic = next(topic for topic in self._topics.values() if topic.endswith(".orders"))
        key = f'{{"id":{order_id}}}'.encode()
        found = [(partition, key, value) for _, partition, one, value in self._records(topic) if one == key and value]
        return found[-1]

    def start(self) -> Run:
        """Start workers of all three models."""
        return self.command.start(self._folder / "run.log", "run")

    def catch_up(self, run: Run) -> None:
        """Wait until the models hold everything that is in the topics now."""
        ends = end_offsets(self._admin, self._topics)

        def have_reached() -> bool:
            return not any(missing(self.progress(model), ends) for model in MODELS)

        run.says('event="worker started"', "model=duckdb")
        wait_for(have_reached, CATCHES_UP_WITHIN_S, run.end_of_log)

    def progress(self, model: str) -> Mapping[TopicPartition, int]:
        """Return a model's progress."""
        with read_models.open_store(model, self.settings) as store:
            return store.sink(1).progress().offsets

    def require_equal(self, expected: Contents) -> None:
        """Check, after the workers have ended, that every model holds exactly these contents."""
        orders, items = selected_from_duckdb(self.settings)
        found = found_in_elasticsearch(self._pipeline.endpoints, self._name)
        require_equal("Elasticsearch", found, expected.documents)
        require_equal("Redis", got_from_redis(self._redis.url, self._name), expected.documents)
        require_equal("DuckDB's orders", orders, expected.orders)
        require_equal("DuckDB's order_items", items, expected.items)

    def remove(self) -> None:
        """Remove topics and models; the Redis server is removed by its owner."""
        for model in MODELS:
            with read_models.open_store(model, self.settings) as store:
                store.drop_all()
        for deleted in self._admin.delete_topics(list(self._topics)).values():
            deleted.result()

    def _create(self) -> None:
        ends = end_offsets(self._admin, self._topics.values())
        partitions = 1 + max(partition for _, partition in ends)
        made = self._admin.create_topics([NewTopic(topic, partitions, 1) for topic in self._topics])
        for topic in made.values():
            topic.result()
        run_steps(first_generation_steps(self.settings), lambda *_: None)

    def _records(self, topic: str) -> list[tuple[int, int, bytes | None, bytes | None]]:
        """Return offset, partition, key and value of every committed record."""
        ends = end_offsets(self._admin, [topic])
        behind = {topic_partition for topic_partition, end in ends.items() if end}
        consumer = Consumer(self._kafka.with_client(group_id="acceptance", enable_auto_commit=False))
        consumer.assign([KafkaTopicPartition(*topic_partition, 0) for topic_partition in behind])
        records = []
        while behind:
            for message in consumer.consume(1000, 0.5):
                assert message.error() is None, message.error()
                records.append((message.offset() or 0, message.partition() or 0, message.key(), message.value()))
            places = consumer.position([KafkaTopicPartition(*topic_partition) for topic_partition in behind])
            behind -= {
                (place.topic, place.partition) for place in places if place.offset >= ends[place.topic, place.partition]
            }
        consumer.close()
        return sorted(records, key=lambda record: record[:2])
