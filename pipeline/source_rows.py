"""How many rows of the source a condition is true for, without reading them."""

from __future__ import annotations

from typing import Any, cast

import psycopg
from psycopg import sql

from pipeline.source_database import Connection, SourceError


class ConditionRefused(SourceError):
    """PostgreSQL does not understand a condition."""

    remedy = "Write it as after WHERE, with the table's own columns, as in `id BETWEEN 1 AND 1000`."


def count_about(connection: Connection, table: str, where: str | None) -> int:
    """About how many rows of a table there are, or for which a condition is true, as PostgreSQL's planner has it.

    Args:
        table: as `schema.table`.
        where: a condition in SQL; None for every row.

    Raises:
        ConditionRefused: the condition is none.
    """
    rows = sql.SQL("SELECT * FROM {}").format(sql.Identifier(*table.split(".")))
    condition = sql.SQL(" WHERE ({})").format(sql.SQL(cast("Any", where))) if where is not None else sql.SQL("")
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            # Prepared: PostgreSQL takes one statement then, so that a condition cannot bring others along.
            query = sql.SQL("EXPLAIN (FORMAT JSON) ") + rows + condition
            [(plans,)] = connection.execute(query, prepare=True).fetchall()
    except psycopg.Error as error:
        raise ConditionRefused(f"{where}: {error.diag.message_primary or error}") from error
    return int(cast("Any", plans)[0]["Plan"]["Plan Rows"])
