"""How far a generation of DuckDB has got, asked in SQL by those who read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from sinks.batch import TopicPartition
from sinks.duckdb.sql_text import quote_identifier


@dataclass(frozen=True)
class ReadPosition:
    """How far a generation has got: the newest commit that it has taken in, and its progress."""

    newest: datetime | None
    offsets: Mapping[TopicPartition, int]

    def lag_records(self, ends: Mapping[TopicPartition, int]) -> int:
        """How many offsets of a log that ends there it has not taken in."""
        return sum(max(0, end - self.offsets.get(topic_partition, 0)) for topic_partition, end in ends.items())


def position_query(catalog: str, tables: Iterable[str]) -> str:
    """The SELECT that tells the place of the generation in a catalog."""
    newest = " UNION ALL ".join(
        f"SELECT max(_committed_at) AS newest FROM {catalog}.versions.{quote_identifier(table)}" for table in tables
    )
    progress = f"SELECT list([topic, partition::VARCHAR, next_offset::VARCHAR]) FROM {catalog}.readmodels.progress"
    return f"SELECT (SELECT epoch_us(max(newest)) FROM ({newest})) AS newest_us, ({progress}) AS progress"


def parse_position(answer: duckdb.DuckDBPyConnection) -> ReadPosition:
    """Read the answer to `position_query`."""
    [(newest_us, progress)] = answer.fetchall()
    return read_position(newest_us, progress)


def read_position(newest_us: int | None, progress: list[tuple[str, str, str]] | None) -> ReadPosition:
    """Read the two columns of `position_query`."""
    newest = None if newest_us is None else datetime.fromtimestamp(newest_us / 1e6, UTC)
    return ReadPosition(newest, {(topic, int(partition)): int(offset) for topic, partition, offset in progress or []})
