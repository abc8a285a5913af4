"""Stable scan of a generation: the row counts at one point in time, so that many queries see the same rows.

The tables of versions and range tombstones are append-only and have one writer. The first N rows are therefore a stable
snapshot, which needs no lock and can be read again later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from sinks.duckdb.history import HISTORY_COLUMNS, history_column, history_query
from sinks.duckdb.progress_query import ReadPosition, position_query, read_position
from sinks.duckdb.sql_text import identifier_list, quote_identifier, quote_literal
from sinks.duckdb.tables import ORDER_COLUMNS_SQL
from sinks.ordering.register import NO_PARTITION
from sinks.shape import RowShape


@dataclass(frozen=True)
class StableScan:
    """Row counts of a generation at one point in time.

    Args:
        catalog: the name under which the generation's file is attached.
        position: the read position.
        versions: the number of versions per table.
        logged_versions: the number of versions per table that are in the log; the others are repairs.
        range_tombstones: the number of range tombstones of all tables.
        time_zone: the time zone in which a day begins at midnight.
    """

    catalog: str
    position: ReadPosition
    versions: Mapping[str, int]
    logged_versions: Mapping[str, int]
    range_tombstones: int
    time_zone: str

    def versions_since(self, shape: RowShape, begin: Mapping[int, int]) -> str:
        """Return the SELECT of the versions from an offset on, given per partition.

        The column `day_name(shape)` is the day of each version's commit.
        """
        lies_there = (f"(_partition = {partition} AND _offset >= {offset})" for partition, offset in begin.items())
        return self._select(shape, " OR ".join(lies_there) or "false")

    def repairs(self, shape: RowShape) -> str:
        """Return the SELECT of the versions that are in no log, with the same columns."""
        return self._select(shape, f"_partition = {NO_PARTITION}")

    def rows(self, shape: RowShape) -> str:
        """Return the SELECT of the rows that were shown, sorted by the day of their last commit."""
        valid_from, valid_to, _ = (quote_identifier(history_column(shape, fact)) for fact in HISTORY_COLUMNS)
        range_tombstones = f"(SELECT * FROM {self.catalog}.readmodels.fences WHERE rowid < {self.range_tombstones})"
        history = history_query(shape, f"(SELECT * FROM {self._versions(shape)})", range_tombstones)
        day = quote_identifier(day_name(shape))
        return f"""
            SELECT {identifier_list(shape.columns)}, _special, {self._day(valid_from)} AS {day}
            FROM ({history}) WHERE {valid_to} IS NULL ORDER BY {day}
        """

    def range_tombstones_of(self, shape: RowShape) -> str:
        """Return the SELECT of a table's range tombstones, as one JSON text."""
        return f"""
            SELECT coalesce(to_json(list(fence)), '[]') FROM (
                SELECT * FROM {self.catalog}.readmodels.fences
                WHERE rowid < {self.range_tombstones} AND scope = {quote_literal(shape.table)}) AS fence
        """

    def _select(self, shape: RowShape, condition: str) -> str:
        return f"""
            SELECT {identifier_list(shape.columns)}, _special, _op, _committed_at, {ORDER_COLUMNS_SQL},
                {self._day("_committed_at")} AS {quote_identifier(day_name(shape))}
            FROM {self._versions(shape)} AND ({condition})
        """

    def _versions(self, shape: RowShape) -> str:
        return f"{self.catalog}.versions.{quote_identifier(shape.table)} WHERE rowid < {self.versions[shape.table]}"

    def _day(self, moment: str) -> str:
        return f"CAST({moment} AT TIME ZONE {quote_literal(self.time_zone)} AS DATE)"


def scan_query(catalog: str, tables: Sequence[str]) -> str:
    """Return the SELECT for the row counts and the position of the generation in a catalog."""
    names = [f"{catalog}.versions.{quote_identifier(table)}" for table in tables]
    versions = ", ".join(f"(SELECT count(*) FROM {name})" for name in names)
    placed = ", ".join(f"(SELECT count(*) FROM {name} WHERE _partition <> {NO_PARTITION})" for name in names)
    range_tombstones = f"(SELECT count(*) FROM {catalog}.readmodels.fences)"
    place = position_query(catalog, tables)
    return f"SELECT *, [{versions}] AS versions, [{placed}] AS placed, {range_tombstones} AS fences FROM ({place})"


def parse_scan(answer: duckdb.DuckDBPyConnection, catalog: str, tables: Sequence[str], time_zone: str) -> StableScan:
    """Read the result of `scan_query`."""
    [(newest_us, progress, versions, placed, range_tombstones)] = answer.fetchall()
    return StableScan(
        catalog=catalog,
        position=read_position(newest_us, progress),
        versions=dict(zip(tables, versions, strict=True)),
        logged_versions=dict(zip(tables, placed, strict=True)),
        range_tombstones=range_tombstones,
        time_zone=time_zone,
    )


def day_name(shape: RowShape) -> str:
    """Return the name of the day column, with an underscore if the table has a column of that name."""
    return history_column(shape, "day")
