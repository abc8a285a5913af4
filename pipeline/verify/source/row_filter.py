"""SQL of row filters, with which PostgreSQL chooses the rows that a document shows."""

from __future__ import annotations

from psycopg import sql

from pipeline.ingest.key_text import key_type
from pipeline.row_filter import Condition, ValueKind
from pipeline.table_view import TableView
from sinks.pg_type import parse_pg_type

_CASTS = {
    ValueKind.INTEGER: "bigint",
    ValueKind.NUMERIC: "numeric",
    ValueKind.BOOLEAN: "boolean",
    ValueKind.DATE: "date",
    ValueKind.TIMESTAMP: "timestamp",
    ValueKind.TIMESTAMPTZ: "timestamptz",
}


def is_shown(view: TableView, alias: str) -> sql.Composable:
    """Return an SQL condition that holds for the rows that a view shows."""
    terms = [_term(one, sql.Identifier(alias, one.column), view.table.columns[one.column]) for one in view.where]
    return sql.SQL("({})").format(sql.SQL(" AND ").join(terms)) if terms else sql.SQL("true")


def _term(condition: Condition, column: sql.Identifier, text: str) -> sql.Composed:
    if condition.kind is None:
        return sql.SQL("{} {}").format(column, sql.SQL(condition.operator.upper()))
    values = [_value(value, condition.kind, text) for value in condition.values]
    compared: sql.Composable = column
    if condition.kind is ValueKind.TEXT:
        # Compare texts byte by byte, whatever the collation of the column is.
        compared = sql.SQL('({}) COLLATE "C"').format(sql.SQL(key_type(text).postgresql).format(c=column))
    if condition.operator == "in":
        return sql.SQL("{} IN ({})").format(compared, sql.SQL(", ").join(values))
    return sql.SQL("{} {} {}").format(compared, sql.SQL(condition.operator), values[0])


def _value(text: str, kind: ValueKind, column_type: str) -> sql.Composable:
    if kind is ValueKind.TEXT:
        name = parse_pg_type(column_type).name
        return sql.Literal({"char": text.rstrip(" "), "uuid": text.lower()}.get(name, text))
    return sql.SQL("{}::{}").format(sql.Literal(text), sql.SQL(_CASTS[kind]))
