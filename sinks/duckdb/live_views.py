"""Live views: the names of DuckDB's tables for readers, all switched to another generation's file at once."""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from sinks.duckdb.analytics_views import AnalyticsViews, Columns
from sinks.duckdb.history import as_of_macro, as_of_name, history_name
from sinks.duckdb.sql_text import quote_identifier

_COLUMNS = """
    SELECT table_name, list((column_name, data_type) ORDER BY ordinal_position)
    FROM information_schema.columns WHERE table_catalog = ? AND table_schema = 'main' GROUP BY table_name
"""
_MACROS = (
    "SELECT function_name FROM duckdb_functions() WHERE database_name = 'memory' AND function_type = 'table_macro'"
)


def publish_live_views(catalog: str | None, instance: duckdb.DuckDBPyConnection, analytics: AnalyticsViews) -> None:
    """Point the live views at one generation's file, or at nothing, and create the analytics views beside them.

    Args:
        catalog: the name under which the file is attached; None removes all views.
    """
    with instance.cursor() as connection:
        connection.execute("BEGIN")
        made = list_tables(connection, catalog) if catalog is not None else {}
        _forget(connection, made)
        for name in made:
            query = f"SELECT * FROM {catalog}.main.{quote_identifier(name)}"
            connection.execute(f"CREATE OR REPLACE VIEW memory.main.{quote_identifier(name)} AS {query}")
        for name in _with_history(made):
            connection.execute(as_of_macro(name, made[name], made[history_name(name)]))
        for statement in analytics.create_statements(made.items()):
            connection.execute(statement)
        connection.execute("COMMIT")


def list_tables(connection: duckdb.DuckDBPyConnection, catalog: str) -> dict[str, Columns]:
    """Return the tables and views of a database, with their columns."""
    found = connection.execute(_COLUMNS, [catalog]).fetchall()
    return {name: tuple(map(tuple, columns)) for name, columns in sorted(found)}


def _forget(connection: duckdb.DuckDBPyConnection, made: Mapping[str, Columns]) -> None:
    """Drop the live views that are not in `made`, and their macros."""
    for name in sorted(list_tables(connection, "memory").keys() - made.keys()):
        connection.execute(f"DROP VIEW memory.main.{quote_identifier(name)}")
    known = {name for (name,) in connection.execute(_MACROS).fetchall()}
    for name in sorted(known - set(map(as_of_name, _with_history(made)))):
        connection.execute(f"DROP MACRO TABLE memory.main.{quote_identifier(name)}")


def _with_history(made: Mapping[str, Columns]) -> list[str]:
    return [name for name in made if history_name(name) in made]
