"""SQL expressions with which DuckDB writes rows as JSON text in the form that PostgreSQL writes."""

from __future__ import annotations

import json

from pipeline.ingest.key_text import key_type
from pipeline.table_view import TableView
from sinks.duckdb.sql_text import quote_identifier
from sinks.duckdb.types import duckdb_type
from sinks.pg_type import parse_pg_type

_STRING = "to_json({c}::VARCHAR)::VARCHAR"
_QUOTED = "'\"' || {c}::VARCHAR || '\"'"
_PLAIN = "{c}::VARCHAR"
_FLOAT = """CASE WHEN isnan({c}) THEN '"NaN"' WHEN {c} = 'inf' THEN '"Infinity"' WHEN {c} = '-inf' THEN '"-Infinity"'
    ELSE {c}::VARCHAR END"""
# Test the common range first. It is narrower than years 1 to 9999 because the comparison uses the session's time zone.
_CALENDAR = """CASE WHEN {c} BETWEEN '0002-01-01' AND '9998-12-31' THEN strftime({u}, '"%Y-{rest}"')
    WHEN NOT isfinite({c}) THEN '"' || {c}::VARCHAR || '"'
    WHEN year({u}) BETWEEN 1 AND 9999 THEN strftime({u}, '"%Y-{rest}"')
    ELSE '"' || CASE WHEN year({u}) < 0 THEN '-' ELSE '+' END
         || lpad(abs(year({u}))::VARCHAR, greatest(6, length(abs(year({u}))::VARCHAR))::INTEGER, '0')
         || strftime({u}, '-{rest}"') END"""
# The column is a DECIMAL, or text in a table from before numerics without precision were stored as DECIMAL.
_NUMERIC = r"""CASE WHEN {c}::VARCHAR NOT IN ('NaN', 'Infinity', '-Infinity') THEN '"' || regexp_replace(
    regexp_replace(regexp_replace({c}::VARCHAR, '^(-?)\.', '\10.'), '(\.\d*[1-9])0+$', '\1'), '\.0*$', '') || '"' END"""
# DuckDB writes a DECIMAL whose digits are all after the point without the zero before it.
_DECIMAL = r"""'"' || regexp_replace({c}::VARCHAR, '^(-?)\.', '\10.') || '"'"""
_CLOCK = "T%H:%M:%S.%f"

_TEMPLATES = {
    **dict.fromkeys(("SMALLINT", "INTEGER", "BIGINT", "BOOLEAN"), _PLAIN),
    **dict.fromkeys(("FLOAT", "DOUBLE"), _FLOAT),
    "UUID": _QUOTED,
    "BLOB": "'\"' || base64({c}) || '\"'",
    "DATE": _CALENDAR.replace("{u}", "{c}").replace("{rest}", "%m-%d"),
    "TIMESTAMP": _CALENDAR.replace("{u}", "{c}").replace("{rest}", f"%m-%d{_CLOCK}"),
    # Convert to a timestamp of the same microseconds, so that the session's time zone has no effect.
    "TIMESTAMPTZ": _CALENDAR.replace("{u}", "make_timestamp(epoch_us({c}))").replace("{rest}", f"%m-%d{_CLOCK}Z"),
    "TIME": """CASE WHEN {c} = '24:00:00' THEN '"24:00:00.000000"'
        ELSE '"' || strftime(DATE '2000-01-01' + {c}, '%H:%M:%S.%f') || '"' END""",
}


def json_text(view: TableView) -> str:
    """Return an SQL expression for a row as a JSON object, column by column."""
    pieces: list[str] = []
    for name, text in view.columns.items():
        label = f"{',' if pieces else '{'}{json.dumps(name, ensure_ascii=False)}:".replace("'", "''")
        pieces.append(f"'{label}', coalesce({_value(quote_identifier(name), text)}, 'null')")
    return f"concat({', '.join(pieces)}, '}}')"


def key_text(view: TableView) -> str:
    """Return an SQL expression for a row's key: the texts of its columns, joined by `:` if there are several."""
    texts = [key_type(view.columns[name]).duckdb.replace("{c}", quote_identifier(name)) for name in view.shown_key]
    if len(texts) == 1:
        return texts[0]
    return " || ':' || ".join(rf"replace(replace({text}, '\', '\\'), ':', '\:')" for text in texts)


def _value(column: str, text: str) -> str:
    kind = duckdb_type(text)
    if kind.endswith("[]"):
        item = _value("item", text.partition("[")[0])
        items = f"list_transform({column}, lambda item: coalesce({item}, 'null'))"
        return f"'[' || array_to_string({items}, ',') || ']'"
    if kind == "VARCHAR" and parse_pg_type(text).name == "numeric":
        return _NUMERIC.replace("{c}", column)
    template = _DECIMAL if kind.startswith("DECIMAL") else _TEMPLATES.get(kind, _STRING)
    return template.replace("{c}", column)
