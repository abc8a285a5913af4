"""Observation of a deployment: its facts, each read once and in parallel with the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from confluent_kafka import KafkaException

from connectors.kafka import KafkaUnavailable, end_offsets, error_text
from connectors.kafka_connect import ConnectClient
from connectors.kafka_connect_status import ConnectorStatus
from pipeline import read_models
from pipeline.config import Settings
from pipeline.health.lag import Lag, read_lag
from pipeline.postgres import database, replication
from pipeline.postgres.replication import Slot
from pipeline.runtime.workers import read_workers
from sinks.batch import TopicPartition
from sinks.errors import GenerationMissing
from sinks.generation import GenerationMetadata
from sinks.rejection import NO_REJECTIONS, Rejections

Given = ParamSpec("Given")
Fact = TypeVar("Fact")

MAX_THREADS = 32
"""Number of threads, more than facts and checks: a thread that waits for a fact must not block reading that fact."""


@dataclass(frozen=True)
class ModelGenerations:
    """Generations of one model, as recorded in its store, and the rejected documents of the live one."""

    live: int | None
    all: Mapping[int, GenerationMetadata]
    rejections: Rejections = NO_REJECTIONS

    @property
    def is_building(self) -> bool:
        """True if the live generation is not yet completely filled for the first time."""
        return self.live is not None and self.live in self.all and not self.all[self.live].is_complete


class Observation:
    """Facts about one deployment. Each is a future: its result is the fact, or the error that prevented the read.

    Args:
        models: the read models to check.
        max_staleness_s: maximum age of the oldest record that a model has not applied; None for no limit.
    """

    def __init__(self, settings: Settings, models: Iterable[str], max_staleness_s: float | None = None) -> None:
        self.settings = settings
        self.models = tuple(models)
        self.max_staleness_s = max_staleness_s
        self._threads = ThreadPoolExecutor(MAX_THREADS, "status")
        self.connector = self.submit(_read_connector, settings)
        self.slot = self.submit(_read_slot, settings)
        self.control = self.submit(read_workers, settings.kafka)
        self.end_offsets = self.submit(_read_end_offsets, settings)
        self.generations = {model: self.submit(_read_generations, model, settings) for model in self.models}
        self.lag = {model: self.submit(self._read_lag, model) for model in self.models}

    def submit(self, read: Callable[Given, Fact], *args: Given.args, **named: Given.kwargs) -> Future[Fact]:
        """Run a read on a separate thread."""
        return self._threads.submit(read, *args, **named)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def _read_lag(self, model: str) -> Lag:
        live = self.generations[model].result().live
        if live is None:
            raise GenerationMissing("no generation is live")
        try:
            return read_lag(self.settings.kafka, read_models.consumer_group(model, live), self.end_offsets.result())
        except KafkaException as error:
            raise KafkaUnavailable(f"cannot read the progress of {model}: {error_text(error)}") from error


def _read_connector(settings: Settings) -> ConnectorStatus:
    with closing(ConnectClient(settings.connect.url)) as client:
        return client.status(settings.connector.name)


def _read_slot(settings: Settings) -> Slot | None:
    with closing(database.connect(settings.source.url)) as connection:
        return replication.read_slot(connection, settings.connector.slot)


def _read_end_offsets(settings: Settings) -> Mapping[TopicPartition, int]:
    return end_offsets(settings.kafka.admin(), settings.definitions.topics)


def _read_generations(model: str, settings: Settings) -> ModelGenerations:
    with read_models.open_store(model, settings) as store:
        # Read the generations first: otherwise one that is created and goes live in between would seem to be missing.
        generations, live = store.generations(), store.live()
        rejections = store.rejections(live) if live is not None and live in generations else NO_REJECTIONS
        return ModelGenerations(live, generations, rejections)
