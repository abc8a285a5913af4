"""History of every row: one line per version, from the source commit that created it to the commit that ended it.

Versions of a row are ordered by the rule of `sinks.ordering.register`, never by time or offset alone. A streamed change
follows every snapshot that it provably outlives. It also follows every snapshot row that was emitted before it. A
snapshot row never follows a later one. Otherwise each side keeps its own order. So the last version of a row is the one
in its register, and the same changes yield the same history in any order of arrival.

Deletions, truncates and the end of a snapshot end a version; they are not versions. The time of a version is the commit
time in the source. If the source's clock went back, a version begins at the time of the version before it.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from sinks.duckdb.analytics_views import Columns
from sinks.duckdb.sql_text import identifier_list, quote_identifier, quote_literal
from sinks.ordering.range_tombstone import RangeTombstone
from sinks.ordering.register import NO_OFFSET
from sinks.shape import RowShape

CREATE_RANGE_TOMBSTONES = """
    CREATE TABLE IF NOT EXISTS readmodels.fences (
        scope VARCHAR NOT NULL, kind VARCHAR NOT NULL, epoch INTEGER NOT NULL, commit_lsn BIGINT NOT NULL,
        lsn BIGINT NOT NULL, started_at MAP(INTEGER, BIGINT) NOT NULL, committed_at TIMESTAMPTZ);
"""
"""All applied range tombstones. The sink metadata keeps only the highest ones, which suffice for the current rows."""

HISTORY_COLUMNS = ("valid_from", "valid_to", "op")


def insert_range_tombstones(connection: duckdb.DuckDBPyConnection, range_tombstones: Iterable[RangeTombstone]) -> None:
    """Store range tombstones, each once."""
    for range_tombstone in range_tombstones:
        place = [
            range_tombstone.scope,
            range_tombstone.kind.value,
            range_tombstone.epoch,
            range_tombstone.commit_lsn,
            range_tombstone.lsn,
        ]
        partitions, offsets = list(range_tombstone.started_at), list(range_tombstone.started_at.values())
        connection.execute(
            """
            INSERT INTO readmodels.fences
            SELECT $1, $2, $3, $4, $5, map(CAST($6 AS INTEGER[]), CAST($7 AS BIGINT[])), $8
            WHERE NOT EXISTS (
                FROM readmodels.fences WHERE (scope, kind, epoch, commit_lsn, lsn) = ($1, $2, $3, $4, $5))
            """,
            [*place, partitions, offsets, range_tombstone.committed_at],
        )


def history_name(table: str) -> str:
    """Return the name of a table's history view."""
    return f"{table}_history"


def as_of_name(table: str) -> str:
    """Return the name of the macro that returns a table's rows at a point in time."""
    return f"{table}_as_of"


def history_column(shape: RowShape, fact: str) -> str:
    """Return the name of a history column such as `valid_from`, with an underscore if the table has such a column."""
    taken = {name.lower() for name in shape.columns}
    return f"_{fact}" if fact in taken else fact


def history_view(shape: RowShape) -> str:
    """Return the statement that creates a table's history view in the file with its versions."""
    query = history_query(shape, f"versions.{quote_identifier(shape.table)}", "readmodels.fences")
    return f"CREATE OR REPLACE VIEW {quote_identifier(history_name(shape.table))} AS {query};"


