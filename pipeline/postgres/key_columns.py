"""The columns of keys as the source has them: whether each value of theirs has one text of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql
from psycopg.rows import class_row

from pipeline.definitions import Contract, Table
from pipeline.ingest.key_text import UnfitKey, key_type
from pipeline.postgres.database import Connection, statement

if TYPE_CHECKING:
    from pipeline.postgres.preconditions import Rule


@dataclass(frozen=True)
class KeyColumn:
    """A column of a key as PostgreSQL has it.

    Args:
        type_name: its type; of a domain, the type that it is made of.
    """

    table_name: str
    column_name: str
    type_name: str
    is_enum: bool
    is_deterministic: bool

    @property
    def name(self) -> str:
        """The column, with its table."""
        return f"{self.table_name}.{_quoted(self.column_name)}"

    @property
    def family(self) -> str:
        """The family of types to which it belongs.

        Raises:
            UnfitKey: the type is none of a key.
        """
        return key_type(self.type_name, is_enum=self.is_enum).family


Place = tuple[str, str]
"""A table, quoted, and a column."""


def key_rules(connection: Connection, contract: Contract) -> list[Rule]:
    """What must be true of every column that is part of a key, or refers to one; a column that is not there is not.

    Args:
        contract: what the read models are made of.
    """
    wanted = list(_wanted(contract))
    places = {"tables": [table for table, _ in wanted], "columns": [column for _, column in wanted]}
    with connection.cursor(row_factory=class_row(KeyColumn)) as cursor:
        found = {(one.table_name, one.column_name): one for one in cursor.execute(statement("key_columns.sql"), places)}
    unfit = {place: reason for place, one in found.items() if (reason := _unfitness(one)) is not None}
    return [
        *_of_types(found, unfit),
        *_of_references(contract, found, unfit),
        *_of_declarations(contract, found, unfit),
    ]


def _wanted(contract: Contract) -> Iterator[Place]:
    yield from dict.fromkeys(
        [
            *((_named(table), column) for table in contract.tables.values() for column in table.key),
            *((_named(child), column) for child, column, _ in _references(contract)),
        ]
    )


def _references(contract: Contract) -> Iterator[tuple[Table, str, Place]]:
    """Every column that holds a document's key: its table, its name, and the column that it refers to."""
    for document in contract.documents.values():
        root = contract.tables[document.root]
        for collection in document.collections.values():
            for column, key in zip(collection.parent, root.key, strict=True):
                yield contract.tables[collection.table], column, (_named(root), key)


def _unfitness(column: KeyColumn) -> str | None:
    if not column.is_deterministic:
        return "its collation takes texts for equal that differ"
    try:
        key_type(column.type_name, is_enum=column.is_enum)
    except UnfitKey as error:
        return str(error)
    return None


def _of_types(found: dict[Place, KeyColumn], unfit: dict[Place, str]) -> list[Rule]:
    return [
        (
            True,
            f"{found[place].name} is a key, and of type {found[place].type_name}: {reason}",
            f"Take {found[place].table_name} out of `readmodels.toml`, or run: ALTER TABLE {found[place].table_name}"
            f' ALTER COLUMN {_quoted(found[place].column_name)} TYPE text COLLATE "C";',
        )
        for place, reason in unfit.items()
    ]


def _of_references(contract: Contract, found: dict[Place, KeyColumn], unfit: dict[Place, str]) -> list[Rule]:
    return [
        (
            column.family != key.family,
            f"{column.name} is of type {column.type_name}, and {key.name}, to which it refers, of {key.type_name}",
            f"Correct `parent` in `readmodels.toml`, or run: ALTER TABLE {column.table_name}"
            f" ALTER COLUMN {_quoted(column.column_name)} TYPE {key.type_name}"
            f" USING {_quoted(column.column_name)}::text::{key.type_name};",
        )
        for column, key in _pairs(contract, found, unfit)
    ]


def _pairs(
    contract: Contract, found: dict[Place, KeyColumn], unfit: dict[Place, str]
) -> Iterator[tuple[KeyColumn, KeyColumn]]:
    """Columns that refer to another, and those others, where both are fit for a key."""
    for child, column, key in _references(contract):
        place = (_named(child), column)
        if place in found and key in found and not {place, key} & unfit.keys():
            yield found[place], found[key]


def _of_declarations(contract: Contract, found: dict[Place, KeyColumn], unfit: dict[Place, str]) -> list[Rule]:
    declared = {
        (_named(table), column): (name, text)
        for name, table in contract.tables.items()
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
    """Whether the declared type writes the column's values as its own does."""
    try:
        declared = key_type(text)
    except UnfitKey:
        return False
    return declared.has_blanks if column.is_enum else declared == key_type(column.type_name, is_enum=False)


def _named(table: Table) -> str:
    return ".".join(map(_quoted, table.source.split(".")))


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(None)
