"""Types and values of described columns that cannot reach every read model unchanged. They are found before the log
begins.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from psycopg import sql

from connectors.errors import UnsupportedType
from connectors.types.pg_types import parse_column_type
from pipeline.definitions import ModelDefinitions, TableDefinition
from pipeline.postgres.database import Connection
from pipeline.postgres.preconditions import PreconditionFailure, SourceNotReady
from sinks.pg_type import parse_pg_type

_LOST = {
    "interval": ("NOT isfinite({c})", "an infinite interval, which would arrive as zero"),
    "date": (
        "{c} BETWEEN '1582-10-05' AND '1582-10-14'",
        "a date from 1582-10-05 to 1582-10-14, which a snapshot moves by ten days",
    ),
}

_FATAL = {
    "interval": (
        "isfinite({c}) AND abs(extract(hour FROM {c})) >= 2147483648",
        "an interval of 2147483648 hours or more, at which the connector fails",
    )
}
"""Values at which the connector fails, even if the column is excluded or no model has it, because it reads every
column.
"""

_LOST_IN_KEYS = {
    name: (
        f"{{c}} > '294247-01-10 04:00:54.775806{zone}' AND isfinite({{c}})",
        "a timestamp after 294247-01-10 04:00:54.775806, for which DuckDB has no value that could be a key",
    )
    for name, zone in (("timestamp", ""), ("timestamptz", "+00"))
}

_OF_EXTENSIONS = ("hstore", "ltree", "citext")
"""Types that the connector supports besides PostgreSQL's own and its enums."""

_FOREIGN = """
    SELECT attribute.attname::text
    FROM pg_catalog.pg_attribute AS attribute
    JOIN pg_catalog.pg_type AS type ON type.oid = attribute.atttypid
    WHERE attribute.attrelid = {table}::regclass AND attribute.attnum > 0 AND NOT attribute.attisdropped
      AND type.typnamespace <> 'pg_catalog'::regnamespace AND type.typtype NOT IN ('e', 'd')
      AND type.typcategory <> 'A' AND type.typname <> ALL ({known})"""


def require_sendable(connection: Connection, definitions: ModelDefinitions) -> None:
    """Refuse described columns of which the connector would lose a value.

    Raises:
        SourceNotReady: with every finding.
    """
    if found := list(unsendable(connection, definitions)):
        raise SourceNotReady(found)


def unsendable(
    connection: Connection, definitions: ModelDefinitions, present: Collection[str] | None = None
) -> Iterator[PreconditionFailure]:
    """Yield every described column whose type, or a value in it, cannot reach every read model unchanged.

    Args:
        present: the tables that exist, as `schema.table`; None for all.
    """
    for table in definitions.tables.values():
        if present is not None and table.source not in present:
            continue
        foreign = _foreign(connection, table)
        for name, text in table.columns.items():
            if problem := _problem(connection, table, name, is_foreign=name in foreign):
                remedy = f"Leave {name} out of the columns of {table.source} in `readmodels.toml`."
            elif problem := _held(connection, table, name, _FATAL | (_LOST_IN_KEYS if name in table.key else {})):
                remedy = f"Change or delete these rows, or take {table.source} out of `readmodels.toml`."
            else:
                continue
            yield PreconditionFailure(f"{table.source}.{name} {text}: {problem}", remedy)


def _problem(connection: Connection, table: TableDefinition, name: str, *, is_foreign: bool) -> str | None:
    try:
        parse_column_type(table.columns[name])
    except UnsupportedType as error:
        return str(error)
    if is_foreign:
        return "the connector does not send values of this type"
    return _held(connection, table, name, _LOST)


def _held(connection: Connection, table: TableDefinition, name: str, lost: Mapping[str, tuple[str, str]]) -> str | None:
    """Return which lossy value the column contains; None if it contains none."""
    kind = parse_pg_type(table.columns[name])
    if kind.is_array or kind.name not in lost:
        return None
    condition, words = lost[kind.name]
    source = sql.Identifier(*table.source.split(".", 1))
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(
        source, sql.SQL(condition).format(c=sql.Identifier(name))
    )
    [(is_held,)] = connection.execute(query).fetchall()
    return f"it holds {words}" if is_held else None


def _foreign(connection: Connection, table: TableDefinition) -> set[str]:
    source = sql.Identifier(*table.source.split(".", 1)).as_string(connection)
    query = sql.SQL(_FOREIGN).format(table=sql.Literal(source), known=sql.Literal(list(_OF_EXTENSIONS)))
    return {str(name) for (name,) in connection.execute(query)}
