"""Waiting until a read model holds everything that was committed before now."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.postgres.database import Connection
from pipeline.postgres.watermark import Watermark, Watermarks, select_topics
from pipeline.verify.readers.reader import ModelReader
from sinks.batch import TopicPartition

POLL_INTERVAL_S = 0.1

LagCallback = Callable[[int], None]
"""Is told how many records a model still lacks."""


class CatchUpTimeout(Exception):
    """A read model did not get as far as PostgreSQL was, in the time it was given."""

    remedy = (
        "`readmodels status` shows its lag. Let its worker go on with `readmodels resume`, start it with `readmodels "
        "run`, or give it longer: `readmodels verify --timeout 600`."
    )


@dataclass(frozen=True)
class CatchUp:
    """Marks in one source, and how long a model may take to reach them.

    Args:
        connection: one on which every statement is a transaction.
        topics: those that feed the model, where the marks freeze the ends of others too; None for all of the marks'.
    """

    watermarks: Watermarks
    connection: Connection
    timeout_s: float
    topics: frozenset[str] | None = None

    def set_watermark(self) -> Watermark:
        """Set a mark: everything that is committed now lies before it."""
        return self.watermarks.set(self.connection)

    def end_offsets(self, watermark: Watermark) -> Mapping[TopicPartition, int]:
        """The offsets at which a model holds everything before the mark.

        Raises:
            WatermarkTimeout: the connector did not carry the mark to Kafka in time.
        """
        return self.watermarks.wait_for(watermark, self.timeout_s).end_offsets

    def wait(self, model: str, shown: ModelReader, ends: Mapping[TopicPartition, int], tell: LagCallback) -> None:
        """Return once the model has reached these offsets.

        Raises:
            CatchUpTimeout: it has not in time; the message says how far it is.
        """
        deadline = time.monotonic() + self.timeout_s
        wanted = ends if self.topics is None else select_topics(ends, self.topics)
        while lacking := _lacking(shown.progress(), wanted):
            tell(sum(lacking.values()))
            if time.monotonic() > deadline:
                (topic, partition), records = max(lacking.items(), key=lambda one: one[1])
                raise CatchUpTimeout(
                    f"{model} has not reached the mark after {self.timeout_s:g} s: it lacks {sum(lacking.values())}"
                    f" records in {len(lacking)} partitions, {records} of them in {topic}/{partition}"
                )
            time.sleep(POLL_INTERVAL_S)
        tell(0)


def _lacking(progress: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    return {
        topic_partition: end - progress.get(topic_partition, 0)
        for topic_partition, end in ends.items()
        if progress.get(topic_partition, 0) < end
    }
