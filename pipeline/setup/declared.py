"""Comparison of the definitions with the database: declared keys and types, and columns left to the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from connectors.errors import UnsupportedType
from connectors.types.pg_types import ColumnType, TypeKind, parse_column_type
from pipeline.config import Settings
from pipeline.definitions import ModelDefinitions, TableDefinition
from pipeline.invalid_definitions import InvalidDefinitions
from pipeline.postgres.catalog import CatalogTable, read_named_tables, server_version
from pipeline.postgres.database import Connection
from pipeline.postgres.preconditions import PreconditionFailure
from pipeline.setup.introspection import Introspection


def complete_tables(connection: Connection, settings: Settings) -> Settings:
    """Return the settings with the keys and columns that `readmodels.toml` leaves to the database.

    Raises:
        InvalidDefinitions: such a table does not exist, or cannot be captured.
    """
    lacking = {name: table for name, table in settings.tables.items() if not table.is_complete}
    found = {table.source: table for table in read_named_tables(connection, (one.source for one in lacking.values()))}
    version = server_version(connection)
    completed = {name: _completed(table, found.get(table.source), version) for name, table in lacking.items()}
    complete = settings.model_copy(update={"tables": {**settings.tables, **completed}})
    _ = complete.definitions
    return complete


def _completed(table: TableDefinition, found: CatalogTable | None, version: int) -> TableDefinition:
    if found is None:
        raise InvalidDefinitions(f"{table.source}: there is no such table, and its columns are left to the database")
    if obstacle := found.obstacle(version):
        raise InvalidDefinitions(f"{table.source} cannot be captured: {obstacle[0]}. {obstacle[1]}")
    whole = Introspection(version, {"": found}).definition("")
    exclude = tuple(dict.fromkeys((*table.exclude, *whole.exclude)))
    columns = {name: text for name, text in whole.columns.items() if name not in exclude}
    return replace(table, key=table.key or found.key, columns=table.columns or columns, exclude=exclude)


def declared_findings(connection: Connection, definitions: ModelDefinitions) -> list[PreconditionFailure]:
    """Return every difference between the definitions and the tables that exist."""
    found = read_named_tables(connection, (table.source for table in definitions.tables.values()))
    tables = {table.source: table for table in found}
    return [
        one
        for name, table in definitions.tables.items()
        if table.source in tables
        for one in differences(name, table, tables[table.source])
    ]


def differences(name: str, table: TableDefinition, found: CatalogTable) -> Iterator[PreconditionFailure]:
    """Yield what a definition declares otherwise than the database has it."""
    section = f"[tables.{name}]"
    if found.has_children and found.kind == "r":
        yield PreconditionFailure(
            f"other tables inherit from {table.source}: a snapshot would show their rows as its own",
            f"Take {section} out of readmodels.toml, and declare the tables that inherit from it.",
        )
    if found.key and {*table.key} != {*found.key}:
        listed = ", ".join(f'"{column}"' for column in found.key)
        yield PreconditionFailure(
            f"{table.source} has the primary key {[*found.key]}, and is declared with {[*table.key]}",
            f"Write key = [{listed}] under {section} in readmodels.toml.",
        )
    actual = {column.name: column for column in found.columns}
    for column, text in table.columns.items():
        if column not in actual:
            yield PreconditionFailure(
                f"{table.source} has no column {column}",
                f"Take {column} out of the columns of {section} in readmodels.toml, then run `readmodels replay all "
                "--execute` if a model holds it.",
            )
        elif not _holds(text, actual[column].type):
            yield PreconditionFailure(
                f"{table.source}.{column} is of type {actual[column].type}, and declared as {text}",
                f'Write {column} = "{actual[column].type}" under [tables.{name}.columns] in readmodels.toml, then run '
                "`readmodels replay all --execute` if a model holds it.",
            )


def _holds(declared: str, actual: str) -> bool:
    """Return whether a column of the declared type holds every value of the actual one."""
    try:
        wide, narrow = parse_column_type(declared), parse_column_type(actual)
    except UnsupportedType:
        return True  # reported by its own check
    return _is_within(narrow, wide)


def _is_within(narrow: ColumnType, wide: ColumnType) -> bool:
    if wide.kind is TypeKind.TEXT and narrow.kind is TypeKind.NUMERIC:
        return True  # the connector sends its digits
    if wide.kind is not narrow.kind:
        return False
    match wide.kind:
        case TypeKind.INTEGER | TypeKind.FLOAT:
            return bool(_bits(wide) >= _bits(narrow))
        case TypeKind.NUMERIC:
            # A scale may be declared for a column that has none. A value that does not fit is refused when it comes.
            return wide.scale is None or narrow.scale is None or narrow.scale <= wide.scale
        case TypeKind.ARRAY:
            assert wide.item is not None
            assert narrow.item is not None
            return _is_within(narrow.item, wide.item)
        case _:
            return True


def _bits(column: ColumnType) -> Any:
    return column.arrow.bit_width
