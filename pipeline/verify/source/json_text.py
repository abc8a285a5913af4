"""SQL expressions with which PostgreSQL writes values as JSON text, as a read model must show them.

These expressions share no code with the read models. Equal rows have equal texts, which need not be parsed. If two
texts differ, their values are compared.
"""

from __future__ import annotations

from psycopg import sql

from pipeline.stores.read_model import ModelKind
from sinks.duckdb.types import duckdb_type
from sinks.pg_type import parse_pg_type

_QUOTED_CONCAT = "CASE WHEN {c} IS NOT NULL THEN to_json(concat({c}))::text END"
"""Uses concat because {c}::text removes the trailing blanks of a character(5)."""

_PLAIN = "{c}::text"
_FLOAT = "CASE WHEN {c} IN ('NaN', 'Infinity', '-Infinity') THEN '\"' || {c}::text || '\"' ELSE {c}::text END"
_NUMERIC = "'\"' || {c}::numeric::text || '\"'"
_FINITE = "CASE WHEN {c} NOT IN ('NaN', 'Infinity', '-Infinity') THEN '\"' || {n}::text || '\"' END"
_STRING = "to_json({c})::text"
_TEXT = "to_json({c}::text)::text"
"""Text of any type, because a numeric may be declared as text."""
_HSTORE_TEXT = """to_json(replace(replace({c}::json::text, '": ', '":'), ', "', ',"'))::text"""
_INTERVAL = """CASE WHEN NOT isfinite({c}) THEN '"' || {c}::text || '"' WHEN {c} IS NOT NULL
    THEN concat('"P', extract(year FROM {c}), 'Y', extract(month FROM {c}), 'M',
    extract(day FROM {c}), 'DT', extract(hour FROM {c}), 'H', extract(minute FROM {c}), 'M',
    trim_scale(extract(second FROM {c})), 'S"') END"""

_TEMPLATES = {
    **dict.fromkeys(("smallint", "integer", "bigint", "oid", "boolean", "jsonb"), _PLAIN),
    **dict.fromkeys(("real", "double precision"), _FLOAT),
    **dict.fromkeys(("numeric", "money"), _NUMERIC),
    **dict.fromkeys(("text", "varchar"), _TEXT),
    "char": _STRING,
    "json": r"regexp_replace({c}::text, '[\r\n]+', ' ', 'g')",
    "bytea": "'\"' || translate(encode({c}, 'base64'), E'\\n', '') || '\"'",
    "interval": _INTERVAL,
    "time": "'\"' || to_char({c}::interval, 'HH24:MI:SS.US') || '\"'",
    "timetz": "'\"' || ({c} AT TIME ZONE 'UTC')::time::text || 'Z\"'",
    "hstore": "{c}::json::text",
}

_CALENDAR = """
    CASE WHEN {c} >= '0001-01-01' AND {c} < '10000-01-01' THEN to_char({c}::timestamp, {plain})
         WHEN NOT isfinite({c}) THEN '"' || {c}::text || '"'
         ELSE (SELECT '"' || CASE WHEN year < 0 THEN '-' ELSE '+' END
                      || lpad(abs(year)::text, greatest(6, length(abs(year)::text)), '0')
                      || to_char(extract(month FROM {c}), 'FM"-"00') || to_char(extract(day FROM {c}), 'FM"-"00')
                      || {clock} || '"'
               FROM (SELECT (extract(year FROM {c}) + CASE WHEN extract(year FROM {c}) < 0 THEN 1 ELSE 0 END)::bigint)
                    AS counted (year))
    END"""
"""ISO 8601; expanded form if the year does not have four digits. ISO 8601 has a year 0, PostgreSQL does not."""

_CLOCKS = {"date": "", "timestamp": '"T"HH24:MI:SS.US', "timestamptz": '"T"HH24:MI:SS.US"Z"'}

_BEYOND_DUCKDB = sql.Literal("294247-01-10 04:00:54.775807")
"""The first timestamp, in UTC, that DuckDB's type cannot hold."""

_MAX_DIMENSIONS = 6
"""Maximum number of dimensions of an array in PostgreSQL."""


