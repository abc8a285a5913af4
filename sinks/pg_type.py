"""PostgreSQL column types, parsed: `character varying(20)[]` is an array of `varchar` with the argument 20."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ALIASES = {
    "int2": "smallint",
    "smallserial": "smallint",
    "int": "integer",
    "int4": "integer",
    "serial": "integer",
    "int8": "bigint",
    "bigserial": "bigint",
    "decimal": "numeric",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "bool": "boolean",
    "character varying": "varchar",
    "character": "char",
    "bpchar": "char",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
    "time with time zone": "timetz",
}
_TYPE = re.compile(r"^(?P<head>[^(]*)(?:\((?P<arguments>[\d\s,-]*)\))?(?P<tail>[^(]*)$")


@dataclass(frozen=True)
class PgType:
    """One parsed type.

    Args:
        name: PostgreSQL's usual name without alias, in lower case.
        arguments: length, precision or scale, as declared.
        is_array: the column is an array of this type.
    """

    name: str
    arguments: tuple[int, ...] = ()
    is_array: bool = False


def parse_pg_type(text: str) -> PgType:
    """Parse a type as `format_type` prints it. A text of another form becomes the name."""
    item, brackets, _ = text.lower().partition("[")
    found = _TYPE.match(item)
    if found is None:
        return PgType(text)
    name = " ".join(f"{found['head']} {found['tail']}".split())
    arguments = tuple(int(number) for number in (found["arguments"] or "").split(",") if number.strip())
    return PgType(_ALIASES.get(name, name), arguments, is_array=bool(brackets))
