"""Progress of a DuckDB generation, queried in SQL by its readers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from sinks.batch import TopicPartition
from sinks.duckdb.sql_text import quote_identifier


@dataclass(frozen=True)
class ReadPosition:
    """Read position of a generation: the commit time of its newest applied change, and its progress."""

    newest: datetime | None
    offsets: Mapping[TopicPartition, int]

    def lag_records(self, ends: Mapping[TopicPartition, int]) -> int:
        """Return the number of offsets not applied yet, given the end offsets of the log."""
        return sum(max(0, end - self.offsets.get(topic_partition, 0)) for topic_partition, end in ends.items())


def position_query(catalog: str, tables: Iterable[str]) -> str:
    """Return the SELECT for the read position of the generation in a catalog."""
    newest = " UNION ALL ".join(
        f"SELECT max(_committed_at) AS newest FROM {catalog}.versions.{quote_identifier(table)}" for table in tables
    )
    progress = f"SELECT list([topic, partition::VARCHAR, next_offset::VARCHAR]) FROM {catalog}.readmodels.progress"
    return f"SELECT (SELECT epoch_us(max(newest)) FROM ({newest})) AS newest_us, ({progress}) AS progress"


def parse_position(answer: duckdb.DuckDBPyConnection) -> ReadPosition:
    """Read the result of `position_query`."""
    [(newest_us, progress)] = answer.fetchall()
    return read_position(newest_us, progress)


def read_position(newest_us: int | None, progress: list[tuple[str, str, str]] | None) -> ReadPosition:
    """Convert the two columns of `position_query` to a read position."""
    newest = None if newest_us is None else datetime.fromtimestamp(newest_us / 1e6, UTC)
    return ReadPosition(newest, {(topic, int(partition)): int(offset) for topic, partition, offset in progress or []})