def json_text(column: sql.Composable, text: str, form: ModelKind) -> sql.Composable:
    """Return an SQL expression for a column's value as JSON text; its result is NULL if the column is NULL.

    In a row, values that DuckDB's type cannot represent are NULL, as readers of the table see them: NaN and infinite
    numerics, a timestamp beyond DuckDB's range, and an array of several dimensions. A numeric without a scale that
    DECIMAL has is written without zeros at its end. JSON is a string in a row, so that JSON null differs from NULL.

    Args:
        text: the column's PostgreSQL type.
    """
    kind = parse_pg_type(text)
    if kind.is_array:
        return _array(column, text.partition("[")[0], form)
    if kind.name in ("timestamp", "timestamptz") and form is ModelKind.ROW:
        held = sql.SQL("CASE WHEN {c} < {last} OR {c} = 'infinity' THEN {c} END").format(c=column, last=_BEYOND_DUCKDB)
        return _calendar(sql.SQL("({})").format(held), kind.name)
    if kind.name in ("date", "timestamp", "timestamptz"):
        return _calendar(column, kind.name)
    return sql.SQL(_template(kind.name, text, form)).format(c=column)


def _array(column: sql.Composable, item_type: str, form: ModelKind) -> sql.Composable:
    """Return an SQL expression for an array; in a row, an array of several dimensions is NULL."""
    item = json_text(sql.Identifier("item", "value"), item_type, form)
    is_nested = sql.SQL("array_ndims({c}) > 1").format(c=column)
    if form is ModelKind.ROW:
        return sql.SQL("CASE WHEN {c} IS NOT NULL AND ({is_nested}) IS NOT TRUE THEN {flat} END").format(
            c=column, is_nested=is_nested, flat=_items(column, item, sql.SQL("''"), sql.SQL("''"))
        )
    opening, closing = (
        sql.SQL("CASE WHEN {} THEN repeat({}, {}) ELSE '' END").format(
            is_nested, sql.Literal(bracket), _count_inner(column, place)
        )
        for bracket, place in (("[", sql.SQL("item.place - 1")), ("]", sql.SQL("item.place")))
    )
    return sql.SQL("CASE WHEN {c} IS NOT NULL THEN {items} END").format(
        c=column, items=_items(column, item, opening, closing)
    )


def _items(
    column: sql.Composable, item: sql.Composable, opening: sql.Composable, closing: sql.Composable
) -> sql.Composed:
    return sql.SQL(
        "'[' || coalesce((SELECT string_agg({opening} || coalesce({item}, 'null') || {closing}, ','"
        " ORDER BY item.place) FROM unnest({c}) WITH ORDINALITY AS item (value, place)), '') || ']'"
    ).format(c=column, item=item, opening=opening, closing=closing)


def _count_inner(column: sql.Composable, place: sql.Composable) -> sql.Composed:
    """Return an SQL expression for the number of inner arrays that begin or end at a place of the flat array."""
    counts = []
    for outermost in range(2, _MAX_DIMENSIONS + 1):
        lengths = sql.SQL(" * ").join(
            sql.SQL("coalesce(array_length({}, {}), 1)").format(column, sql.Literal(dimension))
            for dimension in range(outermost, _MAX_DIMENSIONS + 1)
        )
        counts.append(
            sql.SQL("CASE WHEN array_ndims({c}) >= {n} AND ({place}) % ({lengths}) = 0 THEN 1 ELSE 0 END").format(
                c=column, n=sql.Literal(outermost), place=place, lengths=lengths
            )
        )
    return sql.SQL("({})").format(sql.SQL(" + ").join(counts))


def _template(name: str, text: str, form: ModelKind) -> str:
    if form is ModelKind.ROW:
        if name in ("json", "jsonb"):
            return "to_json({c}::text)::text"
        if name == "hstore":
            return _HSTORE_TEXT
        if name == "numeric":
            return _FINITE.replace("{n}", "{c}" if duckdb_type(text).startswith("DECIMAL") else "trim_scale({c})")
        if name == "oid":
            return _QUOTED_CONCAT
    return _TEMPLATES.get(name, _QUOTED_CONCAT)


def _calendar(column: sql.Composable, name: str) -> sql.Composable:
    # The cast from timestamptz converts to the session's time zone, which is UTC.
    clock: sql.Composable = sql.SQL("''")
    if _CLOCKS[name]:
        # Do not cast dates to timestamps: a date may exceed the range of timestamp.
        clock = sql.SQL("to_char({c}::timestamp, {clock})").format(c=column, clock=sql.Literal(_CLOCKS[name]))
    plain = sql.Literal(rf"\"YYYY-MM-DD{_CLOCKS[name]}\"")
    return sql.SQL(_CALENDAR).format(c=column, plain=plain, clock=clock)
