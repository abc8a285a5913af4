"""How far a generation of DuckDB has got, asked in SQL by those who read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from sinks.batch import Shard
from sinks.duckdb.sql_text import quote


@dataclass(frozen=True)
class Place:
    """How far a generation has got: the newest commit that it has taken in, and its progress."""

    newest: datetime | None
    offsets: Mapping[Shard, int]

    def lag_records(self, ends: Mapping[Shard, int]) -> int:
        """How many offsets of a log that ends there it has not taken in."""
        return sum(max(0, end - self.offsets.get(shard, 0)) for shard, end in ends.items())


def place_query(catalog: str, tables: Iterable[str]) -> str:
    """The SELECT that tells the place of the generation in a catalog."""
    newest = " UNION ALL ".join(
        f"SELECT max(_committed_at) AS newest FROM {catalog}.versions.{quote(table)}" for table in tables
    )
    progress = f"SELECT list([topic, partition::VARCHAR, next_offset::VARCHAR]) FROM {catalog}.readmodels.progress"
    return f"SELECT (SELECT epoch_us(max(newest)) FROM ({newest})) AS newest_us, ({progress}) AS progress"


def place_of(answer: duckdb.DuckDBPyConnection) -> Place:
    """Read the answer to `place_query`."""
    [(newest_us, progress)] = answer.fetchall()
    return place_from(newest_us, progress)


def place_from(newest_us: int | None, progress: list[tuple[str, str, str]] | None) -> Place:
    """Read the two columns of `place_query`."""
    newest = None if newest_us is None else datetime.fromtimestamp(newest_us / 1e6, UTC)
    return Place(newest, {(topic, int(partition)): int(offset) for topic, partition, offset in progress or []})
