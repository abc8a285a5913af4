"""Key columns in the source, and the check that each of their values has a unique text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql
from psycopg.rows import class_row

from pipeline.definitions import ModelDefinitions, TableDefinition
from pipeline.ingest.key_text import UnfitKey, key_type
from pipeline.postgres.database import Connection, load_sql

if TYPE_CHECKING:
    from pipeline.postgres.preconditions import Rule


@dataclass(frozen=True)
class KeyColumn:
    """Key column as defined in PostgreSQL.

    Args:
        type_name: its type; for a domain, the underlying type.
    """

    table_name: str
    column_name: str
    type_name: str
    is_enum: bool
    is_deterministic: bool

    @property
    def name(self) -> str:
        """Qualified name of the column."""
        return f"{self.table_name}.{_quoted(self.column_name)}"

    @property
    def family(self) -> str:
        """Family of types to which the column belongs.

        Raises:
            UnfitKey: the type cannot be part of a key.
        """
        return key_type(self.type_name, is_enum=self.is_enum).family


ColumnPlace = tuple[str, str]
"""Table (quoted) and column."""


def key_rules(connection: Connection, definitions: ModelDefinitions) -> list[Rule]:
    """Return the rules for every column that is part of a key, or refers to one. Missing columns are skipped.

    Args:
        definitions: definitions of the read models.
    """
    wanted = list(_wanted(definitions))
    places = {"tables": [table for table, _ in wanted], "columns": [column for _, column in wanted]}
    with connection.cursor(row_factory=class_row(KeyColumn)) as cursor:
        found = {(one.table_name, one.column_name): one for one in cursor.execute(load_sql("key_columns.sql"), places)}
    reasons = {
        place: unfitness(one.type_name, is_enum=one.is_enum, is_deterministic=one.is_deterministic)
        for place, one in found.items()
    }
    unfit = {place: reason for place, reason in reasons.items() if reason is not None}
    return [
        *_of_types(found, unfit),
        *_of_references(definitions, found, unfit),
        *_of_declarations(definitions, found, unfit),
    ]


def _wanted(definitions: ModelDefinitions) -> Iterator[ColumnPlace]:
    yield from dict.fromkeys(
        [
            *((_named(table), column) for table in definitions.tables.values() for column in table.key),
            *((_named(child), column) for child, column, _ in _references(definitions)),
        ]
    )


def _references(definitions: ModelDefinitions) -> Iterator[tuple[TableDefinition, str, ColumnPlace]]:
    """Yield every column that contains a document's key: its table, its name, and the column that it refers to."""
    for document in definitions.documents.values():
        root = definitions.tables[document.root]
        for collection in document.collections.values():
            for column, key in zip(collection.parent, root.key, strict=True):
                yield definitions.tables[collection.table], column, (_named(root), key)


def unfitness(type_name: str, *, is_enum: bool, is_deterministic: bool) -> str | None:
    """Return why a column of this type and collation cannot be part of a key; None if it can."""
    if not is_deterministic:
        return "its collation takes texts for equal that differ"
    try:
        key_type(type_name, is_enum=is_enum)
    except UnfitKey as error:
        return str(error)
    return None


def _of_types(found: dict[ColumnPlace, KeyColumn], unfit: dict[ColumnPlace, str]) -> list[Rule]:
    return [
        (
            True,
            f"{found[place].name} is a key, and of type {found[place].type_name}: {reason}",
            f"Take {found[place].table_name} out of `readmodels.toml`, or run: ALTER TABLE {found[place].table_name}"
            f' ALTER COLUMN {_quoted(found[place].column_name)} TYPE text COLLATE "C";',
        )
        for place, reason in unfit.items()
    ]


def _of_references(
    definitions: ModelDefinitions, found: dict[ColumnPlace, KeyColumn], unfit: dict[ColumnPlace, str]
) -> list[Rule]:
    return [
        (
            column.family != key.family,
            f"{column.name} is of type {column.type_name}, and {key.name}, to which it refers, of {key.type_name}",
            f"Correct `parent` in `readmodels.toml`, or run: ALTER TABLE {column.table_name}"
            f" ALTER COLUMN {_quoted(column.column_name)} TYPE {key.type_name}"
            f" USING {_quoted(column.column_name)}::text::{key.type_name};",
        )
        for column, key in _pairs(definitions, found, unfit)
    ]


def _pairs(
    definitions: ModelDefinitions, found: dict[ColumnPlace, KeyColumn], unfit: dict[ColumnPlace, str]
) -> Iterator[tuple[KeyColumn, KeyColumn]]:
    """Yield pairs of a referring column and its target, if both are allowed in a key."""
    for child, column, key in _references(definitions):
        place = (_named(child), column)
        if place in found and key in found and not {place, key} & unfit.keys():
            yield found[place], found[key]


def _of_declarations(
    definitions: ModelDefinitions, found: dict[ColumnPlace, KeyColumn], unfit: dict[ColumnPlace, str]
) -> list[Rule]:
    declared = {
        (_named(table), column): (name, text)
        for name, table in definitions.tables.items()
        for column, text in table.columns.items()
    }
    return [
        (
            not _is_declared(declared[place][1], column),
            f"{column.name} is a key, declared as {declared[place][1]}, and of type {column.type_name}",
            f'Write {column.column_name} = "{column.type_name}" under [tables.{declared[place][0]}.columns] in'
            " `readmodels.toml`.",
        )
        for place, column in found.items()
        if place not in unfit
    ]


def _is_declared(text: str, column: KeyColumn) -> bool:
    """Return whether the declared type formats the column's values as its actual type does."""
    try:
        declared = key_type(text)
    except UnfitKey:
        return False
    return declared.has_blanks if column.is_enum else declared == key_type(column.type_name, is_enum=False)


def _named(table: TableDefinition) -> str:
    return ".".join(map(_quoted, table.source.split(".")))


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)
