"""Freshness of a DuckDB result: its age, and its lag behind the log."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime

from connectors.kafka import KafkaSettings, KafkaUnavailable, end_offsets
from sinks.batch import TopicPartition
from sinks.duckdb.progress_query import ReadPosition


class EndOffsetsRequest:
    """Request for the log's end offsets that runs while DuckDB answers, because Kafka may be slow or not answer."""

    def __init__(self, kafka: KafkaSettings, topics: Iterable[str]) -> None:
        self._found: Mapping[TopicPartition, int] | None = None
        self._asking = threading.Thread(target=self._ask, args=(kafka, list(topics)), name="ends", daemon=True)
        self._asking.start()

    def result(self, wait_s: float) -> Mapping[TopicPartition, int] | None:
        """Return the end offsets after a last wait; None if Kafka did not answer."""
        self._asking.join(wait_s)
        return self._found

    def _ask(self, kafka: KafkaSettings, topics: list[str]) -> None:
        try:
            self._found = end_offsets(kafka.admin(), topics)
        except KafkaUnavailable:
            self._found = None


def freshness(place: ReadPosition, ends: Mapping[TopicPartition, int] | None, now: datetime) -> str:
    """Format the freshness as one sentence."""
    if place.newest is None:
        newest = "no change applied yet"
    else:
        age_s = (now - place.newest).total_seconds()
        newest = f"newest change committed at {place.newest.isoformat(timespec='milliseconds')}, {age_s:.1f} s ago"
    if ends is None:
        return f"{newest}; how many records are not read yet is not known, for Kafka did not answer in time"
    return f"{newest}; {place.lag_records(ends)} records not read yet"
