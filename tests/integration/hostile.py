"""Database settings that change the output of values, the parsing of statements, and the timeouts."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from pipeline.postgres.database import Connection

HOSTILE: Mapping[str, str] = {
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kathmandu",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "quote_all_identifiers": "on",
    "search_path": "nowhere",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "client_encoding": "LATIN1",
    "role": "pg_monitor",
    "row_security": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "statement_timeout": "1ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "idle_session_timeout": "50ms",
    "transaction_timeout": "50ms",
}


def make_hostile(admin: Connection, database: str, role: str) -> None:
    """Apply all of these settings to a database, and to a role in it, whose settings take precedence."""
    for whom in (sql.SQL("DATABASE {database}"), sql.SQL("ROLE {role} IN DATABASE {database}")):
        who = whom.format(database=sql.Identifier(database), role=sql.Identifier(role))
        for name, value in HOSTILE.items():
            admin.execute(sql.SQL("ALTER {} SET {} = {}").format(who, sql.Identifier(name), sql.Literal(value)))
