"""Inventory of a model's generations with their states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.kafka import end_offsets
from pipeline import read_models
from pipeline.config import Settings
from pipeline.epochs.offset_sink import open_sink
from pipeline.generations.readable import readable_generations
from pipeline.postgres.watermark import select_topics
from sinks.batch import TopicPartition
from sinks.errors import GenerationBroken, GenerationMissing
from sinks.generation import GenerationMetadata, GenerationState
from sinks.sink import Store


@dataclass(frozen=True)
class GenerationStatus:
    """Status of one generation.

    Args:
        is_live: whether readers see it. The first generation of a model is live while it is built.
        lag_records: number of offsets that it has not applied yet.
        progress: fraction of the log's offsets that it has applied, from 0 to 1.
        problem: reason why it cannot be read, or None; lag and progress are then those of an empty generation.
    """

    model: str
    generation: int
    state: GenerationState
    is_live: bool
    created_at: datetime | None
    shown_at: datetime | None
    size_bytes: int
    lag_records: int
    progress: float
    problem: str | None = None


def inventory(model: str, settings: Settings) -> list[GenerationStatus]:
    """Return the status of every generation of a model, in the order of the store.

    Raises:
        SinkError: the store does not answer.
        KafkaUnavailable: the brokers do not answer.
    """
    with read_models.open_store(model, settings) as store:
        found = readable_generations(store)
        live, generations = found.live, found.generations
        topics = {
            number: read_models.settings_for(record, settings).definitions.topics
            for number, record in generations.items()
        }
        everything = {topic for some in topics.values() for topic in some}
        ends = end_offsets(settings.kafka.admin(), everything) if everything else {}
        return [
            _standing(model, number, record, store, select_topics(ends, topics[number]), is_live=number == live)
            for number, record in generations.items()
        ]


def _standing(
    model: str,
    number: int,
    record: GenerationMetadata,
    store: Store,
    ends: Mapping[TopicPartition, int],
    *,
    is_live: bool,
) -> GenerationStatus:
    total, problem = sum(ends.values()), None
    try:
        lag = sum(open_sink(store, number).progress().lag(ends).values())
    except (GenerationBroken, GenerationMissing) as error:
        lag, problem = total, str(error)
    return GenerationStatus(
        model,
        number,
        record.state(is_live=is_live),
        is_live,
        record.created_at,
        record.shown_at,
        store.size_bytes(number),
        lag,
        1.0 if not total else (total - lag) / total,
        problem,
    )
