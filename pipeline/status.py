"""Where everything stands: the connector, its slot, and how far every read model is behind."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from connectors.connect import ConnectClient, ConnectError, ConnectorFailed
from connectors.kafka import REQUEST_TIMEOUT_S, KafkaSettings, KafkaUnavailable, end_offsets, reason_of
from pipeline import read_models, replication, source_database
from pipeline.config import Settings
from pipeline.source_database import SourceError
from sinks.batch import Shard
from sinks.errors import GenerationMissing, SinkError

LOOK_S = 3.0
"""How long the oldest unread records are looked for."""
_SLOT_MISSING = "Run `readmodels init`: it says what to do where the connector had already read from a slot."


@dataclass(frozen=True)
class PartitionLag:
    """How far a model is behind in one partition."""

    topic: str
    partition: int
    offset: int
    end: int
    lag_records: int


@dataclass(frozen=True)
class ModelStatus:
    """A read model: its generations, and its lag in records and in seconds.

    Args:
        staleness_s: the age of the oldest record that it has not taken in; zero where there is none.
        problem: why the rest is not known.
        remedy: what an operator can do about it.
    """

    model: str
    generation: int | None = None
    generations: tuple[int, ...] = ()
    lag_records: int | None = None
    staleness_s: float | None = None
    partitions: tuple[PartitionLag, ...] = ()
    problem: str | None = None
    remedy: str | None = None

    @property
    def is_healthy(self) -> bool:
        """The model is there, and its lag is known."""
        return self.problem is None and self.generation is not None


@dataclass(frozen=True)
class Status:
    """One look at everything."""

    connector: dict[str, Any]
    slot: dict[str, Any]
    models: tuple[ModelStatus, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether nothing needs an operator."""
        is_source_well = not self.connector.get("problem") and not self.slot.get("problem")
        return is_source_well and all(model.is_healthy for model in self.models)

    def to_json(self) -> dict[str, Any]:
        """The status as plain data."""
        return {**asdict(self), "is_healthy": self.is_healthy}


def look(settings: Settings) -> Status:
    """Ask everybody; one that does not answer is a problem in the answer, not an error."""
    try:
        ends: dict[Shard, int] | KafkaUnavailable = end_offsets(settings.kafka.admin(), settings.contract.topics)
    except KafkaUnavailable as error:
        ends = error
    models = tuple(_model(model, settings, ends) for model in read_models.MODELS)
    return Status(_connector(settings), _slot(settings), models)


def _connector(settings: Settings) -> dict[str, Any]:
    name = settings.connector.name
    client = ConnectClient(settings.connect.url)
    try:
        status = client.status(name)
    except ConnectError as error:
        return {"name": name, "problem": str(error), "remedy": error.remedy}
    finally:
        client.close()
    facts = {"name": name, "state": status.state, "tasks": [task.state for task in status.tasks]}
    return facts if status.is_running else {**facts, "problem": str(status), "remedy": ConnectorFailed.remedy}


def _slot(settings: Settings) -> dict[str, Any]:
    name = settings.connector.slot
    try:
        with closing(source_database.connect(settings.source.url)) as connection:
            slot = replication.read_slot(connection, name)
    except SourceError as error:
        return {"name": name, "problem": str(error), "remedy": error.remedy}
    if slot is None:
        return {"name": name, "problem": "the slot does not exist", "remedy": _SLOT_MISSING}
    return asdict(slot)


def _model(model: str, settings: Settings, ends: Mapping[Shard, int] | KafkaUnavailable) -> ModelStatus:
    try:
        with read_models.STORES[model](settings) as store:
            live, generations = store.live(), tuple(store.generations())
    except SinkError as error:
        return ModelStatus(model, problem=str(error), remedy=error.remedy)
    if live is None:
        return ModelStatus(model, problem="no generation is live", remedy=GenerationMissing.remedy)
    seen = ModelStatus(model, live, generations)
    if isinstance(ends, KafkaUnavailable):
        return replace(seen, problem=str(ends), remedy=ends.remedy)
    try:
        committed = committed_offsets(settings.kafka, read_models.group(model, live), ends)
        partitions = tuple(
            PartitionLag(*shard, committed[shard], end, max(0, end - committed[shard]))
            for shard, end in sorted(ends.items())
        )
        staleness_s = _staleness_s(settings.kafka, partitions)
    except KafkaException as error:
        return replace(seen, problem=f"Kafka answered: {reason_of(error)}", remedy=KafkaUnavailable.remedy)
    lag = sum(partition.lag_records for partition in partitions)
    return replace(seen, lag_records=lag, staleness_s=staleness_s, partitions=partitions)


def committed_offsets(kafka: KafkaSettings, group: str, ends: Mapping[Shard, int]) -> dict[Shard, int]:
    """The mirrored progress; zero where nothing was committed yet."""
    # Held by name: the answer of an admin client that is collected never comes.
    admin = kafka.admin()
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(*shard) for shard in ends])
    asked = admin.list_consumer_group_offsets([wanted], request_timeout=REQUEST_TIMEOUT_S)
    places = asked[group].result().topic_partitions
    return {(place.topic, place.partition): max(0, place.offset) for place in places}


def _staleness_s(kafka: KafkaSettings, partitions: tuple[PartitionLag, ...]) -> float:
    """The age of the oldest unread record; commit markers at the end of a partition are not records."""
    behind = {(one.topic, one.partition): one.offset for one in partitions if one.lag_records}
    if not behind:
        return 0.0
    consumer = Consumer(
        kafka.with_client(
            group_id="readmodels.status",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            enable_partition_eof=True,
            isolation_level="read_committed",
        )
    )
    oldest_ms = time.time() * 1000
    try:
        consumer.assign([TopicPartition(*shard, offset) for shard, offset in behind.items()])
        deadline, open_shards = time.monotonic() + LOOK_S, set(behind)
        while open_shards and time.monotonic() < deadline:
            for message in consumer.consume(500, 0.2):
                shard = (message.topic() or "", message.partition() or 0)
                if shard in open_shards and not message.error():
                    oldest_ms = min(oldest_ms, message.timestamp()[1])
                open_shards.discard(shard)
    finally:
        consumer.close()
    return round(max(0.0, time.time() - oldest_ms / 1000), 3)
