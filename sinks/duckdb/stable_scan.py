"""How much of a generation there was at one moment, so that many queries can be asked of that moment.

Versions and fences are only ever added, and one process adds them: what was there is what stands first. So nothing is
held back while somebody reads for long, and whoever comes again later finds the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from sinks.duckdb.history import FACTS, fact_name, history_query
from sinks.duckdb.progress_query import Place, place_from, place_query
from sinks.duckdb.sql_text import listed, literal, quote
from sinks.duckdb.tables import PLACE
from sinks.ordering.register import NOWHERE
from sinks.shape import RowShape


@dataclass(frozen=True)
class Extent:
    """What there was at one moment.

    Args:
        catalog: the name under which the generation's file is attached.
        place: how far it had got.
        versions: how many versions each table had.
        placed: how many of them lie in the log; the others are repairs.
        fences: how many fences there were, of all tables.
        time_zone: where a day begins at midnight.
    """

    catalog: str
    place: Place
    versions: Mapping[str, int]
    placed: Mapping[str, int]
    fences: int
    time_zone: str

    def added(self, shape: RowShape, begin: Mapping[int, int]) -> str:
        """The SELECT of the versions that lie in the log from an offset on, given for each of its partitions.

        A column `day_name(shape)` says on which day each was committed.
        """
        lies_there = (f"(_partition = {partition} AND _offset >= {offset})" for partition, offset in begin.items())
        return self._select(shape, " OR ".join(lies_there) or "false")

    def repairs(self, shape: RowShape) -> str:
        """The SELECT of the versions that lie in no log, in the same form."""
        return self._select(shape, f"_partition = {NOWHERE}")

    def rows(self, shape: RowShape) -> str:
        """The SELECT of the rows that were shown, by the day on which each was committed as it is."""
        valid_from, valid_to, _ = (quote(fact_name(shape, fact)) for fact in FACTS)
        fences = f"(SELECT * FROM {self.catalog}.readmodels.fences WHERE rowid < {self.fences})"
        history = history_query(shape, f"(SELECT * FROM {self._versions(shape)})", fences)
        return f"""
            SELECT {listed(shape.columns)}, _special, {self._day(valid_from)} AS {quote(day_name(shape))}
            FROM ({history}) WHERE {valid_to} IS NULL ORDER BY {quote(day_name(shape))}
        """

    def fences_of(self, shape: RowShape) -> str:
        """The SELECT of a table's fences, as one JSON text."""
        return f"""
            SELECT coalesce(to_json(list(fence)), '[]') FROM (
                SELECT * FROM {self.catalog}.readmodels.fences
                WHERE rowid < {self.fences} AND scope = {literal(shape.table)}) AS fence
        """

    def _select(self, shape: RowShape, condition: str) -> str:
        return f"""
            SELECT {listed(shape.columns)}, _special, _op, _committed_at, {PLACE},
                {self._day("_committed_at")} AS {quote(day_name(shape))}
            FROM {self._versions(shape)} AND ({condition})
        """

    def _versions(self, shape: RowShape) -> str:
        return f"{self.catalog}.versions.{quote(shape.table)} WHERE rowid < {self.versions[shape.table]}"

    def _day(self, moment: str) -> str:
        return f"CAST({moment} AT TIME ZONE {literal(self.time_zone)} AS DATE)"


def extent_query(catalog: str, tables: Sequence[str]) -> str:
    """The SELECT that tells the extent of the generation in a catalog."""
    names = [f"{catalog}.versions.{quote(table)}" for table in tables]
    versions = ", ".join(f"(SELECT count(*) FROM {name})" for name in names)
    placed = ", ".join(f"(SELECT count(*) FROM {name} WHERE _partition <> {NOWHERE})" for name in names)
    fences = f"(SELECT count(*) FROM {catalog}.readmodels.fences)"
    place = place_query(catalog, tables)
    return f"SELECT *, [{versions}] AS versions, [{placed}] AS placed, {fences} AS fences FROM ({place})"


def extent_of(answer: duckdb.DuckDBPyConnection, catalog: str, tables: Sequence[str], time_zone: str) -> Extent:
    """Read the answer to `extent_query`."""
    [(newest_us, progress, versions, placed, fences)] = answer.fetchall()
    return Extent(
        catalog=catalog,
        place=place_from(newest_us, progress),
        versions=dict(zip(tables, versions, strict=True)),
        placed=dict(zip(tables, placed, strict=True)),
        fences=fences,
        time_zone=time_zone,
    )


def day_name(shape: RowShape) -> str:
    """How the day is called beside the table's own columns, which may have such a name."""
    return fact_name(shape, "day")
