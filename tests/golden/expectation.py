"""Expected decoded values of a row, computed by PostgreSQL in SQL without any code of the decoder."""

from tests.golden.catalogue import COLUMNS, TABLE

_ISO_INTERVAL = """concat('P', extract(year FROM {c}), 'Y', extract(month FROM {c}), 'M', extract(day FROM {c}), 'DT',
    extract(hour FROM {c}), 'H', extract(minute FROM {c}), 'M', trim_scale(extract(second FROM {c})), 'S')"""


def _expression(kind: str, column: str) -> str:
    """Return SQL that converts a value to the decoder's expected result, as exact JSON."""
    base = kind.partition("(")[0] + kind.partition(")")[2]
    if kind.endswith("[]"):
        item = _expression(kind.removesuffix("[]"), "u")
        return f"(SELECT jsonb_agg({item} ORDER BY n) FROM unnest({column}) WITH ORDINALITY AS t (u, n))"
    match base:
        case "smallint" | "integer" | "bigint" | "boolean":
            template = "to_jsonb({c})"
        case "oid":
            template = "{c}::bigint"
        case "date":
            template = "CASE WHEN isfinite({c}) THEN {c} - date '1970-01-01' ELSE " + _infinity(2**31 - 1) + " END"
        case "timestamp without time zone" | "timestamp with time zone":
            counted = "(extract(epoch FROM {c}) * 1000000)::bigint"
            template = f"CASE WHEN isfinite({{c}}) THEN {counted} ELSE {_infinity(2**63 - 1)} END"
        case "time without time zone":
            template = "(extract(epoch FROM {c}) * 1000000)::bigint"
        case "time with time zone":
            template = "({c} AT TIME ZONE 'UTC')::time::text || 'Z'"
        case "interval":
            template = _ISO_INTERVAL
        case "bytea":
            template = "encode({c}, 'hex')"
        case "money":
            template = "{c}::numeric::text"
        case "hstore":
            template = """replace(replace(hstore_to_json({c})::text, '": ', '":'), ', "', ',"')"""
        case _:
            # Not {c}::text, which would cut the blanks off a character(5).
            template = "concat({c})"
    return f"CASE WHEN {column} IS NULL THEN NULL ELSE to_jsonb({template.format(c=column)}) END"


def _infinity(value: int) -> str:
    return f"CASE WHEN {{c}} > 'epoch' THEN {value} ELSE -{value} END"


EXPECTATION = (
    "SELECT "
    + " || ".join(f"jsonb_build_object('{name}', {_expression(kind, name)})" for name, kind in COLUMNS.items())
    + f" FROM {TABLE} WHERE id = %s"
)
"""The query for one row by its id: one JSON object."""
