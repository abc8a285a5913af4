"""Quoting of table, column and role names in SQL that an operator is told to run."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        """
    all analyse analyze and any array as asc asymmetric authorization between binary both case cast check
    collate collation column concurrently constraint create cross current_catalog current_date current_role
    current_schema current_time current_timestamp current_user default deferrable desc distinct do else end
    except false fetch for foreign freeze from full grant group having ilike in initially inner intersect into
    is isnull join lateral leading left like limit localtime localtimestamp natural new not notnull null of off
    offset old on only or order outer over overlaps placing primary references returning right select
    session_user similar some symmetric system_user table tablesample then to trailing true union unique user
    using variadic verbose when where window with
        """,
    )
)
"""Words that PostgreSQL accepts as a table or column name only in quotation marks.

Source: https://www.postgresql.org/docs/current/sql-keywords-appendix.html
"""


def in_sql(name: str) -> str:
    """Return a name as SQL needs it, in quotation marks if necessary."""
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def table_in_sql(table: str) -> str:
    """Return the SQL form of a table's name, given as `schema.table`."""
    schema, _, name = table.partition(".")
    return f"{in_sql(schema)}.{in_sql(name)}" if name else in_sql(schema)
