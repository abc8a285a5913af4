"""How PostgreSQL's types are kept in DuckDB: exactly, or as text where DuckDB has no type that could."""

from __future__ import annotations

from sinks.pg_type import PgType, parse_pg_type

_SAME = {
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double precision": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMPTZ",
    "bytea": "BLOB",
    "uuid": "UUID",
    "jsonb": "JSON",
}
# Not `json`: PostgreSQL keeps its text as written, also with half a surrogate pair, which DuckDB's JSON refuses.
_WIDEST_DECIMAL = 38


def duckdb_type(text: str) -> str:
    """The DuckDB type of a column; a numeric without precision stays text, since no DECIMAL holds every one."""
    kind = parse_pg_type(text)
    name = _decimal(kind) if kind.name == "numeric" else _SAME.get(kind.name, "VARCHAR")
    return f"{name}[]" if kind.is_array else name


def _decimal(kind: PgType) -> str:
    precision, scale = (*kind.arguments, 0, 0)[:2]
    return f"DECIMAL({precision},{scale})" if 0 <= scale <= precision <= _WIDEST_DECIMAL and precision else "VARCHAR"


def cast_expression(column: str, text: str) -> str:
    """The SQL expression that turns a quoted column of incoming rows into its DuckDB type."""
    kind = duckdb_type(text)
    if kind.startswith("DECIMAL"):
        return f"TRY_CAST({column} AS {kind})"
    return f"CAST({column} AS {kind})"
