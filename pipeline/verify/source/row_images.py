"""Row images of PostgreSQL in the types of envelopes, so that repairs are applied like any other change.

PostgreSQL writes each value directly in a form from which the column's Arrow type can be built without loss, in place
of the connector and the decoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from psycopg import sql

from connectors.envelope import SourceTable, image_type
from connectors.types.pg_types import DATE_INFINITY, TIMESTAMP_INFINITY, ColumnType, TypeKind, parse_column_type
from connectors.types.timestamps import SHIFT_US
from pipeline.definitions import TableDefinition
from sinks.pg_type import parse_pg_type

_PLAIN = "{c}"
_TEXT = "CASE WHEN {c} IS NOT NULL THEN concat({c}) END"
"""Uses concat because {c}::text removes the trailing blanks of a character(5)."""

_COUNTED = """CASE WHEN isfinite({{c}}) THEN {finite}
    WHEN {{c}} = 'infinity' THEN {last} WHEN {{c}} = '-infinity' THEN -{last} END"""
_CENTURY_US = 876_600 * 3_600_000_000
_MICROSECONDS = _COUNTED.format(
    finite=f"""(CASE WHEN {{c}} < '294247-01-10+00' THEN extract(epoch FROM {{c}}) * 1000000
        ELSE extract(epoch FROM {{c}} - interval '876600 hours') * 1000000 + {_CENTURY_US}
            - CASE WHEN {{c}} >= '294247-01-10 04:00:54.775807+00' THEN {SHIFT_US} ELSE 0 END
        END)::bigint""",
    last=TIMESTAMP_INFINITY,
)
"""Microseconds since 1970. Values beyond 64 bits are stored as in `connectors.types.timestamps.stored_us`.

PostgreSQL 18 rounds the epoch of such values, so the expression uses the epoch of one century earlier.
"""

_BY_KIND = {
    **dict.fromkeys((TypeKind.INTEGER, TypeKind.FLOAT, TypeKind.BOOLEAN, TypeKind.BYTES), _PLAIN),
    TypeKind.NUMERIC: "{c}::numeric::text",
    TypeKind.BITS: "{c}::text",
    TypeKind.HSTORE: """replace(replace({c}::json::text, '": ', '":'), ', "', ',"')""",
    TypeKind.DATE: _COUNTED.format(finite="{c} - DATE '1970-01-01'", last=DATE_INFINITY),
    TypeKind.TIME: "(extract(epoch FROM {c}) * 1000000)::bigint",
    **dict.fromkeys((TypeKind.TIMESTAMP, TypeKind.TIMESTAMPTZ), _MICROSECONDS),
}

_BY_NAME = {
    "timetz": "({c} AT TIME ZONE 'UTC')::time::text || 'Z'",
    "interval": """CASE WHEN NOT isfinite({c}) THEN {c}::text WHEN {c} IS NOT NULL
        THEN concat('P', extract(year FROM {c}), 'Y', extract(month FROM {c}), 'M',
        extract(day FROM {c}), 'DT', extract(hour FROM {c}), 'H', extract(minute FROM {c}), 'M',
        trim_scale(extract(second FROM {c})), 'S') END""",
}


def image_columns(table: TableDefinition, alias: str) -> list[sql.Composable]:
    """Return an SQL expression for each column of a table, in their order."""
    columns = {name: sql.Identifier(alias, name) for name in table.columns}
    found = [_value(columns[name], text) for name, text in table.columns.items()]
    arrays = [name for name, text in table.columns.items() if parse_pg_type(text).is_array]
    return [*found, _nested({name: columns[name] for name in arrays})] if arrays else found


def images(table: TableDefinition, rows: Sequence[Sequence[Any]]) -> pa.StructArray:
    """Convert rows that were selected by `image_columns` to the type of an envelope's images."""
    types = image_type(SourceTable(table.source, table.columns))
    columns = list(zip(*rows, strict=True)) if rows else [()] * types.num_fields
    arrays = [_array(values, field.type) for values, field in zip(columns, types, strict=True)]
    return pa.StructArray.from_arrays(arrays, fields=list(types))


def _value(column: sql.Composable, text: str) -> sql.Composable:
    kind = parse_column_type(text)
    if kind.item is None:
        return sql.SQL(_template(kind, text)).format(c=column)
    item = sql.SQL(_template(kind.item, text)).format(c=sql.Identifier("item", "value"))
    return sql.SQL(
        "CASE WHEN {c} IS NOT NULL AND (array_ndims({c}) > 1) IS NOT TRUE"
        " THEN ARRAY(SELECT {item} FROM unnest({c}) WITH ORDINALITY AS item (value, place)"
        " ORDER BY item.place) END"
    ).format(c=column, item=item)


def _nested(columns: Mapping[str, sql.Composable]) -> sql.Composable:
    """Return an SQL expression for the texts of multidimensional arrays, as in `connectors.envelope.NESTED`."""
    members = sql.SQL(", ").join(
        sql.SQL("{}::text, CASE WHEN array_ndims({c}) > 1 THEN {c}::text END").format(sql.Literal(name), c=column)
        for name, column in columns.items()
    )
    return sql.SQL("nullif(json_strip_nulls(json_build_object({}))::text, '{{}}')").format(members)


def _template(kind: ColumnType, text: str) -> str:
    if kind.kind is TypeKind.TEXT:
        return _BY_NAME.get(parse_pg_type(text).name, _TEXT)
    return _BY_KIND[kind.kind]


def _array(values: Sequence[Any], arrow: pa.DataType) -> pa.Array:
    return pa.array(values, _counts(arrow)).cast(arrow)


def _counts(arrow: pa.DataType) -> pa.DataType:
    """Return the type in which PostgreSQL sends a value. Times are sent as counts: Python's types end in year 9999."""
    if pa.types.is_list(arrow):
        return pa.list_(_counts(arrow.value_type))
    if pa.types.is_date(arrow):
        return pa.int32()
    return pa.int64() if pa.types.is_temporal(arrow) else arrow
