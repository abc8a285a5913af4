"""Conditions on the rows of a source table: validated by PostgreSQL, and counted without reading the rows."""

from __future__ import annotations

from typing import Any, cast

import psycopg
from psycopg import sql

from pipeline.postgres.database import Connection, SourceError


class InvalidCondition(SourceError):
    """A condition is not one expression on the columns of its table."""

    remedy = (
        "Write the condition as after WHERE, with columns of the table, and without a subquery: `id BETWEEN 1 AND "
        "1000`."
    )


def estimate_rows(connection: Connection, table: str, where: str | None) -> int:
    """Estimate with PostgreSQL's planner how many rows of a table match a condition.

    Args:
        table: as `schema.table`.
        where: an SQL condition; None for every row.

    Raises:
        InvalidCondition: the condition is not valid.
    """
    name = sql.Identifier(*table.split("."))
    if where is None:
        return int(_plan(connection, sql.SQL("SELECT * FROM {}").format(name))["Plan Rows"])
    condition = sql.SQL(cast("Any", where))
    try:
        plan = _plan(connection, sql.SQL("SELECT * FROM {} WHERE ({})").format(name, condition))
        # Debezium puts a condition into parentheses. This query has none around it, so that a condition such as `true)
        # or (true` fails.
        _plan(connection, sql.SQL("SELECT (ARRAY[{}])[1] FROM {}").format(condition, name))
    except psycopg.Error as error:
        raise InvalidCondition(f"{where}: {error.diag.message_primary or error}") from error
    if _reads_more(plan):
        raise InvalidCondition(f"{where}: it has a subquery")
    return int(plan["Plan Rows"])


def _plan(connection: Connection, query: sql.Composable) -> dict[str, Any]:
    """Return the plan of a query without running it."""
    with connection.transaction():
        connection.execute("SET TRANSACTION READ ONLY")
        # A prepared statement accepts one statement only, so that a condition cannot add others.
        [(plans,)] = connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) ") + query, prepare=True).fetchall()
    plan: dict[str, Any] = cast("Any", plans)[0]["Plan"]
    return plan


def _reads_more(plan: dict[str, Any]) -> bool:
    """Return whether a plan has a subquery, by itself or joined to the table."""
    return "Subplan Name" in plan or "Join Type" in plan or any(_reads_more(one) for one in plan.get("Plans", ()))
