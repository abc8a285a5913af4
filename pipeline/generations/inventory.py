"""All generations of a model, and how each stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.kafka import end_offsets
from pipeline import read_models
from pipeline.config import Settings
from pipeline.epochs.offset_sink import sink_of
from pipeline.generations.readable import present
from pipeline.postgres.watermark import of_topics
from sinks.batch import Shard
from sinks.errors import GenerationBroken, GenerationMissing
from sinks.generation import Record, State
from sinks.sink import Store


@dataclass(frozen=True)
class Standing:
    """One generation.

    Args:
        is_live: whether readers see it; the first generation of a model is seen while it is built.
        lag_records: offsets that it has still to take in.
        progress: of how many offsets of the log it has taken in, from 0 to 1.
        problem: why it cannot be read, or None; lag and progress are then those of an empty one.
    """

    model: str
    generation: int
    state: State
    is_live: bool
    created_at: datetime | None
    shown_at: datetime | None
    size_bytes: int
    lag_records: int
    progress: float
    problem: str | None = None


def inventory(model: str, settings: Settings) -> list[Standing]:
    """The generations of a model by their numbers.

    Raises:
        SinkError: the store does not answer.
        KafkaUnavailable: nor do the brokers.
    """
    with read_models.STORES[model](settings) as store:
        found = present(store)
        live, generations = found.live, found.generations
        topics = {
            number: read_models.settings_of(record, settings).contract.topics for number, record in generations.items()
        }
        everything = {topic for some in topics.values() for topic in some}
        ends = end_offsets(settings.kafka.admin(), everything) if everything else {}
        return [
            _standing(model, number, record, store, of_topics(ends, topics[number]), is_live=number == live)
            for number, record in generations.items()
        ]


def _standing(
    model: str, number: int, record: Record, store: Store, ends: Mapping[Shard, int], *, is_live: bool
) -> Standing:
    total, problem = sum(ends.values()), None
    try:
        lag = sum(sink_of(store, number).progress().lag(ends).values())
    except (GenerationBroken, GenerationMissing) as error:
        lag, problem = total, str(error)
    return Standing(
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
