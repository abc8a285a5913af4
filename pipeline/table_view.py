"""View of a source table: the rows and columns of it that a read model shows, and the names of its fields.

The projection, the stores' shapes, `verify` and repairs all read a view. None of them knows how it was declared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.invalid_definitions import InvalidDefinitions
from pipeline.row_filter import Condition, InvalidFilter, parse_filter
from sinks.pg_type import parse_pg_type

if TYPE_CHECKING:
    from pipeline.definitions import TableDefinition

_IMPLIED_TYPES = frozenset({"smallint", "integer", "bigint", "text", "varchar", "uuid"})
"""Types whose JSON text is also their text in a document's key."""


@dataclass(frozen=True, kw_only=True)
class RowSelection:
    """Rows and columns of a table that a document shows. All of them, unless some are named.

    Args:
        include: the only columns that are shown.
        exclude: columns that are not shown.
        rename: by column, the name of its field.
        where: conditions that the rows meet, as `pipeline.row_filter` reads them.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True)
class TableView:
    """Rows of one table in the form that a read model shows.

    Args:
        name: the name of the table in the definitions.
        owner: the columns that contain the key of the document or row.
        fields: by column that is shown, the name of its field, in the order of the table.
        where: conditions that a row must meet. Another row is absent from the document.
    """

    name: str
    table: TableDefinition
    owner: tuple[str, ...]
    fields: Mapping[str, str]
    where: tuple[Condition, ...] = ()

    @property
    def columns(self) -> dict[str, str]:
        """PostgreSQL type of every field."""
        return {shown: self.table.columns[column] for column, shown in self.fields.items()}

    @property
    def shown_key(self) -> tuple[str, ...]:
        """Fields that identify a row among the rows of its document: the columns of its key that are shown."""
        return tuple(self.fields[column] for column in self.table.key if column in self.fields)


def whole_table(name: str, table: TableDefinition) -> TableView:
    """Return the view that shows a table as it is."""
    return TableView(name, table, table.key, {column: column for column in table.columns})


def select_rows(
    place: str, name: str, table: TableDefinition, owner: tuple[str, ...], selection: RowSelection
) -> TableView:
    """Return the view of a table that a document declares.

    Args:
        place: the document or collection, as error messages name it.
        owner: the columns that contain the document's key.

    Raises:
        InvalidDefinitions: a column is missing, a field has two meanings, a required column is not shown, or the
            filter cannot be parsed.
    """
    if selection.include and selection.exclude:
        raise InvalidDefinitions(f"{place}: give `include` or `exclude`, not both")
    named = [*selection.include, *selection.exclude, *selection.rename]
    if missing := sorted({*named} - {*table.columns}):
        raise InvalidDefinitions(f"{place}: {name} has no column {', '.join(missing)}")
    shown = [column for column in selection.include or table.columns if column not in selection.exclude]
    if hidden := [column for column in selection.rename if column not in shown]:
        raise InvalidDefinitions(f"{place}: {', '.join(hidden)} is renamed and not shown")
    _require_key(place, name, table, owner, shown)
    fields = {column: selection.rename.get(column, column) for column in table.columns if column in shown}
    if twice := _repeated(fields.values()):
        raise InvalidDefinitions(f"{place}: two columns would be the field {', '.join(twice)}")
    if "" in fields.values():
        raise InvalidDefinitions(f"{place}: a field has no name")
    try:
        where = parse_filter(selection.where, table.columns)
    except InvalidFilter as error:
        raise InvalidDefinitions(f"{place}: {error}") from error
    return TableView(name, table, owner, fields, where)


def _require_key(place: str, name: str, table: TableDefinition, owner: tuple[str, ...], shown: Iterable[str]) -> None:
    """Refuse to hide a key column, by which `verify` and its repairs find the row that a reader sees.

    The document's key implies the columns that contain it. A child row needs the rest of its own key only.
    """
    is_root = owner == table.key
    implied = () if is_root else owner
    needed = [
        column
        for column in table.key
        if column not in implied or parse_pg_type(table.columns[column]).name not in _IMPLIED_TYPES
    ]
    if hidden := [column for column in needed if column not in shown]:
        raise InvalidDefinitions(
            f"{place}: {', '.join(hidden)} must be shown, because `verify` finds the rows of {name} by it; "
            "`rename` can give it another name"
        )


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
