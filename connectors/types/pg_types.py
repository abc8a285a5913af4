"""PostgreSQL column types, and the one Arrow type that stores each."""

import re
from dataclasses import dataclass
from enum import Enum, auto

import pyarrow as pa

from connectors.errors import UnsupportedType


class TypeKind(Enum):
    """Meaning of a column's values, independent of their wire form."""

    INTEGER = auto()
    FLOAT = auto()
    BOOLEAN = auto()
    NUMERIC = auto()
    TEXT = auto()
    BYTES = auto()
    BITS = auto()
    HSTORE = auto()
    DATE = auto()
    TIME = auto()
    TIMESTAMP = auto()
    TIMESTAMPTZ = auto()
    ARRAY = auto()


@dataclass(frozen=True)
class ColumnType:
    """One PostgreSQL type.

    Attributes:
        kind: the meaning of its values.
        arrow: the type that stores them.
        scale: digits after the point of a numeric, or None if the column does not fix them.
        fraction_digits: fractional digits of a second that the column stores, 0 to 6.
        item: the type of an array's elements.
        is_sent_as_list: Debezium's own converter sends arrays of this type completely if they have one dimension.
    """

    kind: TypeKind
    arrow: pa.DataType
    scale: int | None = None
    fraction_digits: int = 6
    item: "ColumnType | None" = None
    is_sent_as_list: bool = True


DATE_INFINITY = 2**31 - 1
"""Days that represent 'infinity' in a date, as in DuckDB; the negative number represents '-infinity'."""

TIMESTAMP_INFINITY = 2**63 - 1
"""Microseconds that represent 'infinity' in a timestamp, as in DuckDB; the negative number represents '-infinity'."""

_PLAIN: dict[str, ColumnType] = {
    "smallint": ColumnType(TypeKind.INTEGER, pa.int16()),
    "integer": ColumnType(TypeKind.INTEGER, pa.int32()),
    "bigint": ColumnType(TypeKind.INTEGER, pa.int64()),
    "oid": ColumnType(TypeKind.INTEGER, pa.int64()),
    "real": ColumnType(TypeKind.FLOAT, pa.float32()),
    "double precision": ColumnType(TypeKind.FLOAT, pa.float64()),
    "boolean": ColumnType(TypeKind.BOOLEAN, pa.bool_()),
    "money": ColumnType(TypeKind.NUMERIC, pa.string(), scale=2),
    "bytea": ColumnType(TypeKind.BYTES, pa.binary()),
    "bit": ColumnType(TypeKind.BITS, pa.string(), scale=1),
    "hstore": ColumnType(TypeKind.HSTORE, pa.string()),
    "date": ColumnType(TypeKind.DATE, pa.date32()),
    "time with time zone": ColumnType(TypeKind.TEXT, pa.string()),
}

_ALIASES = {
    "int2": "smallint",
    "smallserial": "smallint",
    "int": "integer",
    "int4": "integer",
    "serial": "integer",
    "int8": "bigint",
    "bigserial": "bigint",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "bool": "boolean",
    "decimal": "numeric",
    "timetz": "time with time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timestamp": "timestamp without time zone",
}

# Debezium 3.6.1 sends these types as null in streamed changes, as structures of its own, or not at all.
_UNSUPPORTED = frozenset(
    {"name", "bit varying", "varbit", "tsquery", "point", "line", "lseg", "box", "path", "polygon", "circle"}
    | {"geometry", "geography", "vector", "halfvec", "sparsevec", "jsonpath", "refcursor", "aclitem"}
    | {"xid", "xid8", "cid", "tid", "pg_lsn", "pg_snapshot", "txid_snapshot", "gtsvector", "int2vector", "oidvector"}
    | {"regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator", "regproc"}
    | {"regprocedure", "regrole", "regtype", "regdatabase"}
    | {"int4multirange", "int8multirange", "nummultirange", "datemultirange", "tsmultirange", "tstzmultirange"}
)

# PostgreSQL prints array items of these types in the session's locale or zone, unlike values outside of arrays.
_UNSUPPORTED_ITEMS = frozenset({"interval", "money", "time with time zone"})

# Without the converter, Debezium sends only arrays of these types completely; others are null (enums), or lack
# fractions (times).
_SENT_AS_LISTS = frozenset(
    {"smallint", "integer", "bigint", "oid", "real", "double precision", "boolean", "numeric"}
    | {"text", "character varying", "varchar", "character", "char", "bpchar", "citext", "uuid", "json", "jsonb"}
    | {"bytea", "hstore", "inet", "cidr", "date", "timestamp without time zone", "timestamp with time zone"}
    | {"int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"}
)

_TYPE = re.compile(
    r"""(?P<name>(?:(?:"[^"]+"|[a-z_][\w$]*)\.)?(?:"[^"]+"|[a-z_][\w$]*(?:[ ](?!with)[a-z]+)*))
        \s*(?:\(\s*(?P<modifiers>-?\d+(?:\s*,\s*-?\d+)*)\s*\))?    # (12,2)
        (?P<zone>\s+with(?:out)?\s+time\s+zone)?""",
    re.VERBOSE | re.IGNORECASE,
)


def parse_column_type(text: str) -> ColumnType:
    """Parse a type as PostgreSQL prints it (`format_type`), or one of its usual short names.

    A name that PostgreSQL does not define itself is treated as an enum or another type that is sent as text.

    Args:
        text: such as "bigint", "numeric(12,2)", "timestamp(3) with time zone" or "text[]".

    Raises:
        UnsupportedType: the connector does not send every value of it completely.

    Source: https://www.postgresql.org/docs/current/datatype.html
    """
    is_array = text.strip().endswith("[]")
    match = _TYPE.fullmatch(text.strip().rstrip("[]"))
    if match is None:
        raise UnsupportedType(f"not a type: {text!r}")
    name = " ".join((match["name"] + (match["zone"] or "")).lower().split())
    name = _ALIASES.get(name, name)
    if name in _UNSUPPORTED or (is_array and name in _UNSUPPORTED_ITEMS):
        raise UnsupportedType(f"the connector does not send {text!r} whole")
    item = _with_modifiers(name, [int(part) for part in (match["modifiers"] or "").split(",") if part])
    if not is_array:
        return item
    return ColumnType(TypeKind.ARRAY, pa.list_(item.arrow), item=item, is_sent_as_list=name in _SENT_AS_LISTS)


def _with_modifiers(name: str, modifiers: list[int]) -> ColumnType:
    match name:
        case "numeric":
            scale = (modifiers[1] if len(modifiers) > 1 else 0) if modifiers else None
            return ColumnType(TypeKind.NUMERIC, pa.string(), scale=None if scale is None else max(scale, 0))
        case "bit":
            return ColumnType(TypeKind.BITS, pa.string(), scale=modifiers[0] if modifiers else 1)
        case "time without time zone":
            return ColumnType(TypeKind.TIME, pa.time64("us"), fraction_digits=_digits(modifiers))
        case "timestamp without time zone":
            return ColumnType(TypeKind.TIMESTAMP, pa.timestamp("us"), fraction_digits=_digits(modifiers))
        case "timestamp with time zone":
            return ColumnType(TypeKind.TIMESTAMPTZ, pa.timestamp("us", "UTC"), fraction_digits=_digits(modifiers))
        case _:
            return _PLAIN.get(name, ColumnType(TypeKind.TEXT, pa.string()))


def _digits(modifiers: list[int]) -> int:
    return modifiers[0] if modifiers else 6
