"""Catch-up of a read model with everything that was committed before a watermark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.catch_up import wait_until_caught_up
from pipeline.postgres.database import Connection
from pipeline.postgres.watermark import Watermark, Watermarks, select_topics
from pipeline.verify.readers.reader import ModelReader
from sinks.batch import Progress, TopicPartition
from sinks.errors import StoreUnavailable

LagCallback = Callable[[int], None]
"""Callback with the number of records that a model has not applied yet."""


class CatchUpTimeout(Exception):
    """A read model did not reach the watermark before the timeout."""

    remedy = (
        "`readmodels status` shows its lag. Resume its worker with `readmodels resume`, start it with `readmodels "
        "run`, or raise the timeout: `readmodels verify --timeout 600`."
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
        wanted = ends if self.topics is None else select_topics(ends, self.topics)
        wait_until_caught_up(
            lambda: Progress(shown.progress()),
            wanted,
            lambda lack: CatchUpTimeout(f"{model} {lack}"),
            look=lambda seen: tell(sum(seen.lag(wanted).values())),
            timeout_s=self.timeout_s,
            unavailable=_raise,
        )


def _raise(error: StoreUnavailable) -> None:
    """End the wait: a comparison of a store that does not answer is not repeated by itself."""
    raise error
