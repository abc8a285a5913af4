"""Values as JSON text, written by PostgreSQL itself: what a read model must show, in a way that shares no code with it.

An equal row is then an equal text, and is never taken apart. Where two texts differ, their values are compared.
"""

from __future__ import annotations

from psycopg import sql

from pipeline.verify.subject import Form
from sinks.column_type import parse
from sinks.duckdb_types import duckdb_type

_QUOTED_CONCAT = "CASE WHEN {c} IS NOT NULL THEN to_json(concat({c}))::text END"
"""Not {c}::text, which would cut the blanks off a character(5)."""

_PLAIN = "{c}::text"
_FLOAT = "CASE WHEN {c} IN ('NaN', 'Infinity', '-Infinity') THEN '\"' || {c}::text || '\"' ELSE {c}::text END"
_NUMERIC = "'\"' || {c}::numeric::text || '\"'"
_NO_NAN = "CASE WHEN {c} <> 'NaN' THEN '\"' || {c}::text || '\"' END"
_STRING = "to_json({c})::text"
_INTERVAL = """CASE WHEN {c} IS NOT NULL THEN concat('"P', extract(year FROM {c}), 'Y', extract(month FROM {c}), 'M',
    extract(day FROM {c}), 'DT', extract(hour FROM {c}), 'H', extract(minute FROM {c}), 'M',
    trim_scale(extract(second FROM {c})), 'S"') END"""

_TEMPLATES = {
    **dict.fromkeys(("smallint", "integer", "bigint", "oid", "boolean", "jsonb"), _PLAIN),
    **dict.fromkeys(("real", "double precision"), _FLOAT),
    **dict.fromkeys(("numeric", "money"), _NUMERIC),
    **dict.fromkeys(("text", "varchar", "char"), _STRING),
    "json": r"regexp_replace({c}::text, '[\r\n]+', ' ', 'g')",
    "bytea": "'\"' || translate(encode({c}, 'base64'), E'\\n', '') || '\"'",
    "interval": _INTERVAL,
    "time": "'\"' || to_char({c}::interval, 'HH24:MI:SS.US') || '\"'",
    "timetz": "'\"' || ({c} AT TIME ZONE 'UTC')::time::text || 'Z\"'",
    "hstore": """to_json(replace(replace({c}::json::text, '": ', '":'), ', "', ',"'))::text""",
}

_CALENDAR = """
    CASE WHEN {c} >= '0001-01-01' AND {c} < '10000-01-01' THEN to_char({c}::timestamp, {plain})
         WHEN NOT isfinite({c}) THEN '"' || {c}::text || '"'
         ELSE (SELECT '"' || CASE WHEN year < 0 THEN '-' ELSE '+' END
                      || lpad(abs(year)::text, greatest(6, length(abs(year)::text)), '0')
                      || to_char({c}::timestamp, {expanded})
               FROM (SELECT (extract(year FROM {c}) + CASE WHEN extract(year FROM {c}) < 0 THEN 1 ELSE 0 END)::bigint)
                    AS counted (year))
    END"""
"""ISO 8601, in its expanded form where a year has not four digits; it counts a year 0, which PostgreSQL does not."""

_CLOCKS = {"date": "", "timestamp": '"T"HH24:MI:SS.US', "timestamptz": '"T"HH24:MI:SS.US"Z"'}


def json_text(column: sql.Composable, text: str, form: Form) -> sql.Composable:
    """An expression for a column's value as JSON text; NULL where the column is.

    In a row, a numeric that is NaN is NULL where DuckDB's type is DECIMAL: that is what readers of the table see. (One
    with a precision cannot be infinite.) JSON is a string in a row, so that its null is told from NULL.

    Args:
        text: the column's PostgreSQL type.
    """
    kind = parse(text)
    if kind.is_array:
        item = json_text(sql.Identifier("item", "value"), text.partition("[")[0], form)
        return sql.SQL(
            "CASE WHEN {c} IS NOT NULL THEN '[' || coalesce((SELECT string_agg(coalesce({item}, 'null'), ',' ORDER BY"
            " item.place) FROM unnest({c}) WITH ORDINALITY AS item (value, place)), '') || ']' END"
        ).format(c=column, item=item)
    if kind.name in ("date", "timestamp", "timestamptz"):
        return _calendar(column, kind.name)
    return sql.SQL(_template(kind.name, text, form)).format(c=column)


def _template(name: str, text: str, form: Form) -> str:
    if form is Form.ROW:
        if name in ("json", "jsonb"):
            return "to_json({c}::text)::text"
        if name == "numeric" and duckdb_type(text).startswith("DECIMAL"):
            return _NO_NAN
        if name == "oid":
            return _QUOTED_CONCAT
    return _TEMPLATES.get(name, _QUOTED_CONCAT)


def _calendar(column: sql.Composable, name: str) -> sql.Composable:
    # A cast from timestamptz is one to the session's time zone, which is UTC.
    rest = rf"-MM-DD{_CLOCKS[name]}\""
    return sql.SQL(_CALENDAR).format(c=column, plain=sql.Literal(rf"\"YYYY{rest}"), expanded=sql.Literal(rest))
