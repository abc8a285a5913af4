"""Catch-up of a read model with everything that was committed before a watermark."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.postgres.database import Connection
from pipeline.postgres.watermark import Watermark, Watermarks, select_topics
from pipeline.verify.readers.reader import ModelReader
from sinks.batch import Progress, TopicPartition

POLL_INTERVAL_S = 0.1

LagCallback = Callable[[int], None]
"""Callback with the number of records that a model has not applied yet."""


class CatchUpTimeout(Exception):
    """A read model did not reach the watermark before the timeout."""

    remedy = (
        "`readmodels status` shows its lag. Let its worker go on with `readmodels resume`, start it with `readmodels "
        "run`, or give it longer: `readmodels verify --timeout 600`."
    )


@dataclass(frozen=True)
class CatchUp:
    """Watermarks in one source, and the time that a model may take to reach them.

    Args:
        connection: a connection in autocommit mode.
        topics: topics of the model, if the watermarks also record end offsets of others; None for all topics.
    """

    watermarks: Watermarks
    connection: Connection
    timeout_s: float
    topics: frozenset[str] | None = None

    def set_watermark(self) -> Watermark:
        """Write a watermark; everything committed before this call precedes it in the WAL."""
        return self.watermarks.set(self.connection)

    def end_offsets(self, watermark: Watermark) -> Mapping[TopicPartition, int]:
        """Return the offsets at which a model holds everything before the watermark.

        Raises:
            WatermarkTimeout: the connector did not send the watermark to Kafka in time.
        """
        return self.watermarks.wait_for(watermark, self.timeout_s).end_offsets

    def wait(self, model: str, shown: ModelReader, ends: Mapping[TopicPartition, int], tell: LagCallback) -> None:
        """Wait until the model has reached these offsets.

        Raises:
            CatchUpTimeout: the model did not reach them in time; the message gives its lag.
        """
        deadline = time.monotonic() + self.timeout_s
        wanted = ends if self.topics is None else select_topics(ends, self.topics)
        while lacking := Progress(shown.progress()).lag(wanted):
            tell(sum(lacking.values()))
            if time.monotonic() > deadline:
                (topic, partition), records = max(lacking.items(), key=lambda one: one[1])
                raise CatchUpTimeout(
                    f"{model} has not reached the mark after {self.timeout_s:g} s: it lacks {sum(lacking.values())}"
                    f" records in {len(lacking)} partitions, {records} of them in {topic}/{partition}"
                )
            time.sleep(POLL_INTERVAL_S)
        tell(0)
