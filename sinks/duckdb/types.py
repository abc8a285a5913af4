"""DuckDB types of PostgreSQL's types: exact, or text if DuckDB has no exact type."""

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
    "hstore": "JSON",
}
# `json` is missing: PostgreSQL keeps its text as written, even half a surrogate pair, which DuckDB's JSON rejects.
_WIDEST_DECIMAL = 38


_WIDEST_SCALE = 20
"""Digits after the point of a numeric without scale: as many as PostgreSQL computes for 1 / 3. 18 are before it."""


def with_decimal_type(text: str) -> str:
    """Return the type as which a new table stores a column: for numbers one that all of them fit, or the widest.

    Numbers that do not fit are refused (`sinks.duckdb.special_values`). The type is recorded in the shape of a
    generation; in older ones, money and such numerics are text.
    """
    kind = parse_pg_type(text)
    if kind.name == "money":
        return "numeric(19,2)"
    if kind.name != "numeric" or _decimal(kind) != "VARCHAR":
        return text
    precision, scale = (*kind.arguments, 0)[:2] if kind.arguments else (_WIDEST_DECIMAL, _WIDEST_SCALE)
    width = max(precision - min(scale, 0), scale)
    digits = max(scale, 0) if width <= _WIDEST_DECIMAL else min(max(scale, 0), _WIDEST_SCALE)
    return f"numeric({min(width, _WIDEST_DECIMAL)},{digits}){'[]' if kind.is_array else ''}"


def duckdb_type(text: str) -> str:
    """Return the DuckDB type of a column. A numeric that no DECIMAL holds completely is text."""
    kind = parse_pg_type(text)
    name = _decimal(kind) if kind.name == "numeric" else _SAME.get(kind.name, "VARCHAR")
    return f"{name}[]" if kind.is_array else name


def _decimal(kind: PgType) -> str:
    precision, scale = (*kind.arguments, 0, 0)[:2]
    return f"DECIMAL({precision},{scale})" if 0 <= scale <= precision <= _WIDEST_DECIMAL and precision else "VARCHAR"


def cast_expression(column: str, text: str) -> str:
    """Return the SQL expression that casts a quoted column of incoming rows to its DuckDB type."""
    kind = duckdb_type(text)
    if kind.startswith("DECIMAL"):
        return f"TRY_CAST({column} AS {kind})"
    return f"CAST({column} AS {kind})"
