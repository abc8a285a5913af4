"""How PostgreSQL's types are kept in DuckDB: exactly, or as text where DuckDB has no type that could."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sinks.column_type import ColumnType, parse

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
_NOT_DECIMAL = pa.array(["NaN", "Infinity", "-Infinity"])


def duckdb_type(text: str) -> str:
    """The DuckDB type of a column; a numeric without precision stays text, since no DECIMAL holds every one."""
    kind = parse(text)
    name = _decimal(kind) if kind.name == "numeric" else _SAME.get(kind.name, "VARCHAR")
    return f"{name}[]" if kind.is_array else name


def _decimal(kind: ColumnType) -> str:
    precision, scale = (*kind.arguments, 0, 0)[:2]
    return f"DECIMAL({precision},{scale})" if 0 <= scale <= precision <= _WIDEST_DECIMAL and precision else "VARCHAR"


def stored(column: str, text: str) -> str:
    """The SQL expression that turns a quoted column of incoming rows into its DuckDB type."""
    kind = duckdb_type(text)
    if kind.startswith("DECIMAL"):
        return f"TRY_CAST({column} AS {kind})"
    return f"CAST({column} AS {kind})"


def special_values(rows: pa.Table, columns: dict[str, str]) -> pa.Array:
    """Per row, a JSON object of the values that DuckDB's type cannot hold, or null: they are never lost silently.

    PostgreSQL's numeric knows NaN and infinities, a DECIMAL does not; the column itself is NULL there, and in an array
    the item is, of which the whole is named here.
    """
    found: dict[int, dict[str, object]] = {}
    for name, text in columns.items():
        if duckdb_type(text).startswith("DECIMAL"):
            for row in _rows_with_special(rows[name]):
                found.setdefault(row, {})[name] = rows[name][row].as_py()
    if not found:
        return pa.nulls(rows.num_rows, pa.string())
    return pa.array([json.dumps(found[row]) if row in found else None for row in range(rows.num_rows)], pa.string())


def _rows_with_special(values: pa.ChunkedArray) -> list[int]:
    if pa.types.is_list(values.type):
        owners, items = pc.list_parent_indices(values), pc.list_flatten(values)
        found = owners.filter(pc.is_in(items, value_set=_NOT_DECIMAL)).to_numpy()
    else:
        found = np.flatnonzero(pc.is_in(values, value_set=_NOT_DECIMAL).to_numpy())
    return [int(row) for row in np.unique(found)]