def history_query(shape: RowShape, versions: str, range_tombstones: str) -> str:
    """Return the SELECT of a table's history.

    Args:
        versions, range_tombstones: FROM clauses of the table's versions, and of the range tombstones of all tables.
    """
    key, columns = identifier_list(shape.key), identifier_list(shape.columns)
    same_row = " AND ".join(f"earlier.{quote_identifier(name)} = later.{quote_identifier(name)}" for name in shape.key)
    valid_from, valid_to, op = (quote_identifier(history_column(shape, fact)) for fact in HISTORY_COLUMNS)
    return f"""
        WITH fences AS NOT MATERIALIZED (
            SELECT epoch AS _epoch, kind = 'sweep' AS _is_snapshot, commit_lsn AS _commit_lsn, lsn AS _lsn,
                started_at AS _started_at, coalesce(committed_at, (
                    SELECT min(_committed_at) FROM {versions}
                    WHERE _is_snapshot AND _epoch = epoch AND _lsn = lsn)) AS _committed_at
            FROM {range_tombstones} WHERE scope = {quote_literal(shape.table)}
        ),
        told AS NOT MATERIALIZED (
            FROM {versions}
            UNION ALL BY NAME
            SELECT {key}, _epoch, _is_snapshot, _commit_lsn, _lsn, CAST(0 AS TINYINT) AS _tie, true AS _deleted,
                _committed_at,
                -- Of the row's partitions, for a repair lies in none.
                CASE WHEN _is_snapshot
                    THEN list_max(list_transform(_partitions, lambda one: coalesce(_started_at[one], 0) - 1))
                    ELSE {NO_OFFSET} END AS _offset
            FROM (
                SELECT {key}, list(DISTINCT _partition) AS _partitions FROM {versions}
                -- Without fences, the keys need not be found.
                WHERE EXISTS (FROM fences) GROUP BY {key})
            CROSS JOIN fences
            -- A sweep says nothing of the rows that its snapshot emitted.
            ANTI JOIN (SELECT {key}, _epoch, _is_snapshot, _lsn FROM {versions} WHERE _is_snapshot)
                USING ({key}, _epoch, _is_snapshot, _lsn)
        ),
        snapshots AS (
            SELECT _epoch, max(_lsn) AS _newest FROM told WHERE _is_snapshot GROUP BY _epoch
        ),
        sided AS NOT MATERIALIZED (
            SELECT told.*, greatest(_commit_lsn, _lsn) AS _proved, NOT _is_snapshot AND _proved < _newest AS _in_doubt
            FROM told LEFT JOIN snapshots USING (_epoch)
        ),
        placed AS NOT MATERIALIZED (
            SELECT *, CASE WHEN _is_snapshot THEN _lsn ELSE {2**63 - 1} END AS _place
            FROM sided WHERE _in_doubt IS NOT true
            UNION ALL BY NAME
            SELECT * EXCLUDE (_seen), min(greatest(_proved, _seen)) OVER (
                PARTITION BY {key}, _epoch ORDER BY _commit_lsn, _lsn, _tie
                ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS _place
            FROM (
                SELECT *, (
                    SELECT max(earlier._lsn) FROM told AS earlier
                    WHERE {same_row} AND earlier._epoch = later._epoch AND earlier._is_snapshot
                        AND earlier._lsn > later._proved AND earlier._offset < later._offset) AS _seen
                FROM sided AS later WHERE _in_doubt)
        )
        SELECT * EXCLUDE (_deleted) FROM (
            SELECT {columns}, _special, _deleted, max(_committed_at) OVER following AS {valid_from},
                CASE WHEN lead(_lsn) OVER following IS NOT NULL
                    THEN greatest(max(_committed_at) OVER following, lead(_committed_at) OVER following)
                END AS {valid_to}, _op AS {op}
            FROM placed
            WINDOW following AS (
                PARTITION BY {key}
                ORDER BY _epoch, _place, _is_snapshot DESC, _commit_lsn, _lsn, _tie ROWS UNBOUNDED PRECEDING))
        WHERE NOT _deleted
    """


def as_of_macro(table: str, columns: Columns, history: Columns) -> str:
    """Return the statement for the macro that returns the rows of a table as of a point in time.

    Args:
        columns, history: the columns of the table and of its history, both under their live names.
    """
    valid_from, valid_to = (quote_identifier(name) for name, _ in history[len(columns) + 1 :][:2])
    moment = "CAST(_moment AS TIMESTAMPTZ)"
    return f"""
        CREATE OR REPLACE MACRO memory.main.{quote_identifier(as_of_name(table))}(_moment) AS TABLE
        SELECT {identifier_list(name for name, _ in columns)} FROM memory.main.{quote_identifier(history_name(table))}
        WHERE {valid_from} <= {moment} AND ({valid_to} IS NULL OR {moment} < {valid_to})
    """
