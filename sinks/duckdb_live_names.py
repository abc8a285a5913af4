"""The names under which readers know DuckDB's tables: views over the live generation's file, changed all at once."""

from __future__ import annotations

import duckdb

from sinks.duckdb_tables import quote

_NAMES = "SELECT table_name FROM information_schema.tables WHERE table_catalog = ? AND table_schema = 'main'"


def show_tables_of(catalog: str | None, instance: duckdb.DuckDBPyConnection) -> None:
    """Let the live names lead to the tables of one generation's file, or to nothing.

    Args:
        catalog: the name under which the file is attached.
    """
    with instance.cursor() as connection:
        connection.execute("BEGIN")
        made = _tables(connection, catalog) if catalog is not None else set()
        for name in sorted(_tables(connection, "memory") - made):
            connection.execute(f"DROP VIEW memory.main.{quote(name)}")
        for name in sorted(made):
            query = f"SELECT * FROM {catalog}.main.{quote(name)}"
            connection.execute(f"CREATE OR REPLACE VIEW memory.main.{quote(name)} AS {query}")
        connection.execute("COMMIT")


def _tables(connection: duckdb.DuckDBPyConnection, catalog: str) -> set[str]:
    return {name for (name,) in connection.execute(_NAMES, [catalog]).fetchall()}
